"""The rows that a row is compared with: as many of the background as can be afforded, each distinct one once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelUnusable
from ..question import Question
from ..schema import refuse_missing

# Every coalition is asked about once for each of them: what a black box costs grows with their number.
BACKGROUND_ROWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Distinct rows (m, features) with weights (m,) that add up to one, and their `answers` (m, outputs).

    `drawn` of the `given` rows of the background stand behind it.
    """

    rows: NDArray[np.float64]
    weights: NDArray[np.float64]
    answers: NDArray[np.float64]
    drawn: int
    given: int

    @property
    def base(self) -> NDArray[np.float64]:
        """The mean answer (outputs,)."""
        return np.asarray(self.weights @ self.answers)

    @property
    def is_whole(self) -> bool:
        return self.drawn == self.given

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about it."""
        if self.is_whole:
            return ()
        return (f"Compared with {self.drawn} of the {self.given} background rows, drawn with the seed.",)

    @property
    def settings(self) -> dict[str, int]:
        return {"background_rows": self.drawn, "background_rows_given": self.given}


def reference_of(question: Question, method: str, *, seed: int, most: int = BACKGROUND_ROWS) -> Reference:
    """The background of a question with at most `most` distinct rows, drawn where there are more.

    Rows without weights are drawn without repetition, rows with weights in proportion to them.

    Raises `DataUnusable` where there is none, or where values are missing in it that the model cannot take.
    """
    background = question.needs_background(method, takes_weights=True)
    given, drawn, shares = len(background), len(background), question.shares
    rows, weights = _distinct(background, np.full(given, 1 / given) if shares is None else shares)
    if len(rows) > most:
        random, drawn = np.random.default_rng(seed), most
        if shares is None:
            picked = np.sort(random.choice(given, most, replace=False))
        else:
            # With repetition, since only so is each row in it as often as its weight says, on average.
            picked = np.sort(random.choice(given, most, p=shares))
        rows, weights = _distinct(background[picked], np.full(most, 1 / most))
    try:
        answers = question.asked(rows)
    except ModelUnusable:
        refuse_missing(rows, question.schema.names, f"{question.model.name} does not take them")
        raise
    return Reference(rows, weights, answers, drawn, given)


def _distinct(
    background: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every row once, with the shares of its repetitions added up."""
    rows, place = np.unique(background, axis=0, return_inverse=True)
    return rows, np.bincount(place.reshape(-1), weights=shares, minlength=len(rows)).astype(np.float64)
