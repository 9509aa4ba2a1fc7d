"""Completeness: whether base and shares add up to what the model answered.

Source: the efficiency axiom, Shapley (1953); as "local accuracy", Lundberg and Lee (2017), arXiv 1705.07874.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Completeness:
    """The gap |base + Σ shares − answer|, in the answer's unit; `relative` is the largest in parts of `scale`.

    `scale` is the standard deviation of the answers over the rows; where they do not vary, the mean distance between
    answer and base. `relative` is None where that is zero, too, and there is a gap.
    """

    largest: float
    mean: float
    scale: float
    relative: float | None


def measure(total: NDArray[np.float64], prediction: NDArray[np.float64], base: NDArray[np.float64]) -> Completeness:
    """Compare what base and shares add up to (rows, outputs) with the model's answers, output by output.

    Each output is measured on its own scale, since one may vary a hundred times as much as another; the worst counts.
    """
    found = [_one(total[:, at], prediction[:, at], base[:, at]) for at in range(total.shape[1])]
    return max(found, key=lambda each: float("inf") if each.relative is None else each.relative)


def _one(total: NDArray[np.float64], prediction: NDArray[np.float64], base: NDArray[np.float64]) -> Completeness:
    gaps = np.abs(total - prediction)
    scale = float(prediction.std()) or float(np.abs(prediction - base).mean())
    largest = float(gaps.max())
    relative = largest / scale if scale else (0.0 if largest == 0 else None)
    return Completeness(largest, float(gaps.mean()), scale, relative)
