"""What a run looks like while it goes on: one live line a notebook on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from ..records import CellStarted, Event, TaskFinished, TaskStarted
from .output import STYLES, duration

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID


class Progress(Protocol):
    """A listener that shows what it hears for as long as it is entered."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def __call__(self, event: Event, /) -> None: ...


def progress_on(stream: TextIO | None = None) -> Progress:
    """The progress that suits `stream` (stderr unless told, so that stdout holds only the result)."""
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(stream)
    return PlainProgress(stream)


class PlainProgress:
    """One line when a notebook starts and one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event, /) -> None:
        if line := line_for(event):
            # One write a line, so that the lines of two workers do not run into each other.
            self._stream.write(line + "\n")
            self._stream.flush()


class LiveProgress:
    """One line a running notebook: cell i of n and the time it took so far; finished ones scroll up."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[cell]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
            refresh_per_second=4,
            # Cells may print through the console; the bars are ours alone.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> LiveProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._bars.stop()

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, TaskStarted):
            self._drop(event.task)
            self._lines[event.task] = self._bars.add_task(_named(event.task, event.attempt), cell="starting its kernel")
        elif isinstance(event, CellStarted) and event.task in self._lines:
            self._bars.update(self._lines[event.task], cell=f"cell {event.cell} of {event.cells}")
        elif isinstance(event, TaskFinished):
            self._drop(event.task)
            self._say(event)

    def _say(self, event: TaskFinished) -> None:
        from rich.text import Text

        if line := line_for(event):
            self._bars.console.print(Text(line, style=STYLES.get(event.outcome, "")))

    def _drop(self, task: str) -> None:
        if (line := self._lines.pop(task, None)) is not None:
            self._bars.remove_task(line)


def line_for(event: Event) -> str | None:
    """The plain line that tells of `event`; None when it needs no line of its own."""
    if isinstance(event, TaskStarted):
        return f"start   {_named(event.task, event.attempt)}{_because(event.reason)}"
    if isinstance(event, TaskFinished):
        took = f" in {duration(event.elapsed_s)}" if event.outcome in ("done", "failed", "stopped") else ""
        because = "" if event.outcome in ("done", "fresh") else _because(event.reason)
        return f"{event.outcome:7} {event.task}{took}{because}"
    return None


def _named(task: str, attempt: int) -> str:
    return f"{task} (attempt {attempt})" if attempt > 1 else task


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
