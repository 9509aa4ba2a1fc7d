"""Infidelity: how well shares foretell what happens when features are replaced, against saying nothing.

Source: Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, arXiv 1901.09392, with the removal of
a random subset of the features as perturbation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .deletion import HELD, Ask, sigma_of


@dataclass(frozen=True, slots=True)
class Infidelity:
    """The mean squared error of the shares' forecast, in squared units, and that of an explanation of zeros.

    `ratio` is the first in parts of the second: 0 is perfect, above 1 is worse than saying nothing. `sigma` is by how
    many standard errors the shares do better than nothing, from the differences row by row; None where these do not
    vary.
    """

    rows: int
    value: float
    empty: float
    ratio: float | None
    sigma: float | None


def measure(
    ask: Ask,
    rows: NDArray[np.float64],
    values: NDArray[np.floating],
    background: NDArray[np.float64],
    *,
    seed: int,
    draws: int = 100,
    chance: float = 0.3,
) -> Infidelity:
    """E over subsets I of (Σ_{j ∈ I} share_j − (f(x) − f(x with I from a background row)))².

    Each of `draws` subsets of a row holds each feature with probability `chance` (rows, features, outputs). Each
    output counts in parts of its own variance, so that none drowns another; `ratio` is None where the model's answers
    never change.
    """
    random = np.random.default_rng(seed)
    start = ask(rows)
    errors, nothing = [], []
    size = max(1, HELD // (draws * rows.shape[1]))
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        taken = random.random((len(part), draws, rows.shape[1])) < chance
        other = background[random.integers(len(background), size=(len(part), draws))]
        answers = ask(np.where(taken, other, part[:, None, :]).reshape(-1, rows.shape[1]))
        change = start[begin : begin + size, None, :] - answers.reshape(len(part), draws, -1)
        told = np.einsum("rdf,rfo->rdo", taken.astype(np.float64), values[begin : begin + size].astype(np.float64))
        errors.append(((told - change) ** 2).mean(axis=1))
        nothing.append((change**2).mean(axis=1))
    error, empty = np.concatenate(errors), np.concatenate(nothing)
    scale = empty.mean(axis=0)
    if not scale.any():
        return Infidelity(len(rows), float(error.mean()), 0.0, None, None)
    moved = scale > 0
    gain = ((empty - error)[:, moved] / scale[moved]).mean(axis=1)
    ratio = float((error.mean(axis=0)[moved] / scale[moved]).mean())
    return Infidelity(len(rows), float(error.mean()), float(empty.mean()), ratio, sigma_of(gain))
