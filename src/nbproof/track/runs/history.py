"""The history of a metric, thinned to what a picture can show, with its highest and lowest points still in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_POINTS = 1000


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric; `at_ms` is when it was logged. The value need not be finite."""

    step: int
    at_ms: int
    value: float


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most `most` (4 or more) of the points, in the order of their steps.

    The first, the last, and the highest and lowest of every stretch stay; so do the highest and lowest of all.
    """
    ordered = sorted(points, key=lambda point: (point.step, point.at_ms))
    if len(ordered) <= most:
        return ordered
    stretches = (most - 2) // 2
    keep = {0, len(ordered) - 1}
    for number in range(stretches):
        begin, end = len(ordered) * number // stretches, len(ordered) * (number + 1) // stretches
        keep |= _extremes(ordered, begin, end)
    return [ordered[index] for index in sorted(keep)]


def _extremes(points: Sequence[Point], begin: int, end: int) -> set[int]:
    """The places of the lowest and the highest value; where no value can be compared, that of the first point."""
    comparable = [index for index in range(begin, end) if not math.isnan(points[index].value)]
    if not comparable:
        return {begin}
    return {
        min(comparable, key=lambda index: points[index].value),
        max(comparable, key=lambda index: points[index].value),
    }
