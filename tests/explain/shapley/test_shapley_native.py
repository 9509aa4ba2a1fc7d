"""Contributions of XGBoost, LightGBM and CatBoost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import shap
import xgboost
from numpy.typing import NDArray

from nbproof.errors import Cancelled, ExplanationRefused
from nbproof.explain.progress import Progress, Watch
from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import estimate, explain, method_for

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 6))
SCORE = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
TARGETS: dict[str, NDArray[Any]] = {
    "binary": np.where(SCORE > 0, "yes", "no"),
    "multiclass": np.digitize(SCORE, [-0.5, 0.5]),
    "regression": 3.0 * SCORE,
}


def _xgboost(task: str) -> Any:
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    return kind(n_estimators=15, max_depth=4, n_jobs=1)


def _lightgbm(task: str) -> Any:
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return kind(n_estimators=15, verbose=-1, n_jobs=1)


def _catboost(task: str) -> Any:
    kind = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier
    return kind(iterations=15, verbose=0, allow_writing_files=False, thread_count=1)


MAKERS: dict[str, Callable[[str], Any]] = {"xgboost": _xgboost, "lightgbm": _lightgbm, "catboost": _catboost}


def _fitted(library: str, task: str, rows: Any = ROWS) -> Any:
    target = TARGETS[task]
    if library == "xgboost" and task == "binary":
        target = (target == "yes").astype(int)
    return MAKERS[library](task).fit(rows, target)


def _by_shap(model: Any, rows: Any) -> NDArray[np.float64]:
    found = np.asarray(shap.TreeExplainer(model).shap_values(rows))
    return found[:, :, None] if found.ndim == 2 else found


@pytest.mark.filterwarnings("ignore:LightGBM binary classifier with TreeExplainer")
@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("library", MAKERS)
def test_they_are_shaps_own_values(library: str, task: str) -> None:
    """Values are those of shap's TreeExplainer to 1e-6, for the second of two classes, for every class of three."""
    model = _fitted(library, task)

    found = explain(ask(model, ROWS[:25]))

    assert (found.method, found.is_exact, found.seed, found.error) == ("native", True, None, None)
    assert found.unit == ("log-odds" if task == "binary" else "raw")
    assert np.abs(found.values - _by_shap(model, ROWS[:25])).max() <= 1e-6
    assert found.gap().max() <= 1e-5


@pytest.mark.parametrize("library", MAKERS)
def test_more_for_the_second_class_is_more_log_odds(library: str) -> None:
    """The base value and the shares of a binary model add up to the log-odds of its second class."""
    model = _fitted(library, "binary")

    found = explain(ask(model, ROWS[:25]))

    chance = model.predict_proba(ROWS[:25])[:, 1]
    assert found.total()[:, 0] == pytest.approx(np.log(chance / (1 - chance)), abs=1e-4)
    assert found.output_names == ("1" if library == "xgboost" else "yes",)


@pytest.mark.parametrize("library", MAKERS)
def test_what_is_missing_is_explained_too(library: str) -> None:
    """Rows with missing values have values that add up, since these models take them."""
    rows = ROWS.copy()
    rows[RNG.random(rows.shape) < 0.2] = np.nan
    model = _fitted(library, "binary", rows)

    found = explain(ask(model, rows[:40]))

    assert np.isnan(found.data.astype(float)).any()
    assert found.gap().max() <= 1e-5


@pytest.mark.parametrize("library", MAKERS)
def test_frames_with_categories_are_explained(library: str) -> None:
    """A categorical column has one value; rows come as a frame with the model's own dtypes."""
    frame = pd.DataFrame(ROWS[:, :2], columns=["age", "income"])
    frame["town"] = pd.Categorical(np.where(ROWS[:, 2] > 0, "Ulm", "Bonn"))
    kept: dict[str, Any] = {"cat_features": ["town"]} if library == "catboost" else {}
    model = _fitted_on_frame(library, frame, kept)

    found = explain(ask(model, frame[:30]))

    assert found.feature_names == ("age", "income", "town")
    assert set(found.data[:, 2]) == {"Ulm", "Bonn"}
    assert found.gap().max() <= 1e-5
    assert found.importance()[2, 0] > 0


def _fitted_on_frame(library: str, frame: pd.DataFrame, kept: dict[str, Any]) -> Any:
    target = (ROWS[:, 0] + 2 * (ROWS[:, 2] > 0) > 1).astype(int)
    model = _catboost("binary").set_params(**kept) if kept else MAKERS[library]("binary")
    if library == "xgboost":
        model.set_params(enable_categorical=True)
    return model.fit(frame, target)


def test_early_stopping_is_respected() -> None:
    """Only the trees that the model answers with are explained."""
    model = xgboost.XGBRegressor(n_estimators=200, max_depth=3, early_stopping_rounds=2, n_jobs=1)
    model.fit(ROWS[:200], SCORE[:200], eval_set=[(ROWS[200:], RNG.normal(size=100))], verbose=False)
    assert model.best_iteration < 199

    assert explain(ask(model, ROWS[:20])).gap().max() <= 1e-5


def test_a_link_is_not_passed_over() -> None:
    """A Poisson model's trees add up to a logarithm: the method is not chosen, and refused when asked for."""
    model = xgboost.XGBRegressor(n_estimators=10, objective="count:poisson", n_jobs=1).fit(ROWS, np.abs(SCORE))
    question = ask(model, ROWS[:5], background=ROWS[:20])

    assert method_for(question) == "enumerated"
    assert explain(question).gap().max() <= 1e-6
    with pytest.raises(ExplanationRefused, match="the method native"):
        explain(question, method="native")


def test_probabilities_are_asked_of_the_model() -> None:
    """Asked for probabilities, all coalitions are asked about, and shares add up to a probability."""
    model = _fitted("lightgbm", "binary")

    found = explain(ask(model, ROWS[:5], background=ROWS[:20], unit="probability"))

    assert (found.method, found.unit, found.is_exact) == ("enumerated", "probability", True)
    assert found.total()[:, 0] == pytest.approx(model.predict_proba(ROWS[:5])[:, 1], abs=1e-6)


@pytest.mark.parametrize("library", MAKERS)
def test_twice_is_the_same(library: str) -> None:
    """Two explanations of one question are equal bit by bit, and so are those of its rows alone."""
    model = _fitted(library, "multiclass")
    rows = RNG.normal(size=(1200, 6))

    first, second = explain(ask(model, rows)), explain(ask(model, rows))

    assert first.equals(second)
    # Few rows are explained like many; CatBoost computes them in another way, to the last digits.
    alone = explain(ask(model, rows[700:705])).values
    assert alone == pytest.approx(first.values[700:705], abs=1e-6 if library == "catboost" else 0.0)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_more_threads_change_nothing(library: str) -> None:
    """On one thread and on two, values agree within 1e-6."""
    one, two = _fitted(library, "binary"), _fitted(library, "binary")
    two.set_params(n_jobs=2)

    first, second = (explain(ask(model, ROWS)) for model in (one, two))

    assert np.abs(first.values - second.values).max() <= 1e-6


def test_progress_ends_with_all_rows_and_a_cancel_is_heard() -> None:
    """The last report says that all rows are done; a cancelled explanation raises."""
    told: list[Progress] = []
    cancel = threading.Event()
    question = ask(_fitted("xgboost", "binary"), ROWS)

    explain(question, watch=Watch(told.append))
    cancel.set()

    assert (told[-1].done, told[-1].total) == (300, 300)
    with pytest.raises(Cancelled, match="0 of 300 rows"):
        explain(question, watch=Watch(cancel=cancel))


def test_an_estimate_leaves_the_question_as_it_was() -> None:
    """An estimate probes some rows of all, takes a positive time, and is not counted as asked."""
    question = ask(_fitted("xgboost", "binary"), ROWS)
    asked = question.asked.rows

    found = estimate(question)

    assert found.rows == 300
    assert 1 <= found.probed_rows <= 300
    assert found.seconds > 0
    assert question.asked.rows == asked
