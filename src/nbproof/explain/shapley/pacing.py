"""Work cut so that no call is long, by how long the calls before it took.

Only for work whose result does not depend, bit by bit, on where it is cut.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..progress import Watch

# A size grows slowly, since the first calls are too short to tell much.
GROWTH = 4


@dataclass(slots=True)
class Pace:
    """How much fits one call of `target_s` seconds, learnt from the calls so far; never less than `least`."""

    target_s: float
    size: int = 1
    least: int = 1

    def took(self, size: int, seconds: float) -> None:
        """A call did `size` of the work in `seconds`."""
        fitting = int(size * self.target_s / max(seconds, 1e-9))
        self.size = max(self.least, min(fitting, GROWTH * size))


def paced(total: int, watch: Watch, pace: Pace) -> Iterator[slice]:
    """Yield slices that cover `total` rows, each as large as `pace` says, with a step of `watch` after each."""
    watch.begin()
    watch.step(0, total)
    start = 0
    while start < total:
        stop = min(start + pace.size, total)
        began = time.perf_counter()
        yield slice(start, stop)
        pace.took(stop - start, time.perf_counter() - began)
        watch.step(stop, total)
        start = stop
