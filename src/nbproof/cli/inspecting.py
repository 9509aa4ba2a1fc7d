"""`nbproof status`: what is fresh, what is stale, and the reason in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import as_json, print_json, print_table
from .story import RunStory, TaskStory, last_of, told
from .target import chosen, pipeline_argument

if TYPE_CHECKING:
    from ..records import Pipeline
    from ..run.freshness import Verdict

# How many runs are looked through for the last of each task.
RUNS = 100


@click.command()
@pipeline_argument
@as_json
def status(pipeline: Path | None, as_json: bool) -> None:
    """Say what is fresh, what is stale, and why. Runs nothing.

    With --json also what each task reads, makes and is given, and what became of it when it last ran.

    \b
    Example:
      nbproof status pipelines/credit
    """
    from ..assemble import load_pipeline, open_project, plan

    here = Path.cwd()
    project = open_project(here if pipeline is None else pipeline)
    loaded = load_pipeline(project, chosen(pipeline, here=here, project=project.root))
    verdicts = plan(project, loaded)
    if as_json:
        print_json(_document(loaded.pipeline, verdicts))
        return
    rows = [(found.task, found.state, "; ".join(found.reasons)) for found in verdicts]
    print_table(("task", "state", "why"), rows)
    click.echo()
    click.echo(_in_short([found.state for found in verdicts]))


def _document(pipeline: Pipeline, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    from ..run.freshness import TaskRecord
    from ..run.state import state_of

    file = os.path.relpath(pipeline.file, pipeline.project)
    runs = (run for run in _newest_runs(pipeline.project) if run.file == file)
    last = last_of((task.name for task in pipeline.tasks), runs)
    records = state_of(pipeline).records
    return {
        "pipeline": pipeline.name,
        "file": pipeline.file,
        "tasks": [
            {
                "task": found.task,
                "state": found.state,
                "reasons": found.reasons,
                "notebook": pipeline.task(found.task).notebook,
                "upstream": pipeline.task(found.task).upstream,
                "products": {key: str(path) for key, path in pipeline.task(found.task).products.items()},
                "parameters": pipeline.task(found.task).parameters,
                "has_succeeded": isinstance(records.read(found.task), TaskRecord),
                "last": _last(*last[found.task]) if found.task in last else None,
            }
            for found in verdicts
        ],
    }


def _newest_runs(project: Path) -> Iterator[RunStory]:
    """The runs of a project that can be read, the newest first; no more than are worth looking through."""
    from ..errors import JournalDamaged
    from ..track import journal

    # The id of a run begins with its time.
    for path in sorted(journal.folder(project).glob(f"*{journal.SUFFIX}"), reverse=True)[:RUNS]:
        try:
            story = told(journal.read(path), is_running=journal.is_live(path))
        except JournalDamaged as error:
            click.echo(f"warning: {error}; {error.hint}", err=True)
            continue
        if story is not None:
            yield story


def _last(run: RunStory, task: TaskStory) -> Mapping[str, Any]:
    return {
        "run_id": run.run_id,
        "at": task.at,
        "outcome": task.outcome,
        "elapsed_s": task.elapsed_s,
        "reason": task.reason,
        "notebook": task.notebook,
    }


def _in_short(states: Sequence[str]) -> str:
    if not (stale := states.count("stale")):
        return f"everything is fresh: {len(states)} tasks"
    more = f", {waits} more if what they read changes" if (waits := states.count("waits")) else ""
    return f"{stale} of {len(states)} tasks would run{more}"
