"""Drift of explanations: whether the features that matter are still those of an approved explanation.

Source: normalised discounted cumulative gain, Järvelin and Kekäläinen (2002); as an alarm on attributions below 0.9,
Amazon SageMaker Clarify, Feature attribution drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import ranking


@dataclass(frozen=True, slots=True)
class Drift:
    """How two rankings of features agree.

    `ndcg` is the lower of two nDCGs: what matters now in the approved order, and what mattered in the order of now;
    one alone would not see a feature that has lost, or won, all its weight. `top` is the share of the top k that
    stayed, `moved` the feature (by position) whose part of all importance changed most, and `change` by how much.
    """

    ndcg: float
    top: float
    k: int
    moved: int
    change: float


def measure(approved: NDArray[np.float64], now: NDArray[np.float64], *, k: int) -> Drift | None:
    """Compare mean absolute shares of the features (features,), approved and now; None where a side is all zero."""
    if not approved.any() or not now.any():
        return None
    parts = now / now.sum() - approved / approved.sum()
    moved = int(np.argmax(np.abs(parts)))
    tops = [ranking.top(side[None], k)[0] for side in (approved, now)]
    return Drift(
        ndcg=min(ndcg(now, approved), ndcg(approved, now)),
        top=float((tops[0] & tops[1]).sum() / max(tops[0].sum(), tops[1].sum())),
        k=k,
        moved=moved,
        change=float(parts[moved]),
    )


def ndcg(gains: NDArray[np.float64], order_by: NDArray[np.float64]) -> float:
    """The discounted gain Σ gain_i / log2(i + 1) in the order of `order_by`, in parts of the best order's.

    Features that are tied in `order_by` share the mean gain of their places, so that no order is made up.
    """
    discounts = 1.0 / np.log2(np.arange(2, len(gains) + 2))
    order = np.argsort(-order_by, kind="stable")
    tied, starts = np.unique(-order_by[order], return_index=True)
    sums = np.add.reduceat(gains[order], starts)
    weights = np.add.reduceat(discounts, starts)
    sizes = np.diff([*starts, len(gains)])
    assert len(tied) == len(starts)
    best = float(np.sort(gains)[::-1] @ discounts)
    return float((sums / sizes) @ weights) / best
