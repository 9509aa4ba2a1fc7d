"""`nbproof run`: carry out a pipeline or one notebook, show it, and sum it up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import RunFailed
from ..records import Event, TaskFinished, TaskStarted
from .output import as_json, duration, in_words, near, print_json, print_table
from .progress import Follow, Progress, progress_on
from .target import chosen, pipeline_argument

if TYPE_CHECKING:
    from ..assemble import Project, RunReport
    from ..run.pipeline.loading import Loaded
    from ..run.remote.engine import Engine
    from ..track.delivery import DeliveryReport


@click.command()
@pipeline_argument
@click.option(
    "-p",
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter in every notebook that declares it; TASK.NAME=VALUE sets it in one. May be repeated.",
)
@click.option(
    "--task", metavar="NAME", help="Run this task of the pipeline alone, and what it needs where that is stale."
)
@click.option(
    "--only", metavar="NAME", help="Run this task alone, beside others that run so; what it reads must be fresh."
)
@click.option("--downstream", is_flag=True, help="With --task: run what depends on it, too.")
@click.option("--force", is_flag=True, help="Run every task, fresh or not; with --task only those that it asks for.")
@click.option("--workers", type=click.IntRange(min=1), help="How many notebooks may run at once.")
@click.option(
    "--on",
    "target",
    default="local",
    show_default=True,
    metavar="TARGET",
    help="Where the notebooks run: local or slurm; on an engine each is a job of its own.",
)
@click.option("--wait", is_flag=True, help="Wait for another build of this pipeline instead of refusing.")
@click.option("--follow", is_flag=True, help="Show what the cells print, while they run.")
@click.option(
    "--events",
    is_flag=True,
    help="Print one line of JSON an event on stdout, while it runs; end when nobody reads them any more.",
)
@as_json
def run(
    pipeline: Path | None,
    parameters: tuple[str, ...],
    task: str | None,
    only: str | None,
    downstream: bool,
    force: bool,
    workers: int | None,
    target: str,
    wait: bool,
    follow: bool,
    events: bool,
    as_json: bool,
) -> None:
    """Run what is stale, headless, and record it.

    PIPELINE is a pipeline.yaml or its folder; without it, the one in this folder, or the project's only one.

    \b
    Example:
      nbproof run pipelines/credit --workers 2
      nbproof run notebooks/06_training.ipynb -p seed=1 --follow
      nbproof run --task features --downstream
      nbproof run pipelines/credit --on slurm
    """
    from ..assemble import engine_of, load_pipeline, open_project

    _refuse_what_does_not_go_together(task=task, downstream=downstream, follow=follow, events=events, as_json=as_json)
    if only is not None and (task is not None or target != "local"):
        raise click.UsageError("found --only beside --task or --on; expected a task that runs alone, and here")
    if workers is not None and target != "local":
        raise click.UsageError(f"found --workers beside --on {target}; expected one: an engine has its own queue")
    here = Path.cwd()
    project = open_project(here if pipeline is None else pipeline)
    engine = engine_of(project, target)
    file = chosen(pipeline, here=here, project=project.root)
    loaded = load_pipeline(project, file, parameters, task=only or task, downstream=downstream)
    carry_out(
        project,
        loaded,
        workers=workers,
        force=force,
        wait=wait,
        follow=follow,
        events=events,
        as_json=as_json,
        only=only,
        engine=engine,
    )


def _refuse_what_does_not_go_together(
    *, task: str | None, downstream: bool, follow: bool, events: bool, as_json: bool
) -> None:
    if downstream and task is None:
        raise click.UsageError("found --downstream without --task; expected the task to begin at")
    if events and (as_json or follow):
        raise click.UsageError("found --events beside --json or --follow; expected one way to tell what happens")


def carry_out(
    project: Project,
    loaded: Loaded,
    *,
    workers: int | None,
    force: bool,
    wait: bool,
    as_json: bool,
    resume: bool = False,
    follow: bool = False,
    events: bool = False,
    only: str | None = None,
    engine: Engine | None = None,
) -> None:
    """Run `loaded` under the eyes of the user; raises `RunFailed` when a task failed."""
    from .. import assemble

    reasons = StartReasons()
    with _shown(loaded, follow=follow, events=events) as progress:
        report = assemble.run(
            project,
            loaded,
            workers=workers,
            force=force,
            wait=wait,
            resume=resume,
            only=only,
            listeners=(reasons, progress),
            engine=engine,
            note=lambda words: click.echo(words, err=True),
        )
    if as_json:
        print_json(report)
    elif not events:
        _sum_up(project, loaded.pipeline.name, report, reasons)
    _raise_if_failed(report)


def _shown(loaded: Loaded, *, follow: bool, events: bool) -> Progress:
    if events:
        from .events import Events

        return Events()
    return progress_on(follow=Follow(is_prefixed=len(loaded.pipeline.tasks) > 1) if follow else None)


class StartReasons:
    """Remembers why each task had to run: a finished task no longer says so."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, TaskStarted):
            self._reasons.setdefault(event.task, event.reason)

    def of(self, finished: TaskFinished) -> str:
        """Why it ended so if that is known, else why it ran; the first line only."""
        told = finished.reason or self._reasons.get(finished.task, "")
        return told.strip().split("\n", 1)[0]


def counted(finished: Sequence[TaskFinished]) -> dict[str, int]:
    """How many tasks ended in each outcome, the good ones first."""
    outcomes = [task.outcome for task in finished]
    return {outcome: outcomes.count(outcome) for outcome in ("done", "fresh", "failed", "blocked", "stopped")}


def _sum_up(project: Project, pipeline: str, report: RunReport, reasons: StartReasons) -> None:
    rows = [
        (
            task.task,
            task.outcome,
            duration(task.elapsed_s) if task.elapsed_s else "",
            reasons.of(task),
        )
        for task in report.finished
    ]
    click.echo()
    print_table(("task", "outcome", "time", "reason"), rows)
    click.echo()
    counts = counted(report.finished)
    if counts["fresh"] == len(report.finished):
        click.echo(f"everything is fresh: none of the {len(report.finished)} tasks of {pipeline} had to run")
    click.echo(
        f"run {report.run_id} of {pipeline}: {report.outcome} in {duration(report.elapsed_s)} ({in_words(counts)})"
    )
    click.echo(f"record: {delivered(project, report.delivery)}")


def _raise_if_failed(report: RunReport) -> None:
    failed = [task.task for task in report.finished if task.outcome == "failed"]
    if failed or report.outcome == "failed":
        raise RunFailed(failed, [task.task for task in report.finished if task.outcome == "blocked"])
    if report.outcome == "stopped":
        raise KeyboardInterrupt


def delivered(project: Project, report: DeliveryReport) -> str:
    """What became of the record of a run, in one line."""
    if not project.settings.tracking:
        return "kept in .nbproof/runs (tracking is off)"
    if report.waiting:
        because = f" ({report.reason})" if report.reason else ""
        return f"{report.waiting} entries wait for {tracker_of(project)}{because}; send them: nbproof runs sync"
    return f"{tracker_of(project)}, experiment {project.settings.experiment}"


def tracker_of(project: Project) -> str:
    """Where the tracker of a project keeps its records, as one would name it from here."""
    return project.settings.tracking_uri or f"sqlite:///{near(project.root / 'mlflow.db')}"
