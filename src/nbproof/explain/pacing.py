"""Work cut so that no call is long, by how long the calls before it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .progress import Watch

# A size grows slowly, since the first calls are too short to tell much.
GROWTH = 4
# How long a black box may take before a cancel is heard.
CALL_S = 0.3
# By so many points it is learnt how slow it is: by few, since they may take long, then by more, and by these twice,
# since a busy machine makes one call long, but hardly two. A call that takes LONG_S tells enough.
PROBED, LONG_S = (4, 64, 64), 0.05


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
    """Yield slices that cover `total` rows, each as large as `pace` says, with a step of `watch` after each.

    Only for work whose result does not depend, bit by bit, on where it is cut.
    """
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


@dataclass(slots=True)
class Calls:
    """Asks a black box about many points, in calls of `most`; `watch` can cancel between two of them.

    The last digits of a product of matrices depend on how many rows are multiplied together, so the size of a call is
    part of the result, and fixed. Only of a slow model, where somebody may cancel, are calls made as short as CALL_S:
    a model that answers each row by itself then gives the same bits, any other the same to rounding.
    """

    watch: Watch
    most: int
    _pace: Pace | None = field(default=None, init=False)
    _is_fast: bool = field(default=False, init=False)

    def __call__(self, total: int, ask: Callable[[slice], NDArray[np.float64]]) -> NDArray[np.float64]:
        """The answers about `total` points; `ask` makes those of a slice and asks about them."""
        found: list[NDArray[np.float64]] = []
        start = 0
        if self.watch.cancel is not None and self._pace is None and not self._is_fast and total:
            found, start = self._probed(total, ask)
        while start < total:
            part = slice(start, min(start + (self.most if self._pace is None else self._pace.size), total))
            began = time.perf_counter()
            found.append(ask(part))
            if self._pace is not None:
                self._pace.took(part.stop - part.start, time.perf_counter() - began)
                self._pace.size = min(self._pace.size, self.most)
            start = part.stop
            self.watch.breathe()
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _probed(self, total: int, ask: Callable[[slice], NDArray[np.float64]]) -> tuple[list[NDArray[np.float64]], int]:
        """Ask about a few points: what a slow model said of them is kept, and how far that goes."""
        for probed in PROBED:
            size = min(probed, total, self.most)
            began = time.perf_counter()
            answers = ask(slice(0, size))
            seconds = time.perf_counter() - began
            self.watch.breathe()
            if size == total:
                # One call, as it would have been anyway; it tells too little of how fast the model is.
                return [answers], total
            if seconds * self.most / size <= CALL_S:
                self._is_fast = True
                return [], 0
            if seconds > LONG_S:
                break
        self._pace = Pace(CALL_S, size)
        self._pace.took(size, seconds)
        return [answers], size
