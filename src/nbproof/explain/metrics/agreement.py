"""Agreement: whether two explanations of the same rows name the same features, in the same order and direction.

Source: Krishna et al. (2022), The Disagreement Problem in Explainable Machine Learning, arXiv 2202.01602; tau-b:
Kendall (1945).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import ranking


@dataclass(frozen=True, slots=True)
class Agreement:
    """Means over `compared` rankings, each in [0, 1] but `kendall` in [−1, 1].

    At depth k: `features` is the share of the top k that both name, `ranks` of the k places that hold the same
    feature, `signs` of the top k that both name with the same sign, `signed_ranks` of the places with the same feature
    and sign. `shared_signs` is the share of same signs among the features that both name. `kendall` is tau-b of the
    absolute shares over all features. None where no row could be compared.
    """

    k: int
    compared: int
    features: float | None
    ranks: float | None
    signs: float | None
    signed_ranks: float | None
    shared_signs: float | None
    kendall: float | None


def measure(one: NDArray[np.floating], other: NDArray[np.floating], *, k: int) -> Agreement:
    """Compare two explanations (n, features).

    A row in which one side names fewer than k features is compared as deep as that; one in which either names none is
    compared only if the other names some, and then nothing agrees.
    """
    depths = np.minimum(k, np.stack([(one != 0).sum(1), (other != 0).sum(1)]))
    compared = depths.max(axis=0) > 0
    one, other, depths = one[compared], other[compared], depths[:, compared].min(axis=0)
    shares = np.array([_row(a, b, int(at)) for a, b, at in zip(one, other, depths, strict=True)], dtype=np.float64)
    columns = shares.T if len(shares) else np.full((5, 1), np.nan)
    features, ranks, signs, signed_ranks, shared_signs = (ranking.mean_of(column) for column in columns)
    tau = ranking.mean_of(kendall(one, other))
    return Agreement(k, len(shares), features, ranks, signs, signed_ranks, shared_signs, tau)


def _row(one: NDArray[np.floating], other: NDArray[np.floating], k: int) -> tuple[float, float, float, float, float]:
    if k == 0:
        return 0.0, 0.0, 0.0, 0.0, float("nan")
    first, second = ranking.order(one)[:k], ranking.order(other)[:k]
    shared = np.intersect1d(first, second)
    alike = np.sign(one[shared]) == np.sign(other[shared])
    placed = first == second
    placed_alike = placed & (np.sign(one[first]) == np.sign(other[second]))
    same_sign = float(alike.mean()) if len(shared) else float("nan")
    return len(shared) / k, float(placed.mean()), float(alike.sum()) / k, float(placed_alike.mean()), same_sign


def kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """Kendall's tau-b of |one| and |other| (n, features), row by row; NaN where one side is tied throughout."""
    return np.array([_kendall(np.abs(a), np.abs(b)) for a, b in zip(one, other, strict=True)], dtype=np.float64)


def _kendall(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    first, second = (np.sign(side[:, None] - side[None, :]) for side in (one, other))
    # Each pair stands twice in the squares, above and below the fraction.
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / length if length else float("nan")
