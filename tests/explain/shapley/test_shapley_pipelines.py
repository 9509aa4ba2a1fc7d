"""Pipelines explained on their last step's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from shapley_reference import by_definition
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import explain, method_for
from nbproof.explain.shapley.pipelines import origins

RNG = np.random.default_rng(7)
FRAME = pd.DataFrame(
    {
        "amount": RNG.normal(size=200),
        "share": np.where(RNG.random(200) < 0.2, np.nan, RNG.normal(size=200)),
        "town": RNG.choice(["Ulm", "Bonn", "Kiel"], 200),
        "code": RNG.integers(0, 3, 200),
    }
)
TARGET = ((FRAME["amount"] > 0) ^ (FRAME["town"] == "Ulm")).to_numpy()


def _columns() -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("code", OneHotEncoder(drop="first"), ["code", "town"]),
            ("share", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["share"]),
            ("amount", FunctionTransformer(np.arcsinh, feature_names_out="one-to-one"), ["amount"]),
        ],
        remainder="drop",
    )


def _fitted(last: Any) -> Any:
    target = FRAME["amount"] * 2.0 if isinstance(last, Ridge) else TARGET
    return Pipeline([("columns", _columns()), ("last", last)]).fit(FRAME, target)


def test_every_columns_origin_is_known() -> None:
    """Columns of several transformers, dropped and added ones, each come from one raw column."""
    model = _fitted(Ridge())

    found = origins(model[:-1], 4)

    # Two codes, two towns, the share and whether it was missing, the amount.
    assert found == [3, 3, 2, 2, 1, 1, 0]
    assert len(model[:-1].get_feature_names_out()) == 7


@pytest.mark.parametrize(("last", "unit"), [(Ridge(), None), (LogisticRegression(), "log-odds")])
def test_a_linear_pipeline_has_exact_values_of_its_raw_columns(last: Any, unit: Any) -> None:
    """Values equal the definition's on the raw columns, since each column depends on one of them."""
    model = _fitted(last)
    question = ask(model, FRAME[:3], background=FRAME[50:58], unit=unit)

    found = explain(question)

    assert (found.method, found.is_exact, found.notes) == ("pipeline", True, ())
    assert found.feature_names == tuple(FRAME.columns)
    for row in range(3):
        expected = by_definition(question.asked, question.rows[row], question.background)
        assert found.values[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("last", "unit"),
    [
        (RandomForestClassifier(10, max_depth=5, random_state=0), "probability"),
        (HistGradientBoostingClassifier(max_iter=10), "log-odds"),
    ],
)
def test_trees_of_a_pipeline_add_up_and_say_that_they_are_sums(last: Any, unit: Any) -> None:
    """Shares of raw columns add up to the pipeline's answer for its second class; a note tells what they are."""
    model = _fitted(last)

    found = explain(ask(model, FRAME[:20], unit=unit))

    assert (found.method, found.unit, found.output_names) == ("pipeline", unit, ("True",))
    assert found.gap().max() <= 1e-5
    assert "sum of those of the columns" in found.notes[0]
    chance = model.predict_proba(FRAME[:20])[:, 1]
    total = found.total()[:, 0]
    assert (total if unit == "probability" else 1 / (1 + np.exp(-total))) == pytest.approx(chance, abs=1e-5)


@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(),
        SGDClassifier(loss="log_loss"),
        LinearSVC(),
        HistGradientBoostingClassifier(max_iter=5),
        RandomForestClassifier(5, random_state=0),
        XGBClassifier(n_estimators=5, n_jobs=1),
    ],
    ids=lambda last: type(last).__name__,
)
def test_a_pipeline_answers_as_its_last_step_does(last: Any) -> None:
    """The same units in the same order, so that the same model says the same with its preparation and without."""
    pipeline = _fitted(clone(last))
    made = pipeline[:-1].transform(FRAME)
    made = made.toarray() if hasattr(made, "toarray") else made

    alone, whole = ask(pipeline[-1], made), ask(pipeline, FRAME)

    assert whole.model.units == alone.model.units
    assert (whole.answers.unit, whole.answers.outputs, whole.answers.complement) == (
        alone.answers.unit, alone.answers.outputs, alone.answers.complement
    )  # fmt: skip
    assert np.array_equal(whole.prediction, alone.prediction)
    assert np.allclose(_by_itself(pipeline, whole.answers.unit), whole.prediction[:, 0], atol=1e-6)


def _by_itself(pipeline: Any, unit: str) -> Any:
    """What the pipeline itself says."""
    if unit == "raw":
        return pipeline.decision_function(FRAME)
    chance = np.asarray(pipeline.predict_proba(FRAME), dtype=np.float64)[:, 1]
    return chance if unit == "probability" else np.log(chance / (1 - chance))


def test_columns_of_unknown_origin_are_a_black_box() -> None:
    """After a rotation nothing is summed back; neither is a probability made of log-odds."""
    rows = FRAME[["amount", "code"]].to_numpy()
    rotated = make_pipeline(PCA(2), Ridge()).fit(rows, FRAME["amount"])
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, TARGET)

    asked = [(rotated, None), (logistic, "probability"), (logistic, None)]
    methods = [method_for(ask(model, rows[:3], background=rows[:9], unit=unit)) for model, unit in asked]

    assert methods == ["enumerated", "enumerated", "pipeline"]
    assert origins(rotated[:-1], 2) is None


@pytest.mark.parametrize(
    "options", [{}, {"drop": "if_binary"}, {"min_frequency": 0.2}, {"max_categories": 2, "drop": "first"}]
)
def test_an_encoders_columns_are_counted_as_it_makes_them(options: dict[str, Any]) -> None:
    """Dropped and rare categories make no column of their own."""
    rows = np.column_stack([RNG.choice(list("abcd"), 100, p=[0.5, 0.4, 0.05, 0.05]), RNG.choice(list("xy"), 100)])
    encoder = OneHotEncoder(**options).fit(rows)

    found = origins(encoder, 2)

    names = encoder.get_feature_names_out(["first", "second"])
    assert found == [0 if name.startswith("first") else 1 for name in names]
