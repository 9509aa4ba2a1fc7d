"""What a run looks like while it goes on: one live line a notebook on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from ..records import CellOutput, CellStarted, Event, TaskFinished, TaskStarted
from .output import STYLES, duration

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

# A line that does not end, such as a progress bar, is shown again so often where nothing can be overwritten.
STANDING_EVERY_S = 10.0


class Progress(Protocol):
    """A listener that shows what it hears for as long as it is entered."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def __call__(self, event: Event, /) -> None: ...


def progress_on(stream: TextIO | None = None, *, follow: Follow | None = None) -> Progress:
    """The progress that suits `stream` (stderr unless told, so that stdout holds only the result).

    With `follow` it shows what the cells say, too.
    """
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(stream, follow)
    return PlainProgress(stream, follow)


class Follow:
    """What cells say, as lines to show: each with its task's name when there are several."""

    def __init__(self, *, is_prefixed: bool) -> None:
        self._is_prefixed = is_prefixed
        self._shown: dict[tuple[str, str], tuple[str, float]] = {}

    def lines(self, event: CellOutput) -> list[str]:
        """The lines that have ended."""
        if not event.text:
            return []
        self._shown.pop((event.task, event.stream), None)
        return [self._named(event.task, line) for line in event.text.removesuffix("\n").split("\n")]

    def standing(self, event: CellOutput) -> list[str]:
        """The line that has not ended, such as a progress bar: when it has changed, and not all the time."""
        line, at = self._shown.get((event.task, event.stream), ("", -STANDING_EVERY_S))
        if not event.line or event.line == line or event.at - at < STANDING_EVERY_S:
            return []
        # A line may go on a moment later; only one that stands for a while is worth showing.
        self._shown[event.task, event.stream] = event.line, event.at
        return [self._named(event.task, event.line)] if at > 0 else []

    def _named(self, task: str, line: str) -> str:
        return f"{task} | {line}" if self._is_prefixed else line


class PlainProgress:
    """One line when a notebook starts and one when it ends; with `follow` what its cells say in between."""

    def __init__(self, stream: TextIO, follow: Follow | None = None) -> None:
        self._stream, self._follow = stream, follow

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._stream.flush()

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, CellOutput):
            if self._follow is not None:
                self._write([*self._follow.lines(event), *self._follow.standing(event)])
        elif line := line_for(event):
            self._write([line])

    def _write(self, lines: list[str]) -> None:
        if lines:
            # One write a line, so that the lines of two workers do not run into each other.
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()


class LiveProgress:
    """One line a running notebook: cell i of n and the time it took so far; finished ones scroll up.

    With `follow` what cells say scrolls up, and the line also shows what its cell has not finished saying.
    """

    def __init__(self, stream: TextIO, follow: Follow | None = None) -> None:
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
        self._cells: dict[str, str] = {}
        self._follow = follow

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
            self._cells[event.task] = f"cell {event.cell} of {event.cells}"
            self._bars.update(self._lines[event.task], cell=self._cells[event.task])
        elif isinstance(event, CellOutput):
            self._show(event)
        elif isinstance(event, TaskFinished):
            self._drop(event.task)
            self._say(event)

    def _show(self, event: CellOutput) -> None:
        from rich.text import Text

        if self._follow is None:
            return
        if lines := self._follow.lines(event):
            self._bars.console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)
        if event.task in self._lines:
            standing = Text.from_ansi(event.line).plain
            cell = " · ".join(filter(None, [self._cells.get(event.task, ""), standing]))
            self._bars.update(self._lines[event.task], cell=cell)

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
