"""LIME with as many points as it takes until the explanation no longer depends on the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ...errors import DataUnusable
from ..explanation import Explanation

# Samples from which on nobody waits for more.
MOST = 64_000


@dataclass(frozen=True, slots=True)
class Grown:
    """An explanation with `samples` points, and how stable it is.

    `stability` (rows, outputs) is the variables stability index of each row; `is_stable` says whether its mean has
    reached `floor`. The same stands in the explanation's settings, and in a note where the floor was not reached.
    """

    explanation: Explanation
    samples: int
    stability: NDArray[np.float64]
    floor: float

    @property
    def mean(self) -> float:
        return float(self.stability.mean())

    @property
    def is_stable(self) -> bool:
        return self.mean >= self.floor


def grow(
    explain: Callable[[int, int], Explanation],
    *,
    seed: int = 0,
    floor: float = 0.9,
    seeds: int = 5,
    top: int = 5,
    samples: int = 1000,
    most: int = MOST,
) -> Grown:
    """Explain with `explain(seed, samples)`, doubling `samples` until the stability over `seeds` seeds passes `floor`.

    `top` features are compared. The seeds are `seed`, `seed + 1`, and so on, and the explanation is that of `seed`. At
    `most` samples it ends, stable or not: the result says which.

    Raises `DataUnusable` for options of which nothing can be learnt.
    """
    if seeds < 2:
        raise DataUnusable("seeds", str(seeds), "at least 2, to compare them")
    if not 0.0 < floor <= 1.0:
        raise DataUnusable("floor", str(floor), "more than 0 and at most 1")
    if most < samples:
        raise DataUnusable("most", str(most), f"at least {samples}, the samples to begin with")
    while True:
        found = [explain(seed + step, samples) for step in range(seeds)]
        grown = _described(found, samples, stability([_selected(each) for each in found], top), floor)
        if grown.is_stable or samples == most:
            return grown
        samples = min(2 * samples, most)


def stability(selected: Sequence[NDArray[np.int64]], top: int) -> NDArray[np.float64]:
    """The variables stability index (rows, outputs): the mean share of the `top` features that two seeds agree on.

    `selected`, one array (rows, outputs, K) for each seed, holds features from the most important on, -1 for none
    (Visani, Bagli, Chesani 2020, "OptiLIME").
    """
    return np.asarray(np.mean([_overlap(one, other, top) for one, other in combinations(selected, 2)], axis=0))


def _overlap(one: NDArray[np.int64], other: NDArray[np.int64], top: int) -> NDArray[np.float64]:
    first, second = one[:, :, :top, None], other[:, :, None, :top]
    alike = ((first == second) & (first >= 0)).sum(axis=(2, 3))
    named = np.maximum((first >= 0).sum(axis=(2, 3)), (second >= 0).sum(axis=(2, 3)))
    return np.where(named > 0, alike / np.maximum(named, 1), 1.0)


def _selected(explanation: Explanation) -> NDArray[np.int64]:
    assert explanation.surrogate is not None
    return explanation.surrogate.selected


def _described(found: Sequence[Explanation], samples: int, indices: NDArray[np.float64], floor: float) -> Grown:
    """The first explanation with what the others told of it; the last one knows what all cost."""
    grown = Grown(found[0], samples, indices, floor)
    settings = {
        **found[0].settings,
        "stability": grown.mean,
        "stability_least": float(indices.min()),
        "stability_floor": floor,
        "stability_seeds": len(found),
        "is_stable": grown.is_stable,
    }
    notes = found[0].notes
    if not grown.is_stable:
        notes = (
            *notes,
            f"not stable: over {len(found)} seeds {grown.mean:.0%} of the first features agree with {samples} samples, "
            f"where {floor:.0%} were asked for",
        )
    explanation = replace(found[0], settings=settings, notes=notes, cost=found[-1].cost)
    return replace(grown, explanation=explanation)
