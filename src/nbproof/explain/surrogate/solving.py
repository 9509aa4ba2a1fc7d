"""Ridge regression on selected columns from moments alone, with the R² of the fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array, Arrays
from .moments import Moments

# The penalty of the surrogate itself, as in lime.
PENALTY = 1.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """Linear models of R neighbourhoods for one output: `coefficients` (R, K) of the columns `selected` (R, K).

    Ordered from the largest absolute coefficient to the smallest; -1 and 0 where fewer columns were selected.
    """

    selected: Array
    coefficients: Array
    intercept: Array
    r2: Array
    local: Array


def ridge(arrays: Arrays, moments: Moments, output: int, selected: Array, own: Array) -> Fitted:
    """Fit one output on the columns `selected` (R, K), -1 where there is none; `own` (R, F) are the row's columns.

    The R² is 1 where the model answers the same in the whole neighbourhood: the surrogate then says so exactly.
    """
    xp = arrays.xp
    gram, cross, present = chosen(arrays, moments, output, selected)
    one = xp.where(present[:, :, None] & present[:, None, :], gram, 0.0)
    penalty = arrays.put(PENALTY * np.eye(selected.shape[1]))
    coefficients = xp.linalg.solve(one + penalty, cross[:, :, None])[:, :, 0]
    return fitted(arrays, moments, output, selected, coefficients, own)


def chosen(arrays: Arrays, moments: Moments, output: int, selected: Array) -> tuple[Array, Array, Array]:
    """The Gram matrix and cross products of selected columns, and which of the places hold a column."""
    present = selected >= 0
    at = arrays.xp.where(present, selected, 0)
    rows = arrays.put(np.arange(len(selected)))
    gram = moments.gram[rows[:, None, None], at[:, :, None], at[:, None, :]]
    cross = arrays.xp.where(present, moments.cross[:, :, output][rows[:, None], at], 0.0)
    return gram, cross, present


def fitted(arrays: Arrays, moments: Moments, output: int, selected: Array, coefficients: Array, own: Array) -> Fitted:
    """What linear models with these coefficients (R, K) say, ordered by their size."""
    xp = arrays.xp
    rows = arrays.put(np.arange(len(selected)))
    gram, cross, present = chosen(arrays, moments, output, selected)
    coefficients = xp.where(present, coefficients, 0.0)
    explained = 2.0 * (coefficients * cross).sum(1)
    explained = explained - ((coefficients[:, None, :] @ gram)[:, 0] * coefficients).sum(1)
    square = moments.square[:, output]
    varies = square > 0.0
    r2 = xp.where(varies, explained / xp.where(varies, square, 1.0), 1.0)
    at = xp.where(present, selected, 0)
    intercept = moments.answer_means[:, output] - (moments.column_means[rows[:, None], at] * coefficients).sum(1)
    local = intercept + (own[rows[:, None], at] * coefficients).sum(1)
    order = arrays.ordered(xp.where(present, -abs(coefficients), 1.0))
    return Fitted(selected[rows[:, None], order], coefficients[rows[:, None], order], intercept, r2, local)
