"""`nbproof status`: what is fresh, what is stale, and the reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .output import as_json, print_json, print_table
from .target import chosen, pipeline_argument


@click.command()
@pipeline_argument
@as_json
def status(pipeline: Path | None, as_json: bool) -> None:
    """Say what is fresh, what is stale, and why. Runs nothing.

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
        print_json({"pipeline": loaded.pipeline.name, "file": loaded.pipeline.file, "tasks": verdicts})
        return
    rows = [(found.task, found.state, "; ".join(found.reasons)) for found in verdicts]
    print_table(("task", "state", "why"), rows)
    click.echo()
    click.echo(_in_short([found.state for found in verdicts]))


def _in_short(states: Sequence[str]) -> str:
    if not (stale := states.count("stale")):
        return f"everything is fresh: {len(states)} tasks"
    more = f", {waits} more if what they read changes" if (waits := states.count("waits")) else ""
    return f"{stale} of {len(states)} tasks would run{more}"
