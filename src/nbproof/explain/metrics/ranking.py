"""Which features matter most: top k, order and rank, in one way for every metric."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# How many features a reader looks at.
READ = 5


def flat(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Shares (rows, features, outputs) as (rows · outputs, features): each output of a row is a ranking of its own."""
    return np.asarray(np.moveaxis(values, 1, 2).reshape(-1, values.shape[1]), dtype=np.float64)


def depth(features: int) -> int:
    """How many top features to compare: 5, and never more than half of them.

    Of six features any two lists of five share four; an overlap says something only where chance gives half at most.
    """
    return min(READ, max(1, features // 2))


def order(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """The features of each row (n, features) from the largest absolute share down; ties keep the columns' order."""
    return np.asarray(np.argsort(-np.abs(values), axis=-1, kind="stable"), dtype=np.int64)


def top(values: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """Which features (n, features) are among the `k` largest of their row; one without a share never is."""
    chosen = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(chosen, order(values)[..., :k], True, axis=-1)
    return np.asarray(chosen & (values != 0))


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Spearman's rank correlation of |one| and |other| (n, features), row by row (Spearman, 1904).

    A feature without a share in both is left out of its row. NaN where fewer than two features remain, or one side
    has no order at all.
    """
    return np.array([_spearman(np.abs(a), np.abs(b)) for a, b in zip(one, other, strict=True)], dtype=np.float64)


def _spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    from scipy.stats import rankdata

    shown = (one != 0) | (other != 0)
    if shown.sum() < 2:
        return float("nan")
    first, second = rankdata(one[shown]), rankdata(other[shown])
    first, second = first - first.mean(), second - second.mean()
    length = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / length if length else float("nan")


def mean_of(values: NDArray[np.float64]) -> float | None:
    """The mean of those that are there; None where none is."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else None
