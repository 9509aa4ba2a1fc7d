"""Exact Shapley values of any model by asking about every coalition of its features."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation
from ..model import Asked
from ..pacing import Calls
from ..progress import Watch
from ..question import Question
from .coalitions import POINTS, every
from .reference import Reference, reference_of

# 2^11 coalitions for each row of the reference are what a small model answers in a tenth of a second.
FEATURES = 11
# Beyond it even a single row takes too many answers.
MOST_FEATURES = 20
# Answers held at once, for one row: coalitions times reference rows.
HELD = 2**20


def explain(question: Question, *, seed: int, watch: Watch) -> Explanation:
    """The values by enumeration. Exact for the whole background; `seed` draws from one of more than 100 rows."""
    features = question.rows.shape[1]
    if features > MOST_FEATURES:
        raise ExplanationRefused(
            "the enumeration of all coalitions",
            f"{features} features, thus 2^{features} coalitions",
            f"at most {MOST_FEATURES} features",
            hint="leave method out, or pass method='sampled'",
        )
    reference = reference_of(question, "a black box", seed=seed)
    masks, weights = every(features), _weights(features)
    values = np.empty((*question.rows.shape, len(question.answers.outputs)))
    watch.begin()
    calls = Calls(watch, POINTS)
    for at, row in enumerate(question.rows):
        watch.step(at, len(question.rows))
        values[at] = weights @ _worth_of_all(question.asked, row, masks, reference, calls)
    watch.step(len(question.rows), len(question.rows))
    return question.explained(
        values,
        reference.base,
        method="enumerated",
        is_exact=reference.is_whole,
        seed=None if reference.is_whole else seed,
        settings={"coalitions": len(masks), **reference.settings},
        notes=reference.notes,
    )


def _weights(features: int) -> NDArray[np.float64]:
    """What the answer for each of `every(features)` coalitions counts in each feature's value, (features, 2^features).

    φ_j = Σ_S |S|! (F−|S|−1)! / F! (v(S ∪ j) − v(S)), Shapley (1953).
    """
    masks = every(features)
    sizes = masks.sum(axis=1)
    fact = [factorial(each) for each in range(features + 1)]
    with_it = np.array([0.0] + [fact[s - 1] * fact[features - s] / fact[features] for s in range(1, features + 1)])
    without = np.array([fact[s] * fact[features - s - 1] / fact[features] for s in range(features)] + [0.0])
    return np.asarray(np.where(masks.T, with_it[sizes], -without[sizes]))


def _worth_of_all(
    asked: Asked,
    row: NDArray[np.float64],
    masks: NDArray[np.bool_],
    reference: Reference,
    calls: Calls,
) -> NDArray[np.float64]:
    """What every coalition is worth, (2^features, outputs), asking about each distinct point once.

    Where the row and a reference row have the same value, coalitions with and without the feature are one point.
    """
    numbers = np.arange(len(masks))
    out = np.zeros((len(masks), len(asked.answers.outputs)))
    differing = (reference.rows != row) @ (1 << np.arange(len(row)))
    together = max(1, HELD // len(masks))
    for start in range(0, len(differing), together):
        some = slice(start, start + together)
        of, needed = np.nonzero((numbers & ~differing[some, None]) == 0)
        answers = np.empty((len(differing[some]), *out.shape))

        def answers_of(part: slice, some: slice = some, of: Any = of, needed: Any = needed) -> NDArray[np.float64]:
            return asked(np.where(masks[needed[part]], row, reference.rows[some][of[part]]))

        answers[of, needed] = calls(len(needed), answers_of)
        every_answer = np.take_along_axis(answers, (numbers & differing[some, None])[:, :, None], axis=1)
        out += np.einsum("bco,b->co", every_answer, reference.weights[some])
    return out
