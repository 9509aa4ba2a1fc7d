"""Ploomber's side of a task: the hooks that pipeline.yaml names, run as `ploomber build` runs them, and its status."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ploomber.constants import TaskStatus
from ploomber.util.dotted_path import DottedPath
from ploomber.util.util import add_to_sys_path

from ..records import Outcome


def run_hook(task: Any, name: Literal["on_finish", "on_failure"], folder: Path) -> None:
    """Run a hook of a Ploomber task in `folder`, with the modules that lie there; raises whatever the hook raises."""
    hook = getattr(task, name)
    if hook is None:
        return
    with add_to_sys_path(str(folder), chdir=True):
        # The pipeline was read without importing anything of it, so that `status` runs none of its code.
        if isinstance(hook, DottedPath) and hook.callable is None:
            hook._load_callable()
        getattr(task, f"_run_{name}")()


def set_status(task: Any, outcome: Outcome) -> None:
    """Let Ploomber know how its task ended."""
    statuses = {"done": TaskStatus.Executed, "fresh": TaskStatus.Skipped, "failed": TaskStatus.Errored}
    if outcome in statuses:
        task.exec_status = statuses[outcome]
