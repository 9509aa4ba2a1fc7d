"""Models and explainers whose quality is known by construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbproof.explain import question
from nbproof.explain.explanation import Explanation, Surrogate
from nbproof.explain.question import Question

Array = NDArray[np.float64]
WEIGHTS = np.array([4.0, -3.0, 2.0, -1.0, 0.5, 0.25, 0.0, 0.0])


def normal(rows: int, seed: int, features: int = len(WEIGHTS)) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, features))


def linear(points: Any) -> Array:
    return np.asarray(points) @ WEIGHTS


def asked(model: Any = linear, *, rows: Any = None, background: Any = None, **options: Any) -> Question:
    """A question about a model of eight features, with 60 rows and a background of 150."""
    rows = normal(60, 0) if rows is None else rows
    return question.ask(model, rows, background=normal(150, 1) if background is None else background, **options)


def shapley(asked: Question, seed: int = 0, weights: Array = WEIGHTS) -> Explanation:
    """The exact Shapley values of `linear`."""
    background = asked.needs_background("shapley")
    values = (asked.rows - background.mean(axis=0)) * weights
    return asked.explained(
        values[:, :, None], background.mean(axis=0, keepdims=True) @ weights, method="linear", is_exact=True
    )


def noise(asked: Question, seed: int = 0) -> Explanation:
    """Values drawn at random that add up to the answer: whatever is seen of them is chance."""
    random = np.random.default_rng(1000 + seed)
    values = random.normal(size=asked.rows.shape) * asked.prediction.std()
    values += (asked.prediction - values.sum(axis=1, keepdims=True)) / asked.rows.shape[1]
    return asked.explained(values[:, :, None], np.zeros(1), method="noise", seed=seed)


def enumerated(asked: Question, seed: int = 0, draws: int = 60) -> Explanation:
    """Shapley values by paths over random orders, each against one background row; they add up by construction."""
    random = np.random.default_rng(seed)
    background = asked.needs_background("enumeration")
    features, outputs = asked.rows.shape[1], asked.prediction.shape[1]
    values, base = np.zeros((*asked.rows.shape, outputs)), np.zeros(outputs)
    for _ in range(draws):
        order, point = (
            random.permutation(features),
            np.tile(background[random.integers(len(background))], (len(asked.rows), 1)),
        )
        before = asked.asked(point)
        base = base + before[0] / draws
        for at in order:
            point[:, at] = asked.rows[:, at]
            after = asked.asked(point)
            values[:, at] += (after - before) / draws
            before = after
    return asked.explained(values, base, method="orders", seed=seed)


def lime(asked: Question, seed: int = 0, samples: int = 1500) -> Explanation:
    """A small LIME: quartile bins, probes that draw each column alone, a weighted ridge on "in the row's bin"."""
    random = np.random.default_rng(seed)
    training = asked.needs_background("lime")
    edges = np.quantile(training, (0.25, 0.5, 0.75), axis=0)
    probes = np.stack([random.choice(column, samples) for column in training.T], axis=1)
    answers = asked.asked(probes)

    def binned(points: Array) -> NDArray[np.int64]:
        return np.asarray((points[:, None, :] > edges).sum(axis=1))

    bins, drawn = binned(asked.rows), binned(probes)
    rows, features, outputs = *asked.rows.shape, asked.prediction.shape[1]
    coefficients, errors = np.zeros((rows, features, outputs)), np.zeros((rows, features, outputs))
    intercept, r2, local = (np.zeros((rows, outputs)) for _ in range(3))
    for at in range(rows):
        same = (drawn == bins[at]).astype(float)
        weights = np.exp(-(features - same.sum(axis=1)) / (0.75**2 * features))
        middle, level = weights @ same / weights.sum(), weights @ answers / weights.sum()
        centred, rest = same - middle, answers - level
        gram = centred.T @ (weights[:, None] * centred)
        inverse = np.linalg.inv(gram + np.eye(features))
        coefficients[at] = inverse @ centred.T @ (weights[:, None] * rest)
        left = weights @ (rest - centred @ coefficients[at]) ** 2
        whole = weights @ rest**2
        r2[at] = 1 - left / np.where(whole == 0, np.nan, whole)
        intercept[at] = level - middle @ coefficients[at]
        local[at] = intercept[at] + coefficients[at].sum(axis=0)
        errors[at] = np.sqrt(np.outer(np.diag(inverse @ gram @ inverse), left / weights.sum()))
    surrogate = Surrogate(
        coefficients, intercept, r2, local, asked.prediction,
        np.argsort(-np.abs(coefficients), axis=1).transpose(0, 2, 1), bins,
    )  # fmt: skip
    return asked.explained(coefficients, intercept, method="small lime", seed=seed, error=errors, surrogate=surrogate)


def moody(asked: Question, seed: int = 0) -> Explanation:
    """A surrogate whose coefficients are drawn anew by every seed: unstable as can be."""
    steady = lime(asked, seed)
    random = np.random.default_rng(2000 + seed)
    values = random.normal(size=steady.values.shape)
    return asked.explained(values, steady.base, method="moody", seed=seed, surrogate=steady.surrogate)


Explain = Callable[[Question, int], Explanation]
