"""What the journal of a run tells, gathered by task, and how two runs differ: plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..records import Event, LoggedEntry, RunFinished, RunStarted, TaskFinished, TaskStarted


@dataclass(frozen=True, slots=True)
class TaskStory:
    """One task of a run. `products` maps keys to (path, hash); `metrics` are those of the notebook itself.

    `at` is its end, or its start while it has none; `notebook` the executed notebook, relative to the project.
    """

    task: str
    outcome: str
    elapsed_s: float
    reason: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    products: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    at: float = 0.0
    notebook: str | None = None


@dataclass(frozen=True, slots=True)
class RunStory:
    """One run. `file` is the pipeline's, relative to the project; a run without an end was interrupted."""

    run_id: str
    at: float
    pipeline: str
    file: str
    outcome: str
    elapsed_s: float
    git_commit: str | None
    environment: str
    tasks: tuple[TaskStory, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about one task that is not the same in two runs."""

    task: str
    what: str
    before: str
    after: str


def told(events: Sequence[Event], *, is_running: bool = False) -> RunStory | None:
    """The run that `events` tell of, in the order they happened; None when not even its start is there.

    Without an end it is running if `is_running`, else it was interrupted.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        return None
    finished = next((event for event in events if isinstance(event, RunFinished)), None)
    unfinished = "running" if is_running else "interrupted"
    last_at = max(event.at for event in events)
    return RunStory(
        run_id=started.run_id,
        at=started.at,
        pipeline=started.pipeline,
        file=started.file,
        outcome=finished.outcome if finished else unfinished,
        elapsed_s=finished.elapsed_s if finished else last_at - started.at,
        git_commit=started.provenance.git_commit,
        environment=str(started.provenance.environment),
        tasks=tuple(_task(name, started, events, unfinished) for name in started.tasks),
    )


def _task(name: str, run: RunStarted, events: Sequence[Event], unfinished: str) -> TaskStory:
    """The last attempt counts; a task that began and did not end is `unfinished`."""
    parameters = run.parameters.get(name, {})
    begun = [event for event in events if isinstance(event, TaskStarted) and event.task == name]
    ended = [event for event in events if isinstance(event, TaskFinished) and event.task == name]
    reason = begun[-1].reason if begun else ""
    if not ended:
        at = begun[-1].at if begun else 0.0
        return TaskStory(name, unfinished if begun else "not started", 0.0, reason, parameters, at=at)
    last = ended[-1]
    return TaskStory(
        task=name,
        outcome=last.outcome,
        elapsed_s=last.elapsed_s,
        reason=last.reason or reason,
        parameters=parameters,
        metrics=metrics(last.logged),
        products=last.products,
        at=last.at,
        notebook=last.notebook,
    )


def metrics(logged: Iterable[LoggedEntry]) -> dict[str, float]:
    """The last value of each metric that a notebook logged about itself; those of nested runs are left out."""
    found: dict[str, float] = {}
    for entry in logged:
        if entry.kind == "metrics" and entry.child is None:
            found.update(entry.values)
    return found


def made_by(task: str, runs: Iterable[RunStory]) -> tuple[RunStory, TaskStory] | None:
    """The newest run (they come newest first) that carried out `task`, for a fresh task says nothing itself."""
    for run in runs:
        for found in run.tasks:
            if found.task == task and found.outcome == "done":
                return run, found
    return None


def last_of(tasks: Iterable[str], runs: Iterable[RunStory]) -> dict[str, tuple[RunStory, TaskStory]]:
    """The newest run (they come newest first) in which each task did something: one that was fresh did nothing."""
    looked_for, found = set(tasks), dict[str, tuple[RunStory, TaskStory]]()
    for run in runs:
        for task in run.tasks:
            if task.task in looked_for and task.outcome not in ("fresh", "not started"):
                found[task.task] = run, task
                looked_for.discard(task.task)
        if not looked_for:
            break
    return found


def differences(before: RunStory, after: RunStory) -> Iterator[Difference]:
    """What differs between two runs: outcome, parameters, metrics and products of each task, then provenance."""
    then = {task.task: task for task in before.tasks}
    now = {task.task: task for task in after.tasks}
    for name in [*then, *(name for name in now if name not in then)]:
        if name not in now or name not in then:
            yield Difference(
                name, "task", "there" if name in then else "not there", "there" if name in now else "not there"
            )
            continue
        yield from _task_differences(then[name], now[name])
    for what, old, new in (
        ("git commit", before.git_commit, after.git_commit),
        ("environment", before.environment, after.environment),
    ):
        if old != new:
            yield Difference("(run)", what, str(old), str(new))


def _task_differences(then: TaskStory, now: TaskStory) -> Iterator[Difference]:
    if then.outcome != now.outcome:
        yield Difference(now.task, "outcome", then.outcome, now.outcome)
    yield from _changed(now.task, "parameter", then.parameters, now.parameters)
    # A fresh task logs nothing and a failed one may have no products: silence is not a difference.
    if then.metrics and now.metrics:
        yield from _changed(now.task, "metric", then.metrics, now.metrics)
    if then.products and now.products:
        yield from _changed(now.task, "product", _hashes(then), _hashes(now))


def _hashes(task: TaskStory) -> dict[str, str]:
    """The hashes of what a task made, short; the executed notebook is left out, for it holds the times of its cells."""
    return {key: found[1].removeprefix("sha256:")[:12] for key, found in task.products.items() if key != "nb"}


def _changed(task: str, kind: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        if old != new:
            yield Difference(task, f"{kind} {name}", _short(old), _short(new))


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).removeprefix("sha256:")[:60]
