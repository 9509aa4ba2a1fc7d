"""The hooks that pipeline.yaml names for a task, run as `ploomber build` runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ploomber.util.dotted_path import DottedPath
from ploomber.util.util import add_to_sys_path


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


def first_line(error: Exception) -> str:
    """What a hook refused, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
