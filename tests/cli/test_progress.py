"""What a run looks like while it goes on."""

from __future__ import annotations

import io

from nbproof.cli.progress import Follow, LiveProgress, PlainProgress, line_for, progress_on
from nbproof.records import CellOutput, CellStarted, Event, RunFinished, TaskFinished, TaskStarted

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


def said(text: str, line: str = "", *, task: str = "clean", at: float = 0.0) -> CellOutput:
    return CellOutput("r", at, task, 3, "stdout", text, line)


def test_what_cells_say_is_shown_only_to_who_follows() -> None:
    """Several tasks are told apart by their names; without `--follow` nothing is shown."""
    silent, alone, several = io.StringIO(), io.StringIO(), io.StringIO()

    for stream, follow in ((silent, None), (alone, Follow(is_prefixed=False)), (several, Follow(is_prefixed=True))):
        with progress_on(stream, follow=follow) as progress:
            progress(said("one\n\ntwo\n"))
            progress(said("three\n", task="train"))

    assert silent.getvalue() == ""
    assert alone.getvalue() == "one\n\ntwo\nthree\n"
    assert several.getvalue() == "clean | one\nclean | \nclean | two\ntrain | three\n"


def test_a_line_that_does_not_end_is_shown_now_and_then() -> None:
    """In a log a progress bar has a line every ten seconds, not one for each of its states."""
    stream = io.StringIO()

    with progress_on(stream, follow=Follow(is_prefixed=False)) as progress:
        for tenth in range(250):
            progress(said("", f"{tenth} of 250", at=1000 + tenth / 10))
        progress(said("250 of 250\n", at=1025))

    assert stream.getvalue() == "100 of 250\n200 of 250\n250 of 250\n"


def test_a_terminal_shows_the_line_that_has_not_ended_beside_its_cell() -> None:
    """A bar moves in the line of its notebook, without its colours; whole lines scroll up."""
    stream = Terminal()

    progress = LiveProgress(stream, Follow(is_prefixed=False))
    with progress:
        progress(STARTED)
        progress(CellStarted("r", 0.0, "clean", 3, 4))
        progress(said("loaded [bold]\n", "\x1b[31m50 %\x1b[0m"))
        progress._bars.refresh()
        cell = progress._bars.tasks[0].fields["cell"]

    assert "loaded [bold]" in stream.getvalue()
    assert cell == "cell 3 of 4 · 50 %"
