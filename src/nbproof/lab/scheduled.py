"""Jobs of jupyter-scheduler, run by nbproof: `c.Scheduler.execution_manager_class = "nbproof.lab.scheduled.Runs"`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_scheduler.executors import ExecutionManager
from jupyter_scheduler.models import JobFeature

from ..errors import NotApproved, TaskFailed
from ..settings import find_project, load

# Of what jupyter-scheduler offers, this is what happens.
_FEATURES = frozenset({"job_name", "parameters", "output_formats", "job_definition", "stop_job", "delete_job"})
FOLDER = Path(".nbproof/scheduled")


class Runs(ExecutionManager):  # type: ignore[misc]  # jupyter-scheduler has no types
    """One job: its notebook runs as `nbproof run` runs it, and is recorded with the project that the server shows.

    It fails where the run fails. What is left of it, outputs and errors alike, is the job's output.
    """

    def execute(self) -> None:
        """Run the notebook of a job to its end; raises where it does not end well."""
        from ..schedule.working import run_pipeline

        job = self.model
        project = find_project(Path(self.root_dir).expanduser())
        staged = Path(self.staging_paths["input"])
        if load(project, os.environ).schedule_approved_only:
            # The server keeps a copy; what was approved is a file of the project.
            raise NotApproved(
                job.input_filename, "it is a copy that JupyterLab has made",
                hint="schedule the notebook itself: nbproof schedule add NOTEBOOK --cron EXPRESSION",
            )  # fmt: skip
        folder = project / FOLDER / self.job_id
        shutil.copytree(staged.parent, folder)
        try:
            parameters = [f"{name}={_text(value)}" for name, value in (job.parameters or {}).items()]
            ended = run_pipeline(project, str(folder / staged.name), parameters)
            name = staged.stem
            failed = sorted((project / ".nbproof/failed" / (ended.run or "none")).rglob(f"{name}*.ipynb"))
            made = folder / "build" / name / staged.name
            _keep(made if ended.state == "done" else failed[0] if failed else None, job.output_formats,
                  self.staging_paths)  # fmt: skip
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if ended.state != "done":
            raise TaskFailed(job.input_filename, ended.reason)

    # They are called with the class, but not bound to it: as class methods every job would end in a TypeError.
    def validate(cls: Any, input_path: str) -> bool:  # noqa: N805
        """Whether a notebook names its kernel."""
        content = json.loads(Path(input_path).read_bytes())
        return bool(content.get("metadata", {}).get("kernelspec", {}).get("name"))

    def supported_features(cls: Any) -> dict[JobFeature, bool]:  # noqa: N805
        """What the form of JupyterLab offers."""
        return {feature: feature.value in _FEATURES for feature in JobFeature}


def _text(value: object) -> str:
    """A parameter as `-p` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _keep(executed: Path | None, formats: list[str], paths: Mapping[str, str]) -> None:
    """Leave the executed notebook where jupyter-scheduler looks for it, in each format that was asked for."""
    if executed is None:
        return
    for form in formats:
        if form == "ipynb":
            shutil.copyfile(executed, paths[form])
            continue
        import nbconvert

        text, _ = nbconvert.get_exporter(form)().from_filename(str(executed))
        Path(paths[form]).write_text(text, encoding="utf-8")
