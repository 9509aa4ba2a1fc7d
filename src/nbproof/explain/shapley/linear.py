"""Shapley values of a linear model, in closed form: coefficient times distance from the background's mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..explanation import Explanation
from ..progress import Watch
from ..question import Question
from .completeness import refuse_incomplete


def reads(question: Question) -> bool:
    """Whether the question is about the sum itself: not about a probability that is made of it."""
    return question.model.family == "linear" and question.answers.unit != "probability"


def explain(question: Question, *, watch: Watch) -> Explanation:
    """φ_j = β_j (x_j − E x_j) with the whole background's mean; features count as independent.

    Strumbelj and Kononenko (2014), section 4. Raises `DataUnusable` without a background.
    """
    background = question.needs_background("a linear model", takes_weights=True)
    watch.begin()
    watch.step(0, len(question.rows))
    coefficients, intercept = _fitted(question)
    shares = question.shares
    mean = background.mean(axis=0) if shares is None else shares @ background
    values = (question.rows - mean)[:, :, None] * coefficients.T[None]
    base = np.broadcast_to(intercept + coefficients @ mean, question.prediction.shape)
    refuse_incomplete(
        question, values, base, "the closed form", hint="pass method='sampled', which asks the model itself"
    )
    watch.step(len(question.rows), len(question.rows))
    return question.explained(
        values, base, method="linear", is_exact=True, settings={"background_rows": len(background)}
    )


def _fitted(question: Question) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (outputs, features) and intercept (outputs,)."""
    fitted = question.model.fitted
    coefficients = np.atleast_2d(np.asarray(_dense(fitted.coef_), dtype=np.float64))
    intercept = np.broadcast_to(np.asarray(fitted.intercept_, dtype=np.float64).reshape(-1), (len(coefficients),))
    return coefficients, intercept


def _dense(coefficients: object) -> object:
    return coefficients.toarray() if hasattr(coefficients, "toarray") else coefficients
