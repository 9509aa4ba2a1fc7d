"""Long work that says how far it is, can be cancelled, and leaves the process responsive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..errors import Cancelled

# Long enough for another thread that waits for the interpreter to be let in.
BREATH_S = 1e-4


@dataclass(frozen=True, slots=True)
class Progress:
    """How far some work is: `done` of `total` rows after `elapsed_s` seconds."""

    done: int
    total: int
    elapsed_s: float

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the rest will take at the speed so far; None while nothing is done."""
        return self.elapsed_s / self.done * (self.total - self.done) if self.done else None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What some work will cost, by a probe of `probed_rows` of its rows."""

    rows: int
    probed_rows: int
    seconds: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.seconds if self.seconds else float("inf")


Report = Callable[[Progress], None]


@dataclass(slots=True)
class Watch:
    """Hears of progress and asks for the end: `report` is called at most every `every_s` seconds, and at the end.

    Set `cancel` (from any thread) and the work raises `Cancelled` at its next step, at most a second later.
    """

    report: Report | None = None
    cancel: threading.Event | None = None
    every_s: float = 0.1
    _began: float = field(default=0.0, init=False)
    _told: float = field(default=0.0, init=False)
    _at: tuple[int, int] = field(default=(0, 1), init=False)

    def begin(self) -> None:
        self._began = self._told = time.perf_counter()

    def step(self, done: int, total: int) -> None:
        """Say that `done` of `total` rows are done; let other threads run; raise `Cancelled` if that was asked for."""
        self._at = done, total
        self.breathe()
        if self.report is None:
            return
        now = time.perf_counter()
        if done == total or now - self._told >= self.every_s:
            self._told = now
            self.report(Progress(done, total, now - self._began))

    def breathe(self) -> None:
        """Let other threads run; raise `Cancelled` if that was asked for, and there is something left to do."""
        done, total = self._at
        if done < total and self.cancel is not None and self.cancel.is_set():
            raise Cancelled(done, total)
        time.sleep(BREATH_S)


def chunks(total: int, size: int, watch: Watch) -> Iterator[slice]:
    """Yield slices of `size` rows that cover `total`, with a step of `watch` after each.

    `size` must follow from the shape of the work and never from the clock: where a model multiplies matrices, the
    last digits of its answers depend on how many rows are asked together.
    """
    watch.begin()
    watch.step(0, total)
    for start in range(0, total, size):
        stop = min(start + size, total)
        yield slice(start, stop)
        watch.step(stop, total)
