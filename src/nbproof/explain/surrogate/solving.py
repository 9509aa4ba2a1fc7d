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
    `errors` (R, K) are the standard errors of the coefficients, None where the penalty's form is not this one.
    """

    selected: Array
    coefficients: Array
    intercept: Array
    r2: Array
    local: Array
    errors: Array | None = None


def ridge(arrays: Arrays, moments: Moments, output: int, selected: Array, own: Array, samples: int) -> Fitted:
    """Fit one output on the columns `selected` (R, K), -1 where there is none; `own` (R, F) are the row's columns.

    The R² is 1 where the model answers the same in the whole neighbourhood: the surrogate then says so exactly.
    The standard errors are those of ridge regression, σ² (G + I)⁻¹ G (G + I)⁻¹ with the Gram matrix G and σ² from the
    weighted residuals of the `samples` points, as in Visani et al. (2020), arXiv 2001.11757; they tell how far other
    points would have moved a coefficient, not how well it fits.
    """
    xp = arrays.xp
    gram, cross, present = chosen(arrays, moments, output, selected)
    one = xp.where(present[:, :, None] & present[:, None, :], gram, 0.0)
    penalty = arrays.put(PENALTY * np.eye(selected.shape[1]))
    coefficients = xp.linalg.solve(one + penalty, cross[:, :, None])[:, :, 0]
    inverse = xp.linalg.inv(one + penalty)
    widths = ((inverse @ one) * inverse).sum(2)
    return fitted(arrays, moments, output, selected, coefficients, own, spread=(widths, samples))


def chosen(arrays: Arrays, moments: Moments, output: int, selected: Array) -> tuple[Array, Array, Array]:
    """The Gram matrix and cross products of selected columns, and which of the places hold a column."""
    present = selected >= 0
    at = arrays.xp.where(present, selected, 0)
    rows = arrays.put(np.arange(len(selected)))
    gram = moments.gram[rows[:, None, None], at[:, :, None], at[:, None, :]]
    cross = arrays.xp.where(present, moments.cross[:, :, output][rows[:, None], at], 0.0)
    return gram, cross, present


def fitted(
    arrays: Arrays,
    moments: Moments,
    output: int,
    selected: Array,
    coefficients: Array,
    own: Array,
    *,
    spread: tuple[Array, int] | None = None,
) -> Fitted:
    """What linear models with these coefficients (R, K) say, ordered by their size.

    `spread` are the variances of the coefficients (R, K) in parts of that of the residuals, and the number of samples.
    """
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
    errors = None
    if spread is not None:
        widths, samples = spread
        noise = square * (1.0 - r2) / xp.clip(samples - present.sum(1) - 1.0, 1.0, None)
        # Rounding may leave less than nothing of a column that never varies.
        errors = xp.sqrt(xp.clip(noise[:, None] * widths, 0.0, None))[rows[:, None], order]
    return Fitted(selected[rows[:, None], order], coefficients[rows[:, None], order], intercept, r2, local, errors)
