"""Long work tells how far it is, and ends when asked to."""

from __future__ import annotations

import threading

import pytest

from nbproof.errors import Cancelled
from nbproof.explain.progress import Estimate, Progress, Watch, chunks


def test_chunks_cover_everything_once() -> None:
    """Slices lie end to end, the last one shorter; no rows give no slice."""
    assert list(chunks(7, 3, Watch())) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(chunks(0, 3, Watch())) == []


def test_the_end_is_always_told() -> None:
    """However seldom progress is told, its last word is that all is done."""
    heard: list[Progress] = []

    for _ in chunks(10, 2, Watch(heard.append, every_s=1000)):
        pass

    assert [(each.done, each.total) for each in heard] == [(10, 10)]


def test_every_step_is_told_when_asked_for() -> None:
    """With no pause asked for, each chunk is told, and time does not run backwards."""
    heard: list[Progress] = []

    for _ in chunks(4, 2, Watch(heard.append, every_s=0)):
        pass

    assert [each.done for each in heard] == [0, 2, 4]
    assert heard == sorted(heard, key=lambda each: each.elapsed_s)


def test_cancel_ends_the_work_at_its_next_step() -> None:
    """Once cancelled, no further chunk is begun, and the error says how far the work was."""
    cancel = threading.Event()
    begun = []

    def work() -> None:
        for part in chunks(6, 2, Watch(cancel=cancel)):
            begun.append(part)
            cancel.set()

    with pytest.raises(Cancelled, match="cancelled after 2 of 6 rows") as raised:
        work()

    assert begun == [slice(0, 2)]
    assert (raised.value.done, raised.value.total) == (2, 6)


def test_work_that_is_done_is_not_cancelled() -> None:
    """A cancel that comes with the last chunk comes too late: the result is whole."""
    cancel = threading.Event()

    for part in chunks(4, 2, Watch(cancel=cancel)):
        if part.stop == 4:
            cancel.set()


def test_other_threads_run_between_chunks() -> None:
    """Even work that never leaves the interpreter lets a waiting thread in at every step."""
    came_in = threading.Event()
    thread = threading.Thread(target=came_in.set)

    for _ in chunks(50, 1, Watch()):
        if not thread.is_alive() and not came_in.is_set():
            thread.start()

    thread.join(60)
    assert came_in.is_set()


def test_what_remains_follows_from_what_was_done() -> None:
    """A quarter done in 2 seconds leaves 6; with nothing done nothing is known."""
    assert Progress(25, 100, 2.0).remaining_s == 6.0
    assert Progress(0, 100, 2.0).remaining_s is None
    assert Estimate(100, 4, 0.5).rows_per_s == 200
