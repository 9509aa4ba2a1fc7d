"""Runs as runs of Weights & Biases, written offline: folders that `wandb sync` takes, whenever somebody types it.

A run that has ended becomes a group: one run for each attempt at a notebook, and one for each child that it logged.
Nothing is sent to anybody from here. What is written is what the journal holds, under an id that the same run always
has, so that writing it twice makes nothing new.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MirrorFailed
from ..extras import require
from ..records import LoggedEntry, RunFinished, RunStarted, TaskFinished, TaskStarted
from .capture.session import NotebookSession
from .lines import Entry, as_text
from .tracker import Files
from .wandb_file import missing

PREFIX = "offline-run"


@dataclass(frozen=True, slots=True)
class Written:
    """One run as it is written. `steps` holds the metrics by their step; `parts` is what its id is made of."""

    parts: tuple[str, ...]
    name: str
    group: str
    is_good: bool
    config: Mapping[str, Any]
    tags: Mapping[str, str]
    steps: Mapping[int, Mapping[str, float]]

    @property
    def id(self) -> str:
        """The same for the same attempt, wherever and whenever it is written."""
        return hashlib.sha256("/".join(self.parts).encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Told:
    """What is known of a run by now."""

    started: RunStarted | None = None
    tasks: dict[tuple[str, int], TaskStarted] = field(default_factory=dict)
    finished: dict[tuple[str, int], TaskFinished] = field(default_factory=dict)


class WandbTracker:
    """Writes runs that have ended into a folder. Raises `ExtraMissing` when wandb is not installed."""

    def __init__(self, folder: Path, project: str) -> None:
        """`project` is the name of the project of Weights & Biases that the runs would go to."""
        require("wandb")
        # Its client reports errors of its own to its makers, and reads this when it is imported.
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        # A process that writes for others, too, would not end when it is told to.
        os.environ.pop("WANDB_SERVICE", None)
        self._folder, self._project = folder, project
        self._told: dict[str, _Told] = {}
        self.written: list[Path] = []

    def deliver(self, entry: Entry, files: Files) -> None:
        """Take in one event; the last one of a run writes it. Files stay where they are: their hashes are told."""
        event = entry.event
        told = self._told.setdefault(event.run_id, _Told())
        match event:
            case RunStarted():
                told.started = event
            case TaskStarted():
                told.tasks[event.task, event.attempt] = event
            case TaskFinished() if event.attempt:
                told.finished[event.task, event.attempt] = event
            case RunFinished():
                self._write(event.run_id)

    def interrupt(self, run_id: str, at: float) -> None:
        """Write what is known of a run whose runner died."""
        self._write(run_id)

    def deliver_session(self, session: NotebookSession, files: Files) -> None:
        """Nothing: a session has no end at which it could be written once."""

    def _write(self, run_id: str) -> None:
        runs = runs_of(run_id, self._told.pop(run_id, _Told()))
        places = {self._folder / f"{PREFIX}-{run.group}-{run.id}": run for run in runs}
        absent = {place: run for place, run in places.items() if not place.exists()}
        if absent:
            _write(absent, self._folder, self._project)
            self.written += absent


def runs_of(run_id: str, told: _Told) -> Iterator[Written]:
    """The attempts of a run, and the children of each, as they are written."""
    provenance = told.started.provenance if told.started else None
    about = {
        "nbproof_run": run_id,
        "pipeline": told.started.pipeline if told.started else None,
        "git_commit": provenance.git_commit if provenance else None,
        "git_dirty": provenance.git_dirty if provenance else None,
        "environment": provenance.environment.hex if provenance else None,
    }
    for key in sorted({*told.tasks, *told.finished}):
        task, attempt = key
        began, ended = told.tasks.get(key), told.finished.get(key)
        outcome = f"{ended.outcome}: {ended.reason}".rstrip(": ") if ended else "interrupted"
        config = {
            **about,
            "task": task,
            "attempt": attempt,
            "outcome": outcome,
            "reason": began.reason if began else "",
            "started_at": began.at if began else None,
            "elapsed_s": ended.elapsed_s if ended else None,
            "products": {name: content for name, (_, content) in ended.products.items()} if ended else {},
        }
        logged, parameters = (ended.logged if ended else ()), (began.parameters if began else {})
        is_good = ended is not None and ended.outcome == "done"
        for child in dict.fromkeys((None, *(entry.child for entry in logged))):
            own = [entry for entry in logged if entry.child == child]
            name = f"{task}#{attempt}" if child is None else f"{task}#{attempt}/{child}"
            values = {**(parameters if child is None else {}), **_merged(own, "parameters")}
            spelled = {key: as_text(value) for key, value in values.items()}
            yield Written(
                parts=(run_id, task, str(attempt), *([child] if child is not None else [])),
                name=name,
                group=run_id,
                is_good=is_good,
                config={**config, "parameters": spelled},
                tags={key: str(value) for key, value in _merged(own, "tags").items()},
                steps=_steps(own),
            )


def _merged(entries: list[LoggedEntry], kind: str) -> dict[str, Any]:
    return {key: value for entry in entries if entry.kind == kind for key, value in entry.values.items()}


def _steps(entries: list[LoggedEntry]) -> dict[int, dict[str, float]]:
    """The metrics by step, in rising order: its client takes no step after a later one."""
    found: dict[int, dict[str, float]] = {}
    for entry in entries:
        if entry.kind == "metrics":
            found.setdefault(entry.step, {}).update({key: float(value) for key, value in entry.values.items()})
    return dict(sorted(found.items()))


def _write(runs: Mapping[Path, Written], folder: Path, project: str) -> None:
    """Write runs beside their places in a folder, and move them there once whole: no half of one is ever synced.

    `finish` returns before the process that the client has started has written the last of a run; it has written
    everything once it has ended. Raises `MirrorFailed` when it has not.
    """
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as workshop:
        try:
            try:
                for run in runs.values():
                    _log(run, Path(workshop) / run.id, project)
            finally:
                wandb.teardown()
        # Whatever becomes of its process, the client raises what it likes, and ends this one if that one has failed.
        except (Exception, SystemExit) as error:
            raise MirrorFailed(folder.name, f"the client ended with {type(error).__name__}: {error}") from error
        for place, run in runs.items():
            (made,) = (Path(workshop) / run.id / "wandb").glob(f"{PREFIX}-*")
            if found := missing(made, len(run.steps)):
                raise MirrorFailed(f"{folder.name}/{place.name}", found)
            made.rename(place)


def _log(run: Written, root: Path, project: str) -> None:
    import wandb

    root.mkdir()
    settings = wandb.Settings(
        mode="offline", root_dir=str(root), console="off", silent=True, disable_git=True, save_code=False,
        x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False,
    )  # fmt: skip
    made = wandb.init(
        project=project, id=run.id, name=run.name, group=run.group, job_type="notebook",
        config={**run.config, "tags": dict(run.tags)}, settings=settings, reinit="create_new",
    )  # fmt: skip
    for step, metrics in run.steps.items():
        made.log(dict(metrics), step=step)
    made.finish(exit_code=0 if run.is_good else 1)
