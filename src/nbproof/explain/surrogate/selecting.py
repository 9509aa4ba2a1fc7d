"""Which columns a surrogate may use: lime's ways to choose them, from moments instead of hundreds of fits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UnknownName
from .arrays import Array, Arrays
from .moments import Moments

SELECTIONS = ("auto", "forward_selection", "highest_weights", "lasso_path", "none")
# Up to so many columns, "auto" adds one after the other; beyond, it takes the heaviest of one fit.
FEW = 6
# The penalty of the fit that "highest_weights" looks at, as in lime.
PENALTY = 0.01
# A column whose part that the chosen ones do not explain is smaller than this share of it adds nothing.
COLLINEAR = 1e-12
# Gains are equal where one is this share of the other.
ALIKE = 1.0 - 1e-12


def way(selection: str, features: int) -> str:
    """The way that `selection` means where `features` are wanted. Raises `UnknownName`."""
    if selection not in SELECTIONS:
        raise UnknownName("selection", selection, SELECTIONS)
    if selection != "auto":
        return selection
    return "forward_selection" if features <= FEW else "highest_weights"


def select(
    arrays: Arrays, chosen_way: str, moments: Moments, output: int, own: Array, count: int, samples: int
) -> Array:
    """The columns for one output, (rows, K) in the order of their choice, -1 where there are fewer than K."""
    rows, features = own.shape
    if chosen_way == "none":
        return arrays.put(np.tile(np.arange(features), (rows, 1)))
    if chosen_way == "forward_selection":
        return one_by_one(arrays, moments.gram, moments.cross[:, :, output], count)
    if chosen_way == "highest_weights":
        return heaviest(arrays, moments.gram, moments.cross[:, :, output], own, count)
    gram, cross = arrays.get(moments.gram), arrays.get(moments.cross[:, :, output])
    return arrays.put(along_lasso_path(gram, cross, count, samples))


def heaviest(arrays: Arrays, gram: Array, cross: Array, own: Array, count: int) -> Array:
    """The columns with the largest product of weight and the row's own value, in one ridge regression on all."""
    penalty = arrays.put(PENALTY * np.eye(gram.shape[1]))
    weights = arrays.xp.linalg.solve(gram + penalty, cross[:, :, None])[:, :, 0]
    return arrays.ordered(-abs(weights * own))[:, :count]


def one_by_one(arrays: Arrays, gram: Array, cross: Array, count: int) -> Array:
    """Add `count` times the column that raises the weighted R² most, by sweeping the Gram matrices of all rows at once.

    With b the cross products, column j raises R² by b_j²/G_jj; sweeping it out leaves the moments of the residuals.
    """
    xp = arrays.xp
    gram, cross = arrays.copied(gram), arrays.copied(cross)
    rows = arrays.put(np.arange(len(gram)))
    least = COLLINEAR * arrays.copied(gram.diagonal(0, 1, 2))
    taken = arrays.put(np.zeros(cross.shape, dtype=bool))
    selected = arrays.put(np.zeros((len(gram), count), dtype=np.int64))
    for step in range(count):
        left = gram.diagonal(0, 1, 2)
        adds = left > least
        gain = xp.where(adds, cross**2 / xp.where(adds, left, 1.0), 0.0)
        gain = xp.where(taken, -1.0, gain)
        most = gain[rows, gain.argmax(1)][:, None]
        # The first of equals, as in lime: columns that are alike differ in their last digits only.
        at = xp.where(gain >= most * ALIKE, 1.0, 0.0).argmax(1)
        selected[:, step] = at
        taken[rows, at] = True
        pivot = xp.where(adds[rows, at], left[rows, at], float("inf"))
        column = arrays.copied(gram[rows, :, at])
        cross -= column * (cross[rows, at] / pivot)[:, None]
        gram -= column[:, :, None] * (column / pivot[:, None])[:, None, :]
    return selected


def along_lasso_path(
    gram: NDArray[np.float64], cross: NDArray[np.float64], count: int, samples: int
) -> NDArray[np.int64]:
    """The columns that the lasso uses at the last point of its path with at most `count` of them."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import lars_path_gram

    found: list[Any] = []
    with warnings.catch_warnings():
        # It warns of columns that add nothing, which is no fault of who asks.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for one, toward in zip(gram, cross, strict=True):
            _, _, path = lars_path_gram(toward.copy(), one.copy(), n_samples=samples, method="lasso")
            found.append(_last_small(path, count))
    selected = np.full((len(gram), max(map(len, found), default=0)), -1)
    for row, columns in enumerate(found):
        selected[row, : len(columns)] = columns
    return selected


def _last_small(path: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    columns = np.arange(len(path))
    for at in range(path.shape[1] - 1, 0, -1):
        columns = np.flatnonzero(path[:, at])
        if len(columns) <= count:
            break
    return columns
