"""Shapley values of any model by regression on drawn coalitions, each with its standard error.

Kernel SHAP (Lundberg and Lee, 2017) with coalitions drawn in complementary pairs by their leverage (Musco and Witter,
ICLR 2025) and shared by all rows, so that differences between rows are never differences between draws. Nothing is
shrunk to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation
from ..progress import Watch
from ..question import Question
from . import enumerated
from .coalitions import POINTS, Pairs, drawn_pairs, worth
from .reference import reference_of

LEAST_SAMPLES = 512
# Coalitions per feature: fewer leave the regression little to average over.
SAMPLES_PER_FEATURE = 16


def explain(question: Question, *, seed: int, samples: int | None, watch: Watch) -> Explanation:
    """The values by `samples` coalitions (None: 512, or 16 for each feature); exact where that is all of them.

    Raises `ExplanationRefused` where there are fewer than four coalitions for each feature.
    """
    features = question.rows.shape[1]
    samples = samples or max(LEAST_SAMPLES, SAMPLES_PER_FEATURE * features)
    if features <= enumerated.MOST_FEATURES and samples >= 2**features - 2:
        return enumerated.explain(question, seed=seed, watch=watch)
    if samples < 4 * features:
        raise ExplanationRefused(
            "values by drawn coalitions", f"samples={samples} for {features} features", f"at least {4 * features}"
        )
    reference = reference_of(question, "a black box", seed=seed)
    pairs = drawn_pairs(features, samples // 2, np.random.default_rng([seed, 1]))
    solver = _Solver.of(pairs)
    masks = np.concatenate([pairs.masks, ~pairs.masks])
    values = np.empty((*question.rows.shape, len(question.answers.outputs)))
    error = np.empty_like(values)
    at_once = max(1, POINTS // len(reference.rows))
    watch.begin()
    for at, row in enumerate(question.rows):
        worths = []
        for start in range(0, len(masks), at_once):
            watch.step(at, len(question.rows))
            worths.append(worth(question.asked, row, masks[start : start + at_once], reference))
        held = np.concatenate(worths)
        difference = held[: len(pairs.masks)] - held[len(pairs.masks) :]
        values[at], error[at] = solver.solved(difference, question.prediction[at] - reference.base)
    watch.step(len(question.rows), len(question.rows))
    return question.explained(
        values,
        reference.base,
        method="sampled",
        seed=seed,
        error=error,
        settings={"coalitions": len(masks), **reference.settings},
        notes=reference.notes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solver:
    """The regression that all rows share: from differences v(S) − v(not S) to values and their errors.

    Of a pair only the difference matters: the sum of both is a constant under the constraint that the values add up.
    """

    pairs: Pairs
    signs: NDArray[np.float64]
    influence: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Pairs) -> _Solver:
        signs = np.where(pairs.masks, 1.0, -1.0)
        features = signs.shape[1]
        # Directions in which the values may move while they add up to the same.
        inside = np.linalg.svd(np.ones((1, features)))[2][1:].T
        reduced = signs @ inside
        gram = reduced.T @ (pairs.weight[:, None] * reduced)
        influence = inside @ np.linalg.solve(gram, (reduced * pairs.weight[:, None]).T)
        # How far the regression bends to each pair: residuals are too small by it (HC2).
        leverage = np.einsum("pf,fp->p", signs, influence)
        return cls(pairs, signs, influence, 1.0 / np.sqrt(np.clip(1.0 - leverage, 0.05, 1.0)))

    def solved(
        self, difference: NDArray[np.float64], total: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and standard errors, (features, outputs) each, from differences (pairs, outputs)."""
        features = self.signs.shape[1]
        even = total / features
        rest = difference - self.signs.sum(axis=1)[:, None] * even
        values = even + self.influence @ rest
        residual = (difference - self.signs @ values) * self.spread[:, None]
        return values, np.sqrt(self._variance(residual))

    def _variance(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of a total over strata drawn without repetition; a stratum taken whole has none."""
        out = np.zeros((len(self.influence), residual.shape[1]))
        for stratum in np.unique(self.pairs.stratum):
            inside = np.flatnonzero(self.pairs.stratum == stratum)
            drawn, of = self.pairs.drawn[inside[0]], self.pairs.of[inside[0]]
            if drawn == of:
                continue
            pulls = self.influence[:, inside, None] * residual[None, inside]
            if drawn > 1:
                pulls = (pulls - pulls.mean(axis=1, keepdims=True)) * np.sqrt(drawn / (drawn - 1))
            out += (1.0 - drawn / of) * np.square(pulls).sum(axis=1)
        return out
