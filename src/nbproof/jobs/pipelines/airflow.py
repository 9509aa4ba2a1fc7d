"""A pipeline as a DAG file for Airflow 3: a BashOperator for each task."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import ClassVar

from ...errors import JobRefused, SettingsInvalid
from .exporting import MARK, Step, Steps, identifiers

_TEMPLATE = '''\
"""{mark}: the pipeline {name} on Airflow 3.

Its workers need this Python and this folder. nbproof itself tries again what fails and ends what runs too long.
"""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id={dag_id!r},
    schedule={schedule!r},
    start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # Two runs of one pipeline would write the same products.
    max_active_runs=1,
    tags=["nbproof"],
):
    given = {{"cwd": {project!r}, "append_env": True, "env": {environment!r}, "retries": 0}}
{tasks}
{edges}
'''
# Airflow ends a task this much later than nbproof would.
_GRACE_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A DAG file.

    `dag_id` is its name in Airflow and `schedule` a line of cron, or one of Airflow's words (left out: it is started by
    hand). `queue` is where workers take the tasks from; `pool` has a slot for each task, and `gpu_pool` one for each
    GPU: Airflow itself counts none.
    """

    suffix: ClassVar[str] = "airflow.py"
    hint: ClassVar[str] = "lay {file} into the folder of DAGs"
    settings_of: ClassVar[str] = "airflow"
    dag_id: str | None = None
    schedule: str | None = None
    queue: str | None = None
    pool: str | None = None
    gpu_pool: str | None = None

    def spell(self, pipeline: Steps) -> str:
        """The whole file."""
        ids = identifiers([step.name for step in pipeline.steps], _plain)
        variables = {step.name: f"task_{number}" for number, step in enumerate(pipeline.steps, 1)}
        edges = [
            f"    [{', '.join(variables[above] for above in step.above)}] >> {variables[step.name]}"
            for step in pipeline.steps
            if step.above
        ]
        tasks = [self._task(step, pipeline, variables[step.name], ids[step.name]) for step in pipeline.steps]
        return _TEMPLATE.format(
            mark=MARK,
            name=_plain(pipeline.name),
            dag_id=self._dag_id(pipeline),
            schedule=self.schedule,
            project=str(pipeline.project),
            environment=own_environment(),
            tasks="\n".join(tasks),
            edges="\n".join(edges),
        ).rstrip() + "\n"  # fmt: skip

    def _dag_id(self, pipeline: Steps) -> str:
        if self.dag_id is None:
            return _plain(pipeline.name)
        if _plain(self.dag_id) != self.dag_id:
            raise SettingsInvalid("`dag_id` of the export to airflow", repr(self.dag_id), "letters, digits, - . and _")
        return self.dag_id

    def _task(self, step: Step, pipeline: Steps, variable: str, id_: str) -> str:
        needs = step.resources
        if needs.gpus and self.gpu_pool is None:
            raise JobRefused(
                "airflow", f"`{step.name}` asks for {needs.gpus} GPUs, and Airflow counts none",
                hint="-o gpu_pool=NAME: a pool of Airflow with a slot for each GPU",
            )  # fmt: skip
        options = {
            "task_id": repr(id_),
            "bash_command": repr(_command(step, pipeline)),
            "queue": repr(self.queue) if self.queue else None,
            "pool": repr(self.gpu_pool if needs.gpus else self.pool) if needs.gpus or self.pool else None,
            "pool_slots": str(needs.gpus) if needs.gpus > 1 else None,
            "execution_timeout": f"timedelta(seconds={needs.time_s + _GRACE_S})" if needs.time_s else None,
        }
        told = "".join(f"        {name}={value},\n" for name, value in options.items() if value is not None)
        return f"    {variable} = BashOperator(\n{told}        **given,\n    )"


def _command(step: Step, pipeline: Steps) -> str:
    """The shell gives way, so that signals reach nbproof; what looks like a template to Airflow is none.

    With the space at its end Airflow does not take the command for the name of a file.
    """
    command = f"exec {shlex.join([pipeline.python, *step.arguments])}"
    if "endraw" in command:
        raise JobRefused("airflow", f"the command of `{step.name}` holds `endraw`", hint="give another value with -p")
    is_template = any(mark in command for mark in ("{{", "{%", "{#"))
    return f"{{% raw %}}{command}{{% endraw %}} " if is_template else f"{command} "


def own_environment() -> dict[str, str]:
    """Airflow's own environment need not know where the Python that exports finds nbproof."""
    return {name: os.environ[name] for name in ("PYTHONPATH",) if os.environ.get(name)}


def _plain(name: str) -> str:
    """A name as Airflow takes it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:200] or "task"
