"""`nbproof plot`: the DAG as SVG, coloured by what is fresh and what is stale."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import Unwritable
from .graph import svg
from .output import as_json, print_json
from .target import chosen, pipeline_argument


@click.command()
@pipeline_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file instead of stdout."
)
@click.option("--plain", is_flag=True, help="Do not colour by fresh and stale.")
@as_json
def plot(pipeline: Path | None, output: Path | None, plain: bool, as_json: bool) -> None:
    """Draw a pipeline as SVG.

    One box a task, one arrow a dependency; an arrow that a longer way of arrows implies is left out.
    With --json: the same DAG as nodes and arrows.

    \b
    Example:
      nbproof plot pipelines/credit -o docs/pipeline.svg
    """
    from ..assemble import load_pipeline, open_project, plan

    here = Path.cwd()
    project = open_project(here if pipeline is None else pipeline)
    loaded = load_pipeline(project, chosen(pipeline, here=here, project=project.root))
    drawn = loaded.pipeline
    verdicts = () if plain else plan(project, loaded)
    states = {found.task: found.state for found in verdicts}
    if as_json:
        nodes = [{"task": task.name, "upstream": task.upstream, "state": states.get(task.name)} for task in drawn.tasks]
        print_json({"pipeline": drawn.name, "tasks": nodes})
        return
    drawing = svg(drawn, states)
    if output is None:
        click.echo(drawing, nl=False)
        return
    try:
        output.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise Unwritable(output.parent, error.strerror or str(error)) from error
    click.echo(f"{output}: {len(drawn.tasks)} tasks")
