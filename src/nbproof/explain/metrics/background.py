"""Sensitivity to the background: whether other rows to compare with would have told another story.

Source: Janzing, Minorics and Blöbaum (2020), arXiv 1910.13413, on what the choice of a background means; Yuan et
al. (2022), arXiv 2204.11351, for repeating with other samples of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import ranking
from .stability import overlap


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Against explanations with `backgrounds` others: mean rank correlation of |shares| and shared top-k features."""

    backgrounds: int
    spearman: float | None
    top: float
    k: int


def measure(values: NDArray[np.floating], others: Sequence[NDArray[np.floating]], *, k: int) -> Sensitivity:
    """Compare an explanation (n, features) with those of the same rows against other backgrounds."""
    ranks = np.concatenate([ranking.spearman(values, other) for other in others])
    tops = [overlap(ranking.top(values, k), ranking.top(other, k)) for other in others]
    return Sensitivity(len(others), ranking.mean_of(ranks), float(np.mean(tops)), k)
