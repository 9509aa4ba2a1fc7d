"""The journal of each run: one line an event, on disk before anything else happens. It is also the spool."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import JournalDamaged
from ..records import CellOutput, CellStarted, ContentHash, Event, RunFinished, RunStarted, TaskFinished
from . import kept
from .lines import Entry, decode, encode

SUFFIX = ".jsonl"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

RunOutcome = Literal["done", "failed", "stopped", "running", "interrupted", "damaged"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list of runs.

    `at` is its start in seconds since the epoch. `outcome` is `running` while its runner lives, `interrupted` when the
    runner died before the end, and `damaged` when the journal cannot be read to its end.
    """

    run_id: str
    pipeline: str
    at: float
    outcome: RunOutcome
    elapsed_s: float
    counts: Mapping[str, int]
    tasks: tuple[str, ...]
    parameters: Mapping[str, Any]


def folder(project: Path) -> Path:
    """Where the journals of `project` lie, one file a run."""
    return project / ".nbproof" / "runs"


def path_of(project: Path, run_id: str) -> Path:
    """The journal of the run `run_id`."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"not a run id: {run_id!r}")
    return folder(project) / f"{run_id}{SUFFIX}"


class Journal:
    """A listener that writes every event, but what cells begin and say, to the journal of its run.

    A line is on disk (fsync) when the call returns; that of a fresh task, which was read from there, with the next one
    that is not. With `keep_files` the executed notebook is kept until it is
    delivered, so that a later run cannot take its place. Close the journal, or use a `with`, when the run is over.
    """

    def __init__(self, project: Path, *, keep_files: bool = True) -> None:
        self._project, self._keep_files = project, keep_files
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, CellStarted | CellOutput):
            return
        line = encode(Entry(event, self._notebook(event))).encode() + b"\n"
        with self._lock:
            self._append(event.run_id, line, is_news=not (isinstance(event, TaskFinished) and event.outcome == "fresh"))
            if isinstance(event, RunFinished):
                os.close(self._open.pop(event.run_id))

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journals; a run without a `RunFinished` counts as interrupted from now on."""
        with self._lock:
            while self._open:
                _, descriptor = self._open.popitem()
                os.close(descriptor)

    def _notebook(self, event: Event) -> ContentHash | None:
        if not isinstance(event, TaskFinished) or event.notebook is None or event.outcome == "fresh":
            return None
        path = self._project / event.notebook
        # A notebook that is gone already is no reason to lose the event.
        with contextlib.suppress(OSError):
            return kept.keep(path, kept.folder(self._project)) if self._keep_files else kept.content_hash(path)
        return None

    def _append(self, run_id: str, line: bytes, *, is_news: bool) -> None:
        if run_id not in self._open:
            self._open[run_id] = _open_for_writing(path_of(self._project, run_id))
        descriptor = self._open[run_id]
        while line:
            line = line[os.write(descriptor, line) :]
        # A thousand fresh tasks would otherwise wait a thousand times for the disk.
        if is_news:
            os.fsync(descriptor)


def read(path: Path) -> list[Event]:
    """The events of a journal; a last line that was cut short is left out.

    Raises `JournalDamaged` for any other line that is no event.
    """
    return [entry.event for entry, _ in entries(path)]


def entries(path: Path, offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """The entries of a journal from the byte `offset` on, each with the offset at which the next one begins."""
    with path.open("rb") as file:
        file.seek(offset)
        content = file.read()
    *lines, _torn = content.split(b"\n")
    for line in lines:
        try:
            entry = decode(line)
        except ValueError as error:
            number = path.read_bytes()[:offset].count(b"\n") + 1
            raise JournalDamaged(path, number, str(error)) from error
        offset += len(line) + 1
        yield entry, offset


def count_lines(path: Path, offset: int = 0) -> int:
    """How many whole lines a journal has from the byte `offset` on."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().count(b"\n")


def runs(project: Path) -> list[RunSummary]:
    """The runs of `project`, newest first. A journal that cannot be read is listed as damaged."""
    found = [summary for path in journals(project) if (summary := summarise(path)) is not None]
    return sorted(found, key=lambda summary: (summary.at, summary.run_id), reverse=True)


def journals(project: Path) -> list[Path]:
    """The journals of `project`, the oldest run first."""
    return sorted(folder(project).glob(f"*{SUFFIX}"), key=lambda path: (_started_at(path), path.name))


def summarise(path: Path) -> RunSummary | None:
    """One journal in short; None while it does not hold a single event."""
    is_damaged = False
    events: list[Event] = []
    try:
        for entry, _ in entries(path):
            events.append(entry.event)
    except JournalDamaged:
        is_damaged = True
    if not events and not is_damaged:
        return None
    first, last = (events[0], events[-1]) if events else (None, None)
    began = first.at if first else path.stat().st_mtime
    return RunSummary(
        run_id=path.name.removesuffix(SUFFIX),
        pipeline=first.pipeline if isinstance(first, RunStarted) else "",
        at=began,
        outcome="damaged" if is_damaged else _outcome(path, last),
        elapsed_s=last.elapsed_s if isinstance(last, RunFinished) else (last.at - began if last else 0.0),
        counts=dict(last.counts) if isinstance(last, RunFinished) else _counts(events),
        tasks=first.tasks if isinstance(first, RunStarted) else (),
        parameters=dict(first.parameters) if isinstance(first, RunStarted) else {},
    )


def is_live(path: Path) -> bool:
    """Whether some process still writes this journal."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _outcome(path: Path, last: Event | None) -> RunOutcome:
    if isinstance(last, RunFinished):
        return last.outcome
    return "running" if is_live(path) else "interrupted"


def _counts(events: list[Event]) -> dict[str, int]:
    """How many tasks ended in which way; of several attempts at a task the last one counts."""
    outcomes = {event.task: event.outcome for event in events if isinstance(event, TaskFinished)}
    counts: dict[str, int] = {}
    for outcome in outcomes.values():
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def _started_at(path: Path) -> float:
    try:
        with path.open("rb") as file:
            return decode(file.readline()).event.at
    except (OSError, ValueError):
        return path.stat().st_mtime


def _open_for_writing(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    # The system drops this lock when the process dies, however it dies: so the others know who still writes.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    content = Path(path).read_bytes()
    os.ftruncate(descriptor, content.rfind(b"\n") + 1)
    parent = os.open(path.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)
    return descriptor
