"""What a run looks like while it goes on."""

from __future__ import annotations

import io

from nbproof.cli.progress import LiveProgress, PlainProgress, line_for, progress_on
from nbproof.records import CellStarted, Event, RunFinished, TaskFinished, TaskStarted

STARTED = TaskStarted("r", 0.0, "clean", 1, "code cell 2 changed", {})
AGAIN = TaskStarted("r", 1.0, "clean", 2, "attempt 1 ran out of time", {})
DONE = TaskFinished("r", 2.0, "clean", "done", attempt=1, elapsed_s=3.21, reason="code cell 2 changed")
FAILED = TaskFinished("r", 2.0, "clean", "failed", attempt=1, elapsed_s=3.21, reason="ValueError: no rows")
BLOCKED = TaskFinished("r", 2.0, "report", "blocked", reason="clean failed")
FRESH = TaskFinished("r", 2.0, "load", "fresh", reason="nothing changed")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_start_and_each_end_has_its_line() -> None:
    """A start says why, a failure says what; cells and the run itself have no plain line."""
    events: list[Event] = [STARTED, AGAIN, DONE, FAILED, BLOCKED, FRESH]

    assert [line_for(event) for event in events] == [
        "start   clean: code cell 2 changed",
        "start   clean (attempt 2): attempt 1 ran out of time",
        "done    clean in 3.2 s",
        "failed  clean in 3.2 s: ValueError: no rows",
        "blocked report: clean failed",
        "fresh   load",
    ]
    assert line_for(CellStarted("r", 0.0, "clean", 1, 4)) is None
    assert line_for(RunFinished("r", 0.0, "done", 1.0, {})) is None


def test_a_pipe_gets_plain_lines() -> None:
    """Where nobody watches, lines come one by one without control characters."""
    stream = io.StringIO()

    progress = progress_on(stream)
    with progress:
        progress(STARTED)
        progress(CellStarted("r", 0.0, "clean", 1, 4))
        progress(DONE)

    assert isinstance(progress, PlainProgress)
    assert stream.getvalue() == "start   clean: code cell 2 changed\ndone    clean in 3.2 s\n"


def test_a_terminal_sees_the_cell_of_a_running_notebook() -> None:
    """On a terminal a running notebook has a line with cell i of n; what ended stays above it."""
    stream = Terminal()

    progress = LiveProgress(stream)
    with progress:
        progress(STARTED)
        progress(CellStarted("r", 0.0, "clean", 3, 4))
        progress._bars.refresh()
        progress(DONE)

    assert "cell 3 of 4" in stream.getvalue()
    assert "done    clean in 3.2 s" in stream.getvalue()


def test_a_retry_takes_the_line_of_its_first_attempt() -> None:
    """Two attempts at a task never show as two running notebooks."""
    stream = Terminal()

    progress = LiveProgress(stream)
    with progress:
        progress(STARTED)
        progress(AGAIN)

        assert [task.description for task in progress._bars.tasks] == ["clean (attempt 2)"]
