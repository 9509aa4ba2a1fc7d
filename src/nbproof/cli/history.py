"""`nbproof runs`: what was run here, what came of it, and how two runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AskedWrongly, JournalDamaged, TrackerUnavailable, UnknownName
from . import completing
from .building import carry_out, delivered, tracker_of
from .output import as_json, duration, in_words, moment, near, number, print_json, print_table, wrapped
from .story import RunStory, TaskStory, differences, made_by, told

if TYPE_CHECKING:
    from ..assemble import Project

SHOWN_RUNS = 20
REPORT = "report"


@click.group()
def runs() -> None:
    """What was run here, what it made, what differs.

    RUN is a run's id, or enough of its start.

    \b
    Example:
      nbproof runs list
      nbproof runs show
    """


@runs.command("list")
@click.option(
    "-n",
    "--at-most",
    type=click.IntRange(min=1),
    default=SHOWN_RUNS,
    show_default=True,
    help="Show no more than these.",
)
@as_json
def list_runs(at_most: int, as_json: bool) -> None:
    """List the runs of this project, newest first.

    \b
    Example:
      nbproof runs list -n 5
    """
    from ..track import journal

    found = journal.runs(_project().root)[:at_most]
    if as_json:
        print_json(found)
        return
    rows = [
        (run.run_id, run.pipeline, moment(run.at), run.outcome, duration(run.elapsed_s), in_words(run.counts))
        for run in found
    ]
    if rows:
        print_table(("run", "pipeline", "started", "outcome", "time", "tasks"), rows)
    else:
        click.echo("no runs yet; start one: nbproof run")


@runs.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@click.option("--results", is_flag=True, help="Only what came of it: the report, the record and the metrics.")
@as_json
def show(run: str | None, results: bool, as_json: bool) -> None:
    """Show one run: its tasks, metrics and results.

    Without RUN it is the last one. What a fresh task made and measured is taken from the run that carried it out.

    \b
    Example:
      nbproof runs show
      nbproof runs show 20260301-0930 --json
    """
    project = _project()
    history = History(project.root)
    story = history.find(run)
    if as_json:
        logs = {task: str(path) for task, path in _logs(project, story).items()}
        print_json({**_summary(story), "tasks": story.tasks, "results": _results(story, history), "logs": logs})
        return
    if not results:
        _print_head(story)
        rows = [(task.task, task.outcome, duration(task.elapsed_s), _first_line(task.reason)) for task in story.tasks]
        print_table(("task", "outcome", "time", "reason"), rows)
        click.echo()
        failed = {task.task for task in story.tasks if task.outcome in ("failed", "stopped")}
        for task, path in _logs(project, story).items():
            if task in failed:
                click.echo(f"log      {near(path)}")
    _print_results(project, story, history)


@runs.command()
@click.argument("before")
@click.argument("after", required=False)
@as_json
def compare(before: str, after: str | None, as_json: bool) -> None:
    """Say how run AFTER differs from run BEFORE.

    Outcomes, parameters, metrics, products and provenance are compared; AFTER is the last run unless told.

    \b
    Example:
      nbproof runs compare 20260301-0930 20260302-0930
    """
    history = History(_project().root)
    first, second = history.find(before), history.find(after)
    found = list(differences(first, second))
    if as_json:
        print_json({"before": first.run_id, "after": second.run_id, "differences": found})
        return
    if not found:
        click.echo(f"{first.run_id} and {second.run_id} differ in nothing that was recorded")
        return
    print_table(("task", "what", first.run_id, second.run_id), [(d.task, d.what, d.before, d.after) for d in found])


@runs.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@click.option("--workers", type=click.IntRange(min=1), help="How many notebooks may run at once.")
@click.option("--wait", is_flag=True, help="Wait for another build of this pipeline instead of refusing.")
@as_json
def resume(run: str | None, workers: int | None, wait: bool, as_json: bool) -> None:
    """Carry on where a run stopped.

    The same pipeline with the same parameters; without RUN, those of the last run. What it finished is fresh, unless
    something changed since, and does not run again. A notebook that stopped goes on after its last cell tagged
    `checkpoint`, or runs from its start where something above that cell changed.

    \b
    Example:
      nbproof runs resume
    """
    from ..assemble import load_pipeline

    project = _project()
    story = History(project.root).find(run)
    if not (project.root / story.file).is_file():
        raise AskedWrongly(
            f"run {story.run_id} was of `{story.file}`, which is not there; expected a pipeline or a notebook",
            hint="nbproof runs list",
        )
    loaded = load_pipeline(project, project.root / story.file, tuple(_as_asked(story)))
    carry_out(project, loaded, workers=workers, force=False, wait=wait, as_json=as_json, resume=True)


@runs.command()
@as_json
def sync(as_json: bool) -> None:
    """Send the records that wait to the tracker now.

    \b
    Example:
      nbproof runs sync
    """
    from ..track.courier import sync as deliver_now

    project = _project()
    report = deliver_now(project.root, project.settings)
    if as_json:
        print_json(report)
    else:
        click.echo(delivered(project, report))
    if report.waiting and project.settings.tracking:
        raise TrackerUnavailable(report.reason or f"{report.waiting} records wait")


@dataclass(frozen=True, slots=True)
class History:
    """The runs that the journals of a project remember; a damaged journal hides no other."""

    project: Path

    def __iter__(self) -> Iterator[RunStory]:
        """Every run that can be read, newest first."""
        from ..track import journal

        for path in reversed(journal.journals(self.project)):
            try:
                story = _read(path)
            except JournalDamaged as error:
                click.echo(f"warning: {error}; {error.hint}", err=True)
                continue
            if story is not None:
                yield story

    def find(self, start: str | None) -> RunStory:
        """The run whose id begins with `start`, the newest without it. Raises `UnknownName` unless there is one."""
        if start is None:
            for story in self:
                return story
            raise AskedWrongly(f"found no run in `{self.project}`, expected at least one", hint="nbproof run")
        from ..track import journal

        paths = {path.stem: path for path in journal.journals(self.project)}
        found = [run_id for run_id in paths if run_id == start] or [
            run_id for run_id in paths if run_id.startswith(start)
        ]  # fmt: skip
        if len(found) != 1:
            raise UnknownName("run", start, found or list(paths)[-5:], hint="nbproof runs list")
        named = _read(paths[found[0]])
        if named is None:
            raise AskedWrongly(f"run {found[0]} left no record of its start", hint="nbproof runs list")
        return named


def _read(path: Path) -> RunStory | None:
    from ..track import journal

    return told(journal.read(path), is_running=journal.is_live(path))


@runs.command()
@click.argument("run", required=False, shell_complete=completing.runs)
@click.option("--to", "to", type=click.Choice(["wandb"]), required=True, help="The other tracker.")
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to (default: wandb/).")
@as_json
def mirror(run: str | None, to: str, out: Path | None, as_json: bool) -> None:
    """Write runs for another tracker, offline.

    RUN, or every run that has ended, becomes folders that `wandb sync` takes. Nothing is sent from here, and what was
    written before is not written again.

    \b
    Example:
      nbproof runs mirror --to wandb
      nbproof runs mirror 20260301-0930 --to wandb --out mirrored
    """
    from ..track import journal
    from ..track.mirroring import mirror as tell
    from ..track.wandb_tracker import WandbTracker

    project = _project()
    folder = (out or project.root / to).resolve()
    chosen = [History(project.root).find(run).run_id] if run else [each.run_id for each in journal.runs(project.root)]
    tracker = WandbTracker(folder, project.settings.experiment)
    waiting = tell(project.root, reversed(chosen), tracker)
    if as_json:
        print_json({"written": [str(path) for path in tracker.written], "waiting": waiting})
        return
    click.echo(f"{len(tracker.written)} runs written to {near(folder)}")
    if waiting:
        click.echo(f"{', '.join(waiting)} still runs: mirror it when it has ended")
    if tracker.written:
        click.echo(f"to send them: wandb sync {near(folder)}/offline-run-*")


def _project() -> Project:
    from ..assemble import open_project

    return open_project(Path.cwd())


def _as_asked(story: RunStory) -> Iterator[str]:
    """The parameters of a run as `-p` takes them."""
    for task in story.tasks:
        for name, value in task.parameters.items():
            yield f"{task.task}.{name}={value if isinstance(value, str) else json.dumps(value)}"


def _counts(run: RunStory) -> dict[str, int]:
    outcomes = [task.outcome for task in run.tasks]
    return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}


def _summary(run: RunStory) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "file": run.file,
        "at": run.at,
        "outcome": run.outcome,
        "elapsed_s": run.elapsed_s,
        "counts": _counts(run),
        "git_commit": run.git_commit,
        "environment": run.environment,
    }


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _logs(project: Project, story: RunStory) -> dict[str, Path]:
    """The logs of what the cells of each task said, where there are any."""
    from ..run.logs import folder_of, log_path

    folder = folder_of(project.root, story.run_id)
    paths = {task.task: log_path(folder, task.task) for task in story.tasks}
    return {task: path for task, path in paths.items() if path.is_file()}


def _made(story: RunStory, history: History) -> Iterator[tuple[RunStory, TaskStory]]:
    """Each task that succeeded with the run that carried it out: this one, or an earlier one when it was fresh."""
    # Only what came before counts: a later run says nothing about this one.
    earlier: list[RunStory] | None = None
    for task in story.tasks:
        if task.outcome == "done":
            yield story, task
        elif task.outcome == "fresh":
            earlier = earlier if earlier is not None else [
                run for run in history if run.at < story.at and run.file == story.file
            ]  # fmt: skip
            if maker := made_by(task.task, earlier):
                yield maker


def _results(story: RunStory, history: History) -> list[dict[str, Any]]:
    return [
        {"task": task.task, "run_id": run.run_id, "metrics": task.metrics, "products": task.products}
        for run, task in _made(story, history)
    ]


def _print_head(story: RunStory) -> None:
    click.echo(f"run {story.run_id} of {story.pipeline} ({story.file})")
    click.echo(f"{story.outcome} in {duration(story.elapsed_s)}, started {moment(story.at)}")
    click.echo(f"git {story.git_commit or 'none'}, environment {story.environment.removeprefix('sha256:')[:12]}")
    click.echo()


def _tracked(project: Project, run_id: str) -> str:
    """Where the record of a run is: what still waits is not called tracked."""
    from ..track import delivery, journal

    if not project.settings.tracking:
        return f"nowhere (tracking is off): run {run_id} is kept in .nbproof/runs"
    where = f"{tracker_of(project)}, experiment {project.settings.experiment}"
    if delivery.count_waiting(project.root, journal.path_of(project.root, run_id)) == 0:
        return f"run {run_id} in {where}"
    return f"not yet: run {run_id} waits for {where}; send it: nbproof runs sync"


def _print_results(project: Project, story: RunStory, history: History) -> None:
    made = list(_made(story, history))
    for _, task in made:
        if REPORT in task.products:
            click.echo(f"report   {near(project.root / task.products[REPORT][0])}")
    click.echo(f"tracked  {_tracked(project, story.run_id)}")
    makers = {run.run_id for run, _ in made}
    if len(makers) == 1 and makers != {story.run_id}:
        click.echo(f"made by  run {made[0][0].run_id}")
    for run, task in made:
        if task.metrics:
            shown = ", ".join(f"{name} {number(value)}" for name, value in task.metrics.items())
            of = f" (run {run.run_id})" if len(makers) > 1 else ""
            click.echo(wrapped(f"metrics  {task.task}: {shown}{of}", indent=9))
