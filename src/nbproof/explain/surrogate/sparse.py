"""LIME for sparse rows: only what is not nought is perturbed, and fits stop where lime's own stop.

For sparse columns lime's ridge regressions go by conjugate gradients and end at a relative residual of 1e-4. The steps
of that method follow from the Gram matrix alone, so that the same steps, thus the same numbers, come from moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from ...errors import DataUnusable
from ..pacing import Calls
from ..progress import Watch, chunks
from ..question import Question
from . import selecting, solving
from .moments import Moments, moments
from .plan import Plan, calls_for
from .solving import Fitted, fitted

# Where scikit-learn's Ridge stops for sparse columns.
RESIDUAL = 1e-4
WAYS = ("forward_selection", "highest_weights", "none")


@dataclass(frozen=True, slots=True)
class Fit:
    """A neighbourhood of one row in its columns that are not nought, as moments and point by point.

    `columns` (points, columns) and `answers` (points, outputs) are about their means, times the root of the weight.
    `features` is the number of all columns of the table.
    """

    moments: Moments
    columns: NDArray[np.float64]
    answers: NDArray[np.float64]
    own: NDArray[np.float64]
    features: int

    def coefficients(self, output: int, chosen: NDArray[np.int64], penalty: float, width: int) -> NDArray[np.float64]:
        """The ridge coefficients of the chosen columns, as far as lime takes them, in a model of `width` columns."""
        from scipy.sparse.linalg import LinearOperator, cg

        if not len(chosen):
            return np.zeros(0)
        points = len(self.columns)
        if width > points:
            within = self.columns[:, chosen]
            seen = LinearOperator((points, points), matvec=lambda each: within @ (within.T @ each) + penalty * each)
            return np.asarray(within.T @ cg(seen, self.answers[:, output], rtol=RESIDUAL)[0])
        gram = self.moments.gram[0][np.ix_(chosen, chosen)] + penalty * np.eye(len(chosen))
        return np.asarray(cg(gram, self.moments.cross[0, chosen, output], rtol=RESIDUAL)[0])

    def r2(self, output: int, chosen: NDArray[np.int64], coefficients: NDArray[np.float64]) -> float:
        square = float(self.moments.square[0, output])
        if square <= 0.0:
            return 1.0
        gram = self.moments.gram[0][np.ix_(chosen, chosen)]
        cross = self.moments.cross[0, chosen, output]
        return float((2.0 * coefficients @ cross - coefficients @ gram @ coefficients) / square)


def fits(
    question: Question, plan: Plan, training: NDArray[np.float64], random: RandomState, watch: Watch
) -> list[list[Fitted]]:
    """The fits of each row, one for each output.

    Raises `DataUnusable` for "lasso_path", which lime cannot do for sparse rows either.
    """
    if plan.way not in WAYS:
        raise DataUnusable("the selection", f"{plan.way} for sparse rows", f"one of {', '.join(WAYS)}")
    means, deviations = _scaled_by(training)
    calls = calls_for(question.rows.shape[1], watch)
    found = []
    for part in chunks(len(question.rows), 1, watch):
        row = question.rows[part.start]
        if plan.mode == "row":
            random.seed(plan.seed)
        present = np.flatnonzero(row)
        fit = _fit(question, plan, part.start, present, means, deviations, random, calls)
        found.append([_ridge(fit, plan, output, present) for output in range(question.prediction.shape[1])])
    return found


def _scaled_by(training: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_mean=False).fit(csr_matrix(training))
    return np.array(scaler.mean_), np.array(scaler.scale_)


def _fit(
    question: Question,
    plan: Plan,
    at: int,
    present: NDArray[np.int64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    random: RandomState,
    calls: Calls,
) -> Fit:
    """Draw the points around one row, ask the model about them, and take the moments."""
    row, features = question.rows[at], question.rows.shape[1]
    drawn = random.normal(0, 1, plan.samples * len(present)).reshape(plan.samples, len(present))
    drawn = drawn * deviations[present] + means[present]
    drawn[0] = row[present]

    def answers_of(part: slice) -> NDArray[np.float64]:
        points = np.zeros((part.stop - part.start, features))
        points[:, present] = drawn[part]
        return question.asked(points)

    answers = calls(len(drawn), answers_of)
    answers[0] = question.prediction[at]
    # Multiplied where other values are divided: what lime does with sparse rows.
    columns = drawn * deviations[present]
    apart = columns - columns[0]
    roots = plan.kernel.roots(plan.arrays, (apart * apart).sum(1))
    shift = np.zeros((1, len(present)))
    held = moments(plan.arrays, columns.T[None], answers[None], roots[None], shift)
    return Fit(
        moments=held,
        columns=(columns - held.column_means[0]) * roots[:, None],
        answers=(answers - held.answer_means[0]) * roots[:, None],
        own=columns[:1],
        features=features,
    )


def _ridge(fit: Fit, plan: Plan, output: int, present: NDArray[np.int64]) -> Fitted:
    """One output on the columns that are chosen; those that are nought in this row come last, with nothing."""
    order = _selected(fit, plan, output, present)
    place = {int(feature): at for at, feature in enumerate(present)}
    chosen = np.array([place[int(each)] for each in order if int(each) in place], dtype=np.int64)
    nought = np.array([each for each in order if int(each) not in place], dtype=np.int64)
    coefficients = fit.coefficients(output, chosen, solving.PENALTY, len(order))
    found = fitted(plan.arrays, fit.moments, output, chosen[None], coefficients[None], fit.own)
    return Fitted(
        selected=np.concatenate([present[found.selected[0]], nought])[None],
        coefficients=np.concatenate([found.coefficients[0], np.zeros(len(nought))])[None],
        intercept=found.intercept,
        r2=found.r2,
        local=found.local,
    )


def _selected(fit: Fit, plan: Plan, output: int, present: NDArray[np.int64]) -> NDArray[np.int64]:
    """The features that the surrogate uses, in the order of their choice."""
    everything = np.arange(fit.features)
    if plan.way == "none":
        return everything
    if plan.way == "forward_selection":
        return _one_by_one(fit, output, present, plan.features)
    weights = fit.coefficients(output, np.arange(len(present)), selecting.PENALTY, fit.features) * fit.own[0]
    weighing = np.flatnonzero(weights)
    heaviest = weighing[np.abs(weights[weighing]).argsort()[::-1]][: plan.features]
    chosen = present[heaviest]
    # Filled up with what is nought; lime takes the first column for it last.
    others = np.setdiff1d(everything, chosen)
    others = np.concatenate([others[others != 0], others[others == 0]])
    return np.concatenate([chosen, others])[: plan.features]


def _one_by_one(fit: Fit, output: int, present: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Add the feature that raises R² most, the first of equals; one that is nought leaves it as it is."""
    place = {int(feature): at for at, feature in enumerate(present)}
    used: list[int] = []
    for _ in range(count):
        best, most = -1, -np.inf
        as_it_is: float | None = None
        for feature in range(fit.features):
            if feature in used:
                continue
            if feature in place or as_it_is is None:
                chosen = np.array([place[each] for each in (*used, feature) if each in place], dtype=np.int64)
                score = fit.r2(output, chosen, fit.coefficients(output, chosen, 0.0, len(used) + 1))
                as_it_is = as_it_is if feature in place else score
            else:
                score = as_it_is
            if score > most:
                best, most = feature, score
        used.append(best)
    return np.array(used, dtype=np.int64)
