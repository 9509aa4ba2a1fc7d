"""A clock that is wrong for a while: nothing runs twice by it, and nothing is given up that is still to come."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbproof.schedule.arrival import Stillness
from nbproof.schedule.attending import AT_ONCE, Claim, end, look
from nbproof.schedule.definition import Schedule, Trigger, Work
from nbproof.schedule.ledger import Ledger
from nbproof.schedule.policy import Policy

DAY = 86400.0
START = 20_000 * DAY + 1.0


class Clock:
    """A schedule whose ticks are done at once, unless told to go on, and a clock that shows what it is told."""

    def __init__(self, project: Path, every_s: int, **policy: Any) -> None:
        self.ledger, self.stillness = Ledger(project), Stillness()
        self.ran, self.is_quick = Counter[float](), True
        self.schedule = Schedule(
            name="clock",
            work=Work(kind="pipeline", path="p"),
            trigger=Trigger(every_s=every_s),
            policy=Policy(**policy),
        )
        self.held = contextlib.ExitStack()
        with self.ledger.writing() as book:
            book.add(self.schedule, START, None)

    def shows(self, days: float) -> None:
        """Let a daemon look when the clock shows so many days after the start."""
        look(self.ledger, START + days * DAY, self._start, self.stillness)

    def states(self) -> dict[float, str]:
        """The state of each tick, by the day after the start."""
        with self.ledger.reading() as book:
            return {round((entry.at - START + 1) / DAY, 6): entry.state for entry in book.entries("clock", 10_000)}

    def _start(self, claim: Claim) -> None:
        self.ran[round((claim.entry.at - START + 1) / DAY, 6)] += 1
        if not self.is_quick:
            self.held.callback(os.close, os.dup(claim.descriptor))
            return
        with self.ledger.writing() as book:
            end(book, self.schedule, claim.entry, "done", "", None, claim.entry.at)


@contextlib.contextmanager
def clock(project: Path, every_s: int, **policy: Any) -> Iterator[Clock]:
    made = Clock(project, every_s, **policy)
    with made.held:
        yield made


def test_what_was_missed_in_a_future_that_was_none_comes_again(tmp_path: Path) -> None:
    """The clock jumps ahead by days and is put back: those days come as if nothing had been."""
    with clock(tmp_path, int(DAY), catch_up="none") as made:
        made.shows(1)
        made.shows(4.5)
        assert made.states() == {1: "done", 2: "missed", 3: "missed", 4: "missed"}

        made.shows(1.5)
        assert made.states() == {1: "done"}
        for day in (2, 3, 4):
            made.shows(day)

    assert made.states() == dict.fromkeys((1, 2, 3, 4), "done")
    assert made.ran == dict.fromkeys((1, 2, 3, 4), 1)


def test_what_has_run_too_early_does_not_run_again(tmp_path: Path) -> None:
    """One that was made good in that future has run; only the others come again."""
    with clock(tmp_path, int(DAY), catch_up="last") as made:
        made.shows(3.5)
        assert made.states() == {1: "missed", 2: "missed", 3: "done"}
        made.shows(1.5)
        for day in (2, 3, 4):
            made.shows(day)

    assert made.states() == {1: "missed", 2: "done", 3: "done", 4: "done"}
    assert made.ran == {2: 1, 3: 1, 4: 1}


def test_a_second_back_ends_nothing(tmp_path: Path) -> None:
    """A tick that runs is no later tick of itself when the clock shows its moment again."""
    with clock(tmp_path, int(DAY), overlap="cancel") as made:
        made.is_quick = False
        made.shows(1)
        for day in (1 - 5 / DAY, 1, 1 + 5 / DAY):
            made.shows(day)

        with made.ledger.reading() as book:
            assert [(entry.state, entry.wants_end) for entry in book.entries("clock")] == [("running", None)]
    assert made.ran == {1: 1}


def test_more_than_one_look_can_decide(tmp_path: Path) -> None:
    """A day of minutes at once: the last of them runs, and each of the others is there as missed."""
    minutes = 1440
    assert minutes > 2 * AT_ONCE
    with clock(tmp_path, 60, catch_up="last") as made:
        for _ in range(minutes // AT_ONCE + 2):
            made.shows(1.00001 + 61 / DAY)

    assert Counter(made.states().values()) == {"missed": minutes, "done": 1}
    assert list(made.ran.values()) == [1]
