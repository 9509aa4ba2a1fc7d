"""Stability: whether an explanation says the same when it is computed again with other seeds.

Source: VSI and CSI, Visani et al. (2020), Statistical stability indices for LIME, arXiv 2001.11757.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from . import ranking

# Half the width of a 95 % interval, in standard errors.
WIDE = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Stability:
    """How `seeds` computations of the same rows agree.

    `vsi` is the mean over rows and pairs of seeds of the share of top-k features that both name, `worst` that of the
    least stable row, `below` the share of rows under 0.8. `csi` is the share of pairs of coefficients of a feature
    that both name whose 95 % intervals overlap; None where there are no standard errors. `flips` is the share of
    the top-k features (by mean over the seeds) whose sign is not the same under every seed; `apart` the largest
    difference between two seeds anywhere.
    """

    k: int
    seeds: int
    vsi: float
    worst: float
    below: float
    csi: float | None
    flips: float | None
    apart: float


def measure(
    values: NDArray[np.floating], *, k: int, errors: NDArray[np.floating] | None = None, floor: float = 0.8
) -> Stability:
    """Compare explanations (seeds, n, features) of the same rows under two seeds or more."""
    tops = np.stack([ranking.top(each, k) for each in values])
    pairs = list(combinations(range(len(values)), 2))
    rows = np.mean([overlap(tops[a], tops[b]) for a, b in pairs], axis=0)
    middle = ranking.top(values.mean(axis=0), k)
    flipped = np.asarray((values > 0).any(axis=0) & (values < 0).any(axis=0))
    return Stability(
        k=k,
        seeds=len(values),
        vsi=float(rows.mean()),
        worst=float(rows.min()),
        below=float((rows < floor).mean()),
        csi=None if errors is None else _csi(values, errors, pairs),
        flips=float(flipped[middle].mean()) if middle.any() else None,
        apart=float(np.ptp(values, axis=0).max(initial=0.0)),
    )


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The share of top features that both name, row by row; two that name none agree."""
    longest = np.maximum(one.sum(axis=1), other.sum(axis=1))
    return np.where(longest == 0, 1.0, (one & other).sum(axis=1) / np.maximum(longest, 1))


def _csi(values: NDArray[np.floating], errors: NDArray[np.floating], pairs: list[tuple[int, int]]) -> float | None:
    held = met = 0
    for a, b in pairs:
        both = (values[a] != 0) & (values[b] != 0)
        overlap = np.abs(values[a] - values[b]) <= WIDE * (errors[a] + errors[b])
        held, met = held + int(both.sum()), met + int((overlap & both).sum())
    return met / held if held else None
