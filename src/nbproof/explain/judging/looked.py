"""What an audit looks at: some rows, their explanations, and how to explain others in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import Cancelled, NbproofError
from .. import schema
from ..explanation import Explanation
from ..line import Gauge, Line
from ..metrics import ranking
from ..question import Question

Explain = Callable[[Question, int], Explanation]

# How many rows are looked at: at all, and where each must be explained again.
ROWS, AGAIN, FEW_AGAIN = 100, 50, 20
# Below that a mean over rows cannot be told from chance.
FEWEST = 10
# By so many standard errors an explanation must do better than chance: one of noise does in one case of 700.
SURE = 3.0
# What is less than this part of the largest answer is rounding.
ROUNDING = 1e-12
OURS = "nbproof's own"


@dataclass(frozen=True, slots=True)
class Looked:
    """Some rows, how they were explained, and how to explain others; `whole` is the explanation of all rows."""

    question: Question
    shap: Explanation
    lime: Explanation | None
    whole: Explanation
    approved: Explanation | None
    explain_shap: Explain
    explain_lime: Explain | None
    seed: int

    @property
    def k(self) -> int:
        return ranking.depth(self.question.rows.shape[1])

    def generator(self, step: int) -> int:
        """A seed of its own for each step, so that one does not depend on what another drew."""
        return int(np.random.SeedSequence([abs(self.seed), step]).generate_state(1)[0] & 0x7FFFFFFF)


def spread(total: int, most: int) -> NDArray[np.int64]:
    """Positions of at most `most` rows, evenly spread."""
    if total <= most:
        return np.arange(total)
    return np.unique(np.linspace(0, total - 1, most).round().astype(np.int64))


def taken(question: Question, rows: NDArray[np.int64]) -> Question:
    """The same question about some of its rows."""
    return replace(
        question,
        rows=question.rows[rows],
        prediction=question.prediction[rows],
        origins=replace(question.origins, data=schema.hash_of(question.rows[rows], question.schema)),
    )


def told_by(explanation: Explanation) -> NDArray[np.float64]:
    """The shares (rows, features, outputs) without those that are rounding alone, which would be ranked like others."""
    values = explanation.values.astype(np.float64)
    least = ROUNDING * np.abs(explanation.prediction).max(axis=0)
    return np.where(np.abs(values) > least, values, 0.0)


def comparable(question: Question, lime: Explanation) -> NDArray[np.float64]:
    """LIME's coefficients as shares: a slope on a standardised column is taken times how far the value lies out.

    Where a feature has bins, or is categorical, the coefficient speaks of what the row has, and is a share already.
    """
    values = told_by(lime)
    if lime.surrogate is None or question.background is None:
        return values
    declared = {str(each) for each in lime.settings.get("categorical", ())}
    slopes = np.array(
        [
            not (column.is_categorical or column.name in declared or str(at) in declared)
            and bool((lime.surrogate.bins[:, at] < 0).all())
            for at, column in enumerate(question.schema.columns)
        ]
    )
    width = np.nanstd(question.background, axis=0)
    out = (question.rows - np.nanmean(question.background, axis=0)) / np.where(width > 0, width, 1.0)
    return np.where(slopes[None, :, None], values * out[:, :, None], values)


def guarded(gauges: Sequence[Gauge], work: Callable[[], list[Line]]) -> list[Line]:
    """What `work` finds; where it meets an error on purpose, the same lines as not evaluated. Cancelling ends all."""
    try:
        return work()
    except Cancelled:
        raise
    except NbproofError as error:
        return [each.unknown(str(error).rstrip(".")) for each in gauges]


def too_few(rows: int) -> str:
    return f"{rows} rows are too few to tell it from chance; {FEWEST} are needed"
