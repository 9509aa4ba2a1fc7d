"""Linear models in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shap
from numpy.typing import NDArray
from shapley_reference import by_definition
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier

from nbproof.errors import DataUnusable, ExplanationRefused
from nbproof.explain.question import ask
from nbproof.explain.shapley.completeness import refuse_incomplete
from nbproof.explain.shapley.dispatch import explain

RNG = np.random.default_rng(2)
ROWS = RNG.normal(loc=1.0, size=(120, 4))
SCORE = ROWS @ [1.0, -2.0, 0.0, 0.5]
CASES: dict[str, tuple[Any, NDArray[Any]]] = {
    "regression": (Ridge(), SCORE),
    "two targets": (LinearRegression(), np.column_stack([SCORE, -SCORE])),
    "logistic": (LogisticRegression(), SCORE > 0),
    "three classes": (LogisticRegression(), np.digitize(SCORE, [-1.0, 1.0])),
    "margin": (RidgeClassifier(), SCORE > 0),
    "hinge": (SGDClassifier(loss="hinge", alpha=1.0, random_state=0), SCORE > 0),
}


@pytest.mark.parametrize("case", CASES)
def test_they_are_shaps_own_values(case: str) -> None:
    """Values equal shap's LinearExplainer with independent features to 1e-6, and add up."""
    model, target = CASES[case]
    model.fit(ROWS, target)
    masker = shap.maskers.Independent(ROWS, max_samples=len(ROWS))
    expected = np.asarray(shap.LinearExplainer(model, masker).shap_values(ROWS[:10]))

    found = explain(ask(model, ROWS[:10], background=ROWS))

    assert (found.method, found.is_exact) == ("linear", True)
    assert np.abs(found.values - expected.reshape(found.shape)).max() <= 1e-6
    assert found.gap().max() <= 1e-6


def test_logistic_values_are_log_odds_by_definition() -> None:
    """A logistic model's values are in log-odds of the second class, as the definition gives them."""
    model = LogisticRegression().fit(ROWS, np.where(SCORE > 0, "yes", "no"))

    found = explain(ask(model, ROWS[:2], background=ROWS[:20]))

    assert (found.unit, found.output_names, found.complement) == ("log-odds", ("yes",), "no")
    for row in range(2):
        expected = by_definition(model.decision_function, ROWS[row], ROWS[:20])
        assert found.values[row, :, 0] == pytest.approx(expected, abs=1e-6)


def test_probabilities_are_not_linear() -> None:
    """Asked for probabilities, a logistic model is asked about coalitions; the closed form is refused."""
    model = LogisticRegression().fit(ROWS, SCORE > 0)
    question = ask(model, ROWS[:3], background=ROWS[:20], unit="probability")

    found = explain(question)

    assert (found.method, found.unit) == ("enumerated", "probability")
    assert found.values[0, :, 0] == pytest.approx(
        by_definition(lambda rows: model.predict_proba(rows)[:, 1], ROWS[0], ROWS[:20]), abs=1e-6
    )
    with pytest.raises(ExplanationRefused, match="the method linear"):
        explain(question, method="linear")


def test_a_background_is_needed() -> None:
    """Without rows to compare with, there are no values."""
    with pytest.raises(DataUnusable, match="rows to compare with, for a linear model"):
        explain(ask(Ridge().fit(ROWS, SCORE), ROWS[:2]))


def test_shares_that_do_not_add_up_are_never_shown() -> None:
    """Shares that are a hundredth too large are refused, also beside a large base value; so are NaN."""
    model = Ridge().fit(ROWS, SCORE + 1000.0)
    question = ask(model, ROWS[:3], background=ROWS)
    found = explain(question)
    right = found.values.astype(np.float64)

    refuse_incomplete(question, right, found.base, "the values", hint="")

    for wrong in (right * 1.01, np.where(right == right.max(), np.nan, right)):
        with pytest.raises(ExplanationRefused, match="the values of Ridge: found shares that miss the model's answer"):
            refuse_incomplete(question, wrong, found.base, "the values", hint="")
