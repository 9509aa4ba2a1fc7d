"""Shapley values of any model by regression on drawn coalitions, each with its standard error.

Kernel SHAP (Lundberg and Lee, 2017) with coalitions drawn in complementary pairs by their leverage (Musco and Witter,
ICLR 2025). Every row of the reference has a draw of its own: the value against a background is the mean of the values
against its rows, so that chance averages out over them, and a model is asked no more for it. The draws are shared by
all rows explained, so that differences between these are never differences between draws. Nothing is shrunk to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation
from ..model import Asked
from ..pacing import Calls
from ..progress import Watch
from ..question import Question
from . import enumerated
from .coalitions import POINTS, Pairs, drawn_pairs
from .reference import Reference, reference_of

LEAST_SAMPLES = 512
# Coalitions per feature: fewer leave the regression little to average over.
SAMPLES_PER_FEATURE = 16
# Numbers that all draws may hold: of many features rows of the reference share a draw.
HELD = 2**22


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
    draws = min(len(reference.rows), max(1, HELD // (features * (samples // 2))))
    pairs = drawn_pairs(features, samples // 2, np.random.default_rng([seed, 1]), draws=draws)
    points, solver = _Points.of(pairs, reference), _Solver.of(pairs)
    values = np.empty((*question.rows.shape, len(question.answers.outputs)))
    error = np.empty_like(values)
    watch.begin()
    calls = Calls(watch, POINTS)
    for at, row in enumerate(question.rows):
        watch.step(at, len(question.rows))
        answers = calls(len(points), partial(points.answers, question.asked, row))
        totals = points.per_draw(question.prediction[at] - reference.answers)
        values[at], error[at] = solver.solved(points.differences(answers), totals)
    watch.step(len(question.rows), len(question.rows))
    return question.explained(
        values,
        reference.base,
        method="sampled",
        seed=seed,
        error=error,
        settings={"coalitions": 2 * pairs.masks.shape[1], "draws": draws, **reference.settings},
        notes=reference.notes,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Points:
    """What the model is asked about for each row explained: every coalition of a draw with every row that uses it.

    Point by point `mask_of` is the number of its coalition and `row_of` that of its row of the reference; the points
    of one coalition stand together, and begin at `starts`. `masks` (coalitions, features) are those of all draws, in
    each the pairs' first halves before their second ones. `draw_of` is each reference row's draw.
    """

    masks: NDArray[np.bool_]
    mask_of: NDArray[np.int64]
    row_of: NDArray[np.int64]
    starts: NDArray[np.int64]
    draw_of: NDArray[np.int64]
    draws: int
    reference: Reference

    @classmethod
    def of(cls, pairs: Pairs, reference: Reference) -> _Points:
        draws, count, features = pairs.masks.shape
        masks = np.concatenate([pairs.masks, ~pairs.masks], axis=1).reshape(-1, features)
        draw_of = np.arange(len(reference.rows)) % draws
        rows = [np.flatnonzero(draw_of == draw) for draw in range(draws)]
        row_of = np.concatenate([np.tile(each, 2 * count) for each in rows])
        together = np.repeat([len(each) for each in rows], 2 * count)
        starts = np.concatenate([[0], np.cumsum(together)[:-1]])
        return cls(masks, np.repeat(np.arange(len(masks)), together), row_of, starts, draw_of, draws, reference)

    def __len__(self) -> int:
        return len(self.row_of)

    def answers(self, asked: Asked, row: NDArray[np.float64], part: slice) -> NDArray[np.float64]:
        """What the model says of a part of the points around `row`."""
        return asked(np.where(self.masks[self.mask_of[part]], row, self.reference.rows[self.row_of[part]]))

    def differences(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """v(S) − v(not S) (draws, pairs, outputs), v being the answers (points, outputs) weighted in each draw."""
        weighted = answers * self.reference.weights[self.row_of, None]
        worth = np.add.reduceat(weighted, self.starts, axis=0).reshape(self.draws, -1, answers.shape[1])
        half = worth.shape[1] // 2
        return np.asarray(worth[:, :half] - worth[:, half:])

    def per_draw(self, of_rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weighted sums (draws, outputs) of something that each reference row has."""
        out = np.zeros((self.draws, of_rows.shape[1]))
        np.add.at(out, self.draw_of, of_rows * self.reference.weights[:, None])
        return out


@dataclass(frozen=True, slots=True, eq=False)
class _Solver:
    """The regression that all rows share: from differences v(S) − v(not S) to values and their errors.

    Of a pair only the difference matters: the sum of both is a constant under the constraint that the values add up.
    Each draw is a regression of its own; their values add up, and so do their variances.
    """

    pairs: Pairs
    signs: NDArray[np.float64]
    influence: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(cls, pairs: Pairs) -> _Solver:
        signs = np.where(pairs.masks, 1.0, -1.0)
        # Directions in which the values may move while they add up to the same.
        inside = np.linalg.svd(np.ones((1, signs.shape[2])))[2][1:].T
        reduced = signs @ inside
        weighted = (reduced * pairs.weight[None, :, None]).transpose(0, 2, 1)
        influence = inside @ np.linalg.solve(weighted @ reduced, weighted)
        # How far the regression bends to each pair: residuals are too small by it (HC2).
        leverage = np.einsum("dpf,dfp->dp", signs, influence)
        return cls(pairs, signs, influence, 1.0 / np.sqrt(np.clip(1.0 - leverage, 0.05, 1.0)))

    def solved(
        self, difference: NDArray[np.float64], totals: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and standard errors, (features, outputs) each, from differences (draws, pairs, outputs)."""
        even = totals[:, None] / self.signs.shape[2]
        rest = difference - self.signs.sum(axis=2)[:, :, None] * even
        values = even + self.influence @ rest
        residual = (difference - self.signs @ values) * self.spread[:, :, None]
        return values.sum(axis=0), np.sqrt(self._variance(residual))

    def _variance(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of a total over strata drawn without repetition; a stratum taken whole has none."""
        out = np.zeros((self.influence.shape[1], residual.shape[2]))
        for stratum in np.unique(self.pairs.stratum):
            inside = np.flatnonzero(self.pairs.stratum == stratum)
            drawn, of = self.pairs.drawn[inside[0]], self.pairs.of[inside[0]]
            if drawn == of:
                continue
            pulls = self.influence[:, :, inside, None] * residual[:, None, inside]
            if drawn > 1:
                pulls = (pulls - pulls.mean(axis=2, keepdims=True)) * np.sqrt(drawn / (drawn - 1))
            out += (1.0 - drawn / of) * np.square(pulls).sum(axis=(0, 2))
        return out
