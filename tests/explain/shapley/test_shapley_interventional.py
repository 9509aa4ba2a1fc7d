"""Trees against a whole reference population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shap
import xgboost
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier

from nbproof.errors import DataUnusable, ExplanationRefused
from nbproof.explain.question import ask
from nbproof.explain.shapley import interventional
from nbproof.explain.shapley.dispatch import explain

RNG = np.random.default_rng(5)
ROWS = RNG.normal(size=(300, 6))
SCORE = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
BINARY, MANY = (SCORE > 0).astype(int), np.digitize(SCORE, [-0.5, 0.5])
MODELS = [
    RandomForestClassifier(6, max_depth=5, random_state=0),
    xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1),
    LGBMClassifier(n_estimators=8, num_leaves=7, verbose=-1, n_jobs=1),
]


@pytest.mark.parametrize("target", [BINARY, MANY], ids=["binary", "multiclass"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_they_are_shaps_own_values(model: Any, target: Any) -> None:
    """Values against the background equal shap's to 1e-6: of the second of two classes, of each of three."""
    model = clone(model).fit(ROWS, target)
    explainer = shap.TreeExplainer(model, data=ROWS[:60], feature_perturbation="interventional")
    expected = np.asarray(explainer.shap_values(ROWS[100:110]))
    expected = expected[:, :, None] if expected.ndim == 2 else expected

    found = explain(ask(model, ROWS[100:110], background=ROWS[:60]), method="interventional")

    if target is BINARY:
        expected = expected[:, :, -1:]
    assert (found.method, found.is_exact) == ("interventional", True)
    assert np.abs(found.values - expected).max() <= 1e-6
    assert found.base[0] == pytest.approx(ask(model, ROWS[:60]).prediction.mean(axis=0), abs=1e-6)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Woodelf's own progress bar stays silent."""
    model = RandomForestClassifier(5, max_depth=4, random_state=0).fit(ROWS, BINARY)

    explain(ask(model, ROWS[:5], background=ROWS), method="interventional")

    assert capfd.readouterr() == ("", "")


def test_it_agrees_with_all_coalitions() -> None:
    """Values equal those by asking about every coalition, also where shap's single precision does not."""
    model = HistGradientBoostingRegressor(max_iter=8).fit(ROWS, SCORE)
    question = ask(model, ROWS[:8], background=ROWS[:60])

    found, exact = explain(question, method="interventional"), explain(question, method="enumerated")

    assert found.values == pytest.approx(exact.values, abs=1e-6)


def test_disagreement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were Woodelf to answer for the first class, its numbers would not be shown."""
    model = RandomForestClassifier(6, max_depth=4, random_state=0).fit(ROWS, BINARY)
    question = ask(model, ROWS[:5], background=ROWS[:60])
    read = interventional._read

    def first_class(question: Any, output: int) -> Any:
        from woodelf.core.trees.parse_models import load_decision_tree_ensemble_model

        assert read(question, output) is not None
        return load_decision_tree_ensemble_model(model, interventional._columns(6), 0)

    monkeypatch.setattr(interventional, "_read", first_class)

    with pytest.raises(ExplanationRefused, match="away from shap's"):
        explain(question, method="interventional")


def test_a_background_and_shallow_trees_are_needed() -> None:
    """Without a background there is no population; paths of too many features are refused."""
    rows = RNG.normal(size=(2000, 25))
    deep = RandomForestClassifier(1, random_state=0).fit(rows, RNG.integers(0, 2, 2000))

    with pytest.raises(DataUnusable, match="for the interventional method"):
        explain(ask(deep, rows[:2]), method="interventional")
    with pytest.raises(ExplanationRefused, match="features on one path; expected at most 14"):
        explain(ask(deep, rows[:2], background=rows[:20]), method="interventional")
