"""What every exact method promises: base value and shares add up to the model's own answer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..question import Question

# Sums of many float32 leaves lose digits in proportion to their terms; anything wrong is off by far more than this.
# Of a large base value only its own rounding is allowed, or it would hide shares that are small beside it.
OF_SHARES, OF_BASE, ABSOLUTE = 1e-4, 4e-6, 1e-7


def refuse_incomplete(question: Question, values: NDArray[Any], base: NDArray[Any], what: str, *, hint: str) -> None:
    """Raise `ExplanationRefused` where base + Σ shares is not the model's answer.

    `values` (rows, features, outputs) and `base` (rows, outputs) were made by `what`; `hint` says what to try instead.
    """
    refuse_gap(question.prediction, values, base, what, question.model.name, hint=hint)


def refuse_gap(
    prediction: NDArray[Any],
    values: NDArray[Any],
    base: NDArray[Any],
    what: str,
    model: str,
    *,
    hint: str | None = None,
) -> None:
    """Like `refuse_incomplete`, for answers (rows, outputs) of a model that nobody asked as a question."""
    gap = np.abs(base + values.sum(axis=1) - prediction)
    allowed = OF_SHARES * np.abs(values).sum(axis=1) + OF_BASE * np.abs(base) + ABSOLUTE
    # A NaN is no proof of anything, hence not `gap > allowed`.
    broken = ~(gap <= allowed)
    if broken.any():
        row = int(np.argwhere(broken)[0, 0])
        raise ExplanationRefused(
            f"{what} of {model}",
            f"shares that miss the model's answer by {gap[row].max():.3g} in row {row}",
            f"at most {allowed[row].min():.1g}",
            hint=hint,
        )
