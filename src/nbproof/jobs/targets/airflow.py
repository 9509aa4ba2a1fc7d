"""Airflow: a job is a DAG file in the user's own Airflow 3, with a task for each element; it runs once, by itself."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import EngineAbsent, EngineUnreachable, JobRefused
from ...files import write_atomically
from ..job import Job
from ..target import Seen, State, element_command

DAG = "dag.py"
ANSWER_S = 120
_INSTALL = "-o dags=DIR, or AIRFLOW_HOME; in an environment of its own: pip install 'apache-airflow>=3'"
# How much longer than its time an element may take to end before Airflow ends it.
_GRACE_S = 120
# How many times a worker of Airflow may be lost with an element, beside the tries that the job has.
_LOST = 2
_STATES: Mapping[str, State] = {
    "deferred": "waiting", "failed": "failed", "queued": "waiting", "removed": "cancelled", "restarting": "waiting",
    "running": "running", "scheduled": "waiting", "skipped": "cancelled", "success": "done",
    "up_for_reschedule": "waiting", "up_for_retry": "waiting", "upstream_failed": "cancelled",
}  # fmt: skip
_OF_COURSE = ("queued", "running", "scheduled", "success")
# What it says of a DAG whose file it has not read yet.
_UNREAD = "does not exist in 'dag' table"
_TEMPLATE = '''\
"""A job of nbproof, {told}: it runs once, by itself. `nbproof jobs cancel` takes this file away."""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

COMMAND = {command!r}

with DAG(
    dag_id={dag_id!r},
    schedule="@once",
    start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    max_active_tasks={at_once},
    tags=["nbproof"],
):
    for index in range({size}):
        BashOperator(
            task_id=f"element_{{index}}",
            bash_command=COMMAND.replace("INDEX", str(index)),
            append_env=True,
            # An element knows how often it may fail, and then ends at once; the others are for workers that are lost.
            retries={retries},
            retry_delay=timedelta(seconds=10),{options}
        )
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Airflow:
    """An Airflow 3 whose workers share this machine's folders.

    `dags` is the folder that it reads DAG files from; left out, what AIRFLOW__CORE__DAGS_FOLDER or AIRFLOW_HOME says.
    `program` is its command line, which says how a run stands. `queue` is where workers take the tasks from; `pool` has
    a slot for each element, and `gpu_pool` one for each GPU: Airflow itself counts none.
    """

    dags: str | None = None
    program: str = "airflow"
    queue: str | None = None
    pool: str | None = None
    gpu_pool: str | None = None

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The DAG file. Raises `JobRefused` for what Airflow would not do."""
        if job.after:
            raise JobRefused("airflow", "it waits for another job, and a DAG of its own waits for none",
                             hint="submit it once the other has ended well")  # fmt: skip
        if job.resources.gpus and self.gpu_pool is None:
            raise JobRefused("airflow", f"it asks for {job.resources.gpus} GPUs, and Airflow counts none",
                             hint="-o gpu_pool=NAME: a pool of Airflow with a slot for each GPU")  # fmt: skip
        path = {"PYTHONPATH": os.environ["PYTHONPATH"]} if os.environ.get("PYTHONPATH") else {}
        given = [f"{name}={value}" for name, value in path.items()]
        command = shlex.join(
            ["env", *given, *element_command(sys.executable, place, "INDEX", "--log", "--once", "--watch")]
        )
        if any(mark in command for mark in ("{{", "{%", "{#")) or "INDEX" in place:
            raise JobRefused("airflow", f"`{place}` is a template in Airflow's eyes", hint="move the project elsewhere")
        values = {
            "told": json.dumps(job.name),
            "dag_id": PurePosixPath(place).name,
            # The shell gives way, so that signals reach the element. With the space at its end, Airflow does not take
            # the command for the name of a file.
            "command": f"exec {command} ",
            "at_once": min(job.at_once or len(job.elements), len(job.elements)),
            "size": len(job.elements),
            "retries": job.retries + _LOST,
            "options": "".join(f"\n            {name}={value}," for name, value in self._task(job).items()),
        }
        return {DAG: _TEMPLATE.format(**values)}

    def submit(self, job: Job, place: Path) -> str:
        """Lay the file where Airflow finds it; its path is the number of the job."""
        path = self._folder() / f"{place.name}.py"
        try:
            write_atomically(path, (place / DAG).read_bytes())
        except OSError as error:
            raise JobRefused("airflow", f"`{path}` cannot be written ({error.strerror})",
                             hint="-o dags=DIR: a folder that you may write") from None  # fmt: skip
        return str(path)

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """Ask Airflow's own command line for the run, and for its tasks."""
        id_ = Path(number).stem
        try:
            runs = self._asked("dags", "list-runs", id_, "--output", "json")
        except EngineAbsent as error:
            return [Seen("unknown", f"{error.found}; Airflow's own page shows the run {id_}")] * size
        if not Path(number).exists():
            return [Seen("unknown", f"its DAG file {number} is gone")] * size
        if not runs:
            return [Seen("waiting", "Airflow has not read its DAG file yet")] * size
        tasks = self._asked("tasks", "states-for-dag-run", id_, str(runs[0]["run_id"]), "--output", "json")
        return seen(runs[0], tasks, size)

    def recall(self, name: str) -> str | None:
        """A DAG file is called like the job."""
        path = self._folder() / f"{name}.py"
        return str(path) if path.exists() else None

    def cancel(self, number: str) -> None:
        """Take the file away, so that nothing starts; what runs sees for itself that it was cancelled."""
        Path(number).unlink(missing_ok=True)

    def _task(self, job: Job) -> Mapping[str, str]:
        needs = job.resources
        pool = self.gpu_pool if needs.gpus else self.pool
        options = {
            "execution_timeout": f"timedelta(seconds={needs.time_s + _GRACE_S})" if needs.time_s else None,
            "pool": repr(pool) if pool else None,
            "pool_slots": str(needs.gpus) if needs.gpus else None,
            "queue": repr(self.queue) if self.queue else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _folder(self) -> Path:
        own = os.environ.get("AIRFLOW__CORE__DAGS_FOLDER")
        home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow")
        folder = Path(self.dags or own or home / "dags").absolute()
        if not folder.is_dir():
            raise EngineAbsent("airflow", f"found no folder `{folder}`",
                               hint=_INSTALL)  # fmt: skip
        return folder

    def _asked(self, *arguments: str) -> list[Mapping[str, Any]]:
        """What the command line lists."""
        try:
            ended = subprocess.run(
                [self.program, *arguments], capture_output=True, text=True, timeout=ANSWER_S, check=False
            )
        except (FileNotFoundError, PermissionError):
            raise EngineAbsent("airflow", f"found no `{self.program}` on this machine",
                               hint="-o program=PATH of its command line") from None  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EngineUnreachable(
                "airflow", f"`airflow` was not done after {ANSWER_S} s", hint="airflow db check"
            ) from None
        return _listed(ended.stdout, ended.returncode, ended.stderr)


def seen(run: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], size: int) -> Sequence[Seen]:
    """What a run and its tasks say of each element."""
    told = {str(task["task_id"]): str(task["state"] or "") for task in tasks}
    states = [told.get(f"element_{index}", "") for index in range(size)]
    # A task without a state has not been looked at; in a run that is over it never will be.
    without: State = "lost" if run["state"] in ("success", "failed") else "waiting"
    return [
        Seen(_STATES.get(state, "unknown"), "" if state in _OF_COURSE else f"Airflow: {state}")
        if state not in ("", "None") else Seen(without)
        for state in states
    ]  # fmt: skip


def _listed(said: str, code: int, wrong: str) -> list[Mapping[str, Any]]:
    """The list in what Airflow prints, which logs in the same place."""
    for line in reversed(said.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, list):
            return found
    if code == 0:
        # It says in words that there is nothing.
        return []
    words = (wrong.strip() or said.strip()).splitlines() or ["it said nothing"]
    if any(_UNREAD in line for line in words):
        return []
    raise EngineUnreachable("airflow", words[-1][:300], hint="airflow db check; the job is kept: nbproof jobs list")
