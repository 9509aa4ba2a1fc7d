"""Scikit-learn's trees by Tree SHAP in short calls."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
import shap
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from nbproof.errors import Cancelled, ExplanationRefused
from nbproof.explain.progress import Watch
from nbproof.explain.question import ask
from nbproof.explain.shapley import trees
from nbproof.explain.shapley.dispatch import explain, method_for

RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(300, 5))
SCORE = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
BINARY, MANY = (SCORE > 0).astype(int), np.digitize(SCORE, [-0.5, 0.5])
CLASSIFIERS = [
    RandomForestClassifier(8, random_state=0),
    ExtraTreesClassifier(8, random_state=0),
    DecisionTreeClassifier(random_state=0),
    GradientBoostingClassifier(n_estimators=8, random_state=0),
    HistGradientBoostingClassifier(max_iter=8, random_state=0),
]
REGRESSORS = [
    RandomForestRegressor(8, random_state=0),
    ExtraTreesRegressor(8, random_state=0),
    DecisionTreeRegressor(random_state=0),
    GradientBoostingRegressor(n_estimators=8, random_state=0),
    HistGradientBoostingRegressor(max_iter=8, random_state=0),
]


def _by_shap(model: Any, rows: Any) -> Any:
    found = np.asarray(shap.TreeExplainer(model).shap_values(rows))
    return found[:, :, None] if found.ndim == 2 else found


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
def test_binary_values_are_shaps_own(model: Any) -> None:
    """Values speak of the second class alone, equal shap's to 1e-6, and add up to the model's answer."""
    model.fit(ROWS, BINARY)
    expected = _by_shap(model, ROWS[:20])[:, :, -1:]

    found = explain(ask(model, ROWS[:20]))

    assert (found.method, found.is_exact, found.output_names, found.complement) == ("trees", True, ("1",), "0")
    assert np.abs(found.values - expected).max() <= 1e-6
    chance = model.predict_proba(ROWS[:20])[:, 1]
    if found.unit == "probability":
        assert found.total()[:, 0] == pytest.approx(chance, abs=1e-6)
    else:
        assert 1 / (1 + np.exp(-found.total()[:, 0])) == pytest.approx(chance, abs=1e-6)


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
def test_every_class_of_many_adds_up(model: Any) -> None:
    """Three classes have three outputs; also boosted ones, which shap's own explainer refuses."""
    model.fit(ROWS, MANY)

    found = explain(ask(model, ROWS[:20]))

    assert found.output_names == ("0", "1", "2")
    assert found.gap().max() <= 1e-6
    if not isinstance(model, GradientBoostingClassifier):
        assert np.abs(found.values - _by_shap(model, ROWS[:20])).max() <= 1e-6


def test_boosted_classes_are_explained_as_one_against_itself() -> None:
    """Of a boosted classifier of three classes, each class's values are those of a regression by its trees."""
    model = GradientBoostingClassifier(n_estimators=8, random_state=0).fit(ROWS, MANY)

    found = explain(ask(model, ROWS[:10]))

    for output in range(3):
        parts = [
            _by_shap(stage, ROWS[:10].astype(np.float32))[:, :, 0] * model.learning_rate
            for stage in model.estimators_[:, output]
        ]
        assert np.abs(found.values[:, :, output] - np.sum(parts, axis=0)).max() <= 1e-6


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda model: type(model).__name__)
def test_regressions_are_shaps_own(model: Any) -> None:
    """A regression's values equal shap's to 1e-6."""
    model.fit(ROWS, SCORE)

    found = explain(ask(model, ROWS[:20]))

    assert (found.unit, found.output_names) == ("raw", ("prediction",))
    assert np.abs(found.values - _by_shap(model, ROWS[:20])).max() <= 1e-6


@pytest.mark.parametrize("kind", [RandomForestClassifier, HistGradientBoostingClassifier])
def test_missing_values_follow_the_trees(kind: Any) -> None:
    """Rows with missing values have values that add up to the model's answer."""
    rows = ROWS.copy()
    rows[RNG.random(rows.shape) < 0.2] = np.nan
    model = kind(random_state=0).fit(rows, BINARY)

    assert explain(ask(model, rows[:30])).gap().max() <= 1e-6


def test_what_shap_would_read_wrong_is_not_read() -> None:
    """Isolation forests, splits by category and links are explained by asking, and refused by name."""
    coded = np.column_stack([ROWS[:, :2], RNG.integers(0, 4, size=300)])
    models = [
        IsolationForest(n_estimators=5, random_state=0).fit(coded),
        HistGradientBoostingClassifier(max_iter=5, categorical_features=[2]).fit(coded, coded[:, 2] % 2 == 1),
        HistGradientBoostingRegressor(max_iter=5, loss="poisson").fit(coded, np.abs(coded[:, 0])),
    ]

    for model in models:
        question = ask(model, coded[:3], background=coded[:10])
        assert method_for(question) == "enumerated"
        assert explain(question).gap().max() <= 1e-6
        with pytest.raises(ExplanationRefused, match="the method trees"):
            explain(question, method="trees")


def test_where_a_call_is_cut_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees one at a time and everything at once give equal values, bit by bit."""
    model = RandomForestClassifier(7, random_state=0).fit(ROWS, MANY)
    question = ask(model, ROWS[:30])

    monkeypatch.setattr(trees, "CALL_S", 1e-9)
    apart = explain(question)
    monkeypatch.setattr(trees, "CALL_S", 60.0)
    together = explain(question)

    assert apart.equals(together)


def _deep_forest() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 20))
    target = (rows[:, 0] + rng.normal(size=3000) > 0).astype(int)
    return RandomForestClassifier(25, random_state=0).fit(rows, target), rows


def test_other_threads_run_while_a_deep_forest_is_explained() -> None:
    """A thread that ticks every 5 ms keeps a fifth of its ticks, and a cancel returns within a second.

    Seconds are those that the explaining thread itself computes. What else the machine does can only take ticks away,
    so the best of a few times counts.
    """
    model, rows = _deep_forest()
    question, many = ask(model, rows[:150]), ask(model, rows)
    explain(ask(model, rows[:1]))

    kept = max(_ticks_kept(question) for _ in range(4))
    cancelled = min(_seconds_until_cancelled(many) for _ in range(3))

    assert kept >= 0.2
    assert cancelled <= 1.2


def _ticks_kept(question: Any) -> float:
    """The share of its ticks that a thread keeps while another one explains."""
    ticks, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            time.sleep(0.005)
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.thread_time()
    explain(question)
    took, kept = time.thread_time() - began, ticks[0]
    stop.set()
    ticker.join()
    assert took > 0.2
    return kept * 0.005 / took


def _seconds_until_cancelled(question: Any) -> float:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began = time.thread_time()
    with pytest.raises(Cancelled):
        explain(question, watch=Watch(cancel=cancel))
    return time.thread_time() - began
