"""`nbproof pipeline`: whole pipelines in the words of engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .output import as_json, near, print_json
from .submitting import pairs
from .target import chosen, pipeline_argument


@click.group()
def pipeline() -> None:
    """Whole pipelines, for engines that have a scheduler of their own.

    \b
    Example:
      nbproof pipeline export pipelines/credit --to slurm
    """


@pipeline.command()
@pipeline_argument
@click.option("--to", "engine", required=True, metavar="ENGINE", help="airflow, argo, prefect or slurm.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; named as the pipeline if left out."
)
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the export: gpu_pool=gpus.")
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter, as `nbproof run` takes it.",
)
@as_json
def export(
    pipeline: Path | None,
    engine: str,
    out: Path | None,
    options: Sequence[str],
    parameters: Sequence[str],
    as_json: bool,
) -> None:
    """Write a pipeline as a file that an engine's own tools take.

    Slurm: a script of sbatch calls. Airflow 3: a DAG file of BashOperators. Argo: a Workflow. Each task is `nbproof run
    --only TASK` there: what is fresh does nothing, and a task whose upstream is stale is refused.

    \b
    Example:
      nbproof pipeline export pipelines/credit --to slurm --out credit.sh
      nbproof pipeline export --to airflow -o schedule="0 6 * * *"
      nbproof pipeline export --to prefect -o schedule='0 6 * * *'
      nbproof pipeline export --to argo -o image=registry/credit:1 -o claim=project
    """
    from ..assemble import load_pipeline, open_project
    from ..jobs.pipelines import exporting

    here = Path.cwd()
    project = open_project(here if pipeline is None else pipeline)
    made = exporting.load(engine, pairs(options, "-o"), project.settings.jobs_options)
    loaded = load_pipeline(project, chosen(pipeline, here=here, project=project.root), parameters)
    steps = exporting.steps_of(loaded.pipeline, parameters)
    file = out or Path(f"{steps.name}.{made.suffix}")
    exporting.write(file, made.spell(steps))
    if as_json:
        print_json({"file": str(file.resolve()), "engine": engine, "tasks": [step.name for step in steps.steps]})
        return
    click.echo(f"{near(file.resolve())}: {len(steps.steps)} tasks of {steps.name} for {engine}")
    click.echo(f"next: {made.hint.format(file=near(file.resolve()))}")
