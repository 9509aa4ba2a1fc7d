"""A schedule as a DAG file for the user's own Airflow 3, whose workers share this machine's folders."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import ScheduleInvalid
from ..definition import Schedule
from . import woken
from .woken import Wanted

_TEMPLATE = '''\
"""The schedule {name} of nbproof: at its times one look, which runs what is due by the schedule's own policies."""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id={dag_id!r},
    schedule={cron!r},
    start_date=pendulum.datetime(2020, 1, 1, tz={zone!r}),
    # What is late or overlaps is decided by nbproof's ledger, and so is what is tried again.
    catchup=False,
    is_paused_upon_creation=False,
    tags=["nbproof"],
):
    BashOperator(task_id="look", bash_command={command!r}, cwd={project!r}, append_env=True, retries=0)
'''


def render(schedule: Schedule, wanted: Wanted) -> Mapping[str, str]:
    """The DAG file."""
    expression = woken.expression(schedule, "airflow")
    words = woken.told(schedule, wanted)
    if any(mark in f"{words}{wanted.project}" for mark in ("{{", "{%", "{#")):
        raise ScheduleInvalid("--to airflow", f"`{wanted.project}`, a template in Airflow's eyes", "another folder")
    dag_id = f"nbproof_{schedule.name}"
    text = _TEMPLATE.format(
        name=schedule.name,
        dag_id=dag_id,
        cron=woken.five_fields(expression),
        zone=woken.zone_of(schedule),
        # The shell gives way, so that signals arrive. With the space at its end, Airflow does not take the command for
        # the name of a file.
        command=f"exec {words} ",
        project=str(wanted.project),
    )
    return {f"{dag_id}.py": text}
