"""Judges whether another background would have told another story."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import schema
from ..line import Gauge, Line
from ..metrics import background, ranking
from ..question import Question
from .looked import AGAIN, Looked, guarded, spread, taken, told_by

# The least background that can be cut into two, and the most of each part.
HALVES, HALF = 20, 100


def judge(looked: Looked) -> list[Line]:
    gauge = Gauge(
        "sensitivity of SHAP to the background",
        "Yuan et al. (2022), arXiv 2204.11351; Janzing, Minorics and Blöbaum (2020), arXiv 1910.13413",
        0.8,
        0.5,
    )
    against = looked.question.background
    if against is None or looked.shap.origins.background is None:
        return [gauge.unknown("these values do not depend on a background")]
    if len(against) < HALVES:
        return [gauge.unknown(f"{len(against)} background rows cannot be cut into two; {HALVES} are needed")]

    def work() -> list[Line]:
        question = taken(looked.question, spread(len(looked.question.rows), AGAIN))
        order = np.random.default_rng(looked.generator(5)).permutation(len(against))
        half = min(len(against) // 2, HALF)
        one, other = (
            ranking.flat(told_by(looked.explain_shap(_against(question, against[np.sort(part)]), looked.seed)))
            for part in (order[:half], order[half : 2 * half])
        )
        found = background.measure(one, [other], k=looked.k)
        if found.spearman is None:
            return [gauge.unknown("there are no two features to rank")]
        told = (
            f"Against two backgrounds of {half} rows that share none, the orders of the features correlate with "
            f"{found.spearman:.2f}, and {found.top:.0%} of the top {looked.k} are the same."
        )
        return [
            gauge.line(
                found.spearman, told, numbers={"background_spearman": found.spearman, "background_top": found.top}
            )
        ]

    return guarded([gauge], work)


def _against(question: Question, rows: NDArray[np.float64]) -> Question:
    """The same question with another background."""
    origins = replace(question.origins, background=schema.hash_of(rows, question.schema))
    return replace(question, background=rows, origins=origins)
