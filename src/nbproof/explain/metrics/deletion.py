"""Deletion and insertion: whether the features that are said to matter move the model when they are taken away.

Source: Petsiuk, Das and Saenko (2018), RISE, arXiv 1806.07421; for tables with the share's absolute value as order,
as PGI and PGU of Agarwal et al. (2022), OpenXAI, arXiv 2206.11104.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import ranking

Ask = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# Steps along a path; with more features than that several go at each step.
STEPS = 24
# Numbers held at once while paths are laid out (64 MiB).
HELD = 8_388_608


@dataclass(frozen=True, slots=True)
class Curve:
    """The area under a curve beside that of random orders; `sigma` is by how many standard errors it is better.

    The areas are means over rows, in the unit of the answers. `sigma` comes from the differences row by row; it is
    None where they do not vary, as when the order makes no difference at all.
    """

    area: float
    random: float
    sigma: float | None


@dataclass(frozen=True, slots=True)
class Deletion:
    """Both curves over `rows`: of `deleted` a larger area is better, of `inserted` a smaller one."""

    rows: int
    deleted: Curve
    inserted: Curve


def measure(
    ask: Ask,
    rows: NDArray[np.float64],
    values: NDArray[np.floating],
    background: NDArray[np.float64],
    *,
    seed: int,
    drawn: int = 10,
    orders: int = 3,
) -> Deletion:
    """Follow the shares `values` (rows, features, outputs) from the largest down, and `orders` random orders a row.

    Deleting replaces features of a row by those of `drawn` rows of the background, and the area is the mean over the
    steps of |f − f₀|, where f is the mean answer over these rows. Inserting begins with the background alone and
    brings the row's own features in; its area is the mean distance |f − f₀| that remains.
    """
    random = np.random.default_rng(seed)
    against = background[random.permutation(len(background))[:drawn]]
    steps = np.unique(np.linspace(1, rows.shape[1], min(STEPS, rows.shape[1])).round().astype(np.int64))
    outputs = values.shape[2]
    told = [ranking.order(values[:, :, at]) for at in range(outputs)]
    chance = [random.permuted(np.tile(np.arange(rows.shape[1]), (len(rows), 1)), axis=1) for _ in range(orders)]
    start = ask(rows)
    areas = [_areas(_follow(ask, rows, order, against, steps), start) for order in told]
    # The orders told belong each to its output, the random ones to all.
    ours = np.stack([areas[at][:, :, at] for at in range(outputs)], axis=2)
    theirs = np.mean([_areas(_follow(ask, rows, order, against, steps), start) for order in chance], axis=0)
    return Deletion(len(rows), _curve(ours[0], theirs[0], 1.0), _curve(ours[1], theirs[1], -1.0))


def _areas(paths: tuple[NDArray[np.float64], NDArray[np.float64]], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """The areas (deleted and inserted, rows, outputs) along a path."""
    return np.stack([np.abs(path - start[:, None, :]).mean(axis=1) for path in paths])


def _curve(told: NDArray[np.float64], chance: NDArray[np.float64], better: float) -> Curve:
    # Outputs of one row are not independent of one another: their mean is one observation.
    gain = better * (told - chance).mean(axis=1)
    return Curve(float(told.mean()), float(chance.mean()), sigma_of(gain))


def sigma_of(differences: NDArray[np.float64]) -> float | None:
    """How many standard errors the mean of some differences is above zero; None where they do not vary."""
    if len(differences) < 2:
        return None
    error = float(differences.std(ddof=1)) / np.sqrt(len(differences))
    # Below that it is rounding, not variation.
    scale = float(np.abs(differences).max())
    return float(differences.mean() / error) if error > 1e-12 * max(scale, 1e-300) and scale > 1e-12 else None


def _follow(
    ask: Ask,
    rows: NDArray[np.float64],
    order: NDArray[np.int64],
    against: NDArray[np.float64],
    steps: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean answers (rows, steps, outputs) with the first features of the path deleted, and with them alone inserted."""
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(order.shape[1])[None, :], axis=1)
    size = max(1, HELD // (len(steps) * len(against) * rows.shape[1]))
    deleted: list[NDArray[np.float64]] = []
    inserted: list[NDArray[np.float64]] = []
    for begin in range(0, len(rows), size):
        part, gone = rows[begin : begin + size], places[begin : begin + size, None, :] < steps[None, :, None]
        for held, taken in ((deleted, gone), (inserted, ~gone)):
            points = np.where(taken[:, :, None, :], against[None, None], part[:, None, None, :])
            answers = ask(points.reshape(-1, rows.shape[1]))
            held.append(answers.reshape(*points.shape[:3], -1).mean(axis=2))
    return np.concatenate(deleted), np.concatenate(inserted)
