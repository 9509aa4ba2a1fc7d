"""A part of a pipeline: the tasks that were asked for, and what these need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbproof import assemble
from nbproof.errors import UnknownName

if TYPE_CHECKING:
    from conftest import Workspace


def build(workspace: Workspace, task: str, *, downstream: bool = False, force: bool = False) -> dict[str, str]:
    """Run a part; the outcome of each of its tasks."""
    project = assemble.open_project(workspace.root)
    loaded = assemble.load_pipeline(project, workspace.root / "pipeline.yaml", task=task, downstream=downstream)
    return {task.task: task.outcome for task in assemble.run(project, loaded, force=force).finished}


def test_a_task_brings_what_it_needs_and_nothing_below_it(tiny: Workspace) -> None:
    """A task that reads what is stale has it made first; what reads the task is left as it was."""
    assert build(tiny, "use") == {"make": "done", "use": "done"}
    assert {task: found.state for task, found in tiny.plan().items()} == {
        "make": "fresh", "use": "fresh", "tell": "stale"
    }  # fmt: skip


def test_from_a_task_down_runs_what_is_stale_above_it_too(tiny: Workspace) -> None:
    """Nothing is made of a product that is stale, wherever one begins."""
    tiny.build()
    tiny.edit("make.py", "line() * rows", "line() * (rows + 1)")

    assert build(tiny, "use", downstream=True) == {"make": "done", "use": "done", "tell": "done"}
    assert tiny.products()["build/tell/text.txt"] == b"there are 4 lines"


def test_force_is_for_what_was_asked_for(tiny: Workspace) -> None:
    """What is needed and fresh stays as it is; what was asked for runs again, the task alone or all from there."""
    tiny.build()

    assert build(tiny, "use", force=True) == {"make": "fresh", "use": "done"}
    assert build(tiny, "use", downstream=True, force=True) == {"make": "fresh", "use": "done", "tell": "done"}


def test_what_a_part_would_do_is_planned_as_it_would_be_done(tiny: Workspace) -> None:
    """The plan of a part forces only what was asked for, as its run does."""
    tiny.build()
    project = assemble.open_project(tiny.root)
    loaded = assemble.load_pipeline(project, tiny.root / "pipeline.yaml", task="use")

    verdicts = assemble.plan(project, loaded, force=True)

    assert [(found.task, found.state) for found in verdicts] == [("make", "fresh"), ("use", "stale")]


def test_a_task_that_is_not_there_is_refused(tiny: Workspace) -> None:
    """The tasks that are there are named."""
    with pytest.raises(UnknownName, match="no task is called `usee`; known: make, tell, use"):
        build(tiny, "usee")
