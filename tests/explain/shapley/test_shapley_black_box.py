"""Any model by its answers: all coalitions, or drawn ones with standard errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapley_reference import by_definition
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from nbproof.errors import DataUnusable, ExplanationRefused, UnknownName
from nbproof.explain.question import Question, ask
from nbproof.explain.shapley import sampled
from nbproof.explain.shapley.coalitions import drawn_pairs, every
from nbproof.explain.shapley.dispatch import explain

RNG = np.random.default_rng(3)


def _network(features: int, seed: int) -> Any:
    """A smooth function of many interactions."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(features, 24)) * 1.5 / np.sqrt(features)
    second = rng.normal(size=(24, 2)) / 3.0

    def answers(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.tanh(rows @ first) @ second)

    return answers


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), features=st.integers(1, 5), background=st.integers(1, 4))
def test_enumeration_is_the_definition(seed: int, features: int, background: int) -> None:
    """Values by all coalitions are those by all orders, also where rows and background share values."""
    rng = np.random.default_rng(seed)
    rows, against = rng.integers(0, 3, (2, features)).astype(float), rng.integers(0, 3, (background, features))
    model = _network(features, seed)

    found = explain(ask(model, rows, background=against.astype(float)))

    assert (found.method, found.is_exact, found.seed) == ("enumerated", True, None)
    for at, row in enumerate(rows):
        assert found.values[at] == pytest.approx(by_definition(model, row, against.astype(float)), abs=1e-6)


def test_enumeration_is_shaps_exact_explainer() -> None:
    """Values for a classifier's second class equal shap.explainers.Exact to 1e-6."""
    rows = RNG.normal(size=(80, 6))
    model = SVC().fit(rows, rows[:, 0] * rows[:, 1] > 0)
    expected = shap.explainers.Exact(model.decision_function, shap.maskers.Independent(rows[:20]))(rows[20:25])

    found = explain(ask(model, rows[20:25], background=rows[:20]))

    assert np.abs(found.values[:, :, 0] - expected.values).max() <= 1e-6
    assert np.abs(found.base[:, 0] - expected.base_values).max() <= 1e-6


def test_equal_points_are_asked_about_once() -> None:
    """Where a row and its background share values, fewer points are asked about, and shared features have no share."""
    row, background = np.array([[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]]), np.zeros((1, 6))
    question = ask(_network(6, 0), row, background=background)
    before = question.asked.rows

    found = explain(question)

    # 2^4 points, and the background row itself.
    assert question.asked.rows - before == 17
    assert np.abs(found.values[0, 4:]).max() <= 1e-12


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(["enumerated", "sampled"]))
def test_shares_are_efficient_and_linear(seed: int, method: str) -> None:
    """Shares add up to the answer; those of a weighted sum of models are the weighted sum of theirs."""
    rng = np.random.default_rng(seed)
    rows, against = rng.normal(size=(2, 8)), rng.normal(size=(3, 8))
    one, other = _network(8, seed), _network(8, seed + 1)

    def both(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(2.0 * one(points) - 3.0 * other(points))

    shares = [
        explain(ask(model, rows, background=against), method=method, seed=seed, samples=64)
        for model in (one, other, both)
    ]

    assert max(each.gap().max() for each in shares) <= 1e-5
    assert shares[2].values == pytest.approx(2.0 * shares[0].values - 3.0 * shares[1].values, abs=1e-5)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_dummies_get_nothing_and_twins_the_same(seed: int) -> None:
    """A feature that changes no answer has no share; two that do the same have the same."""
    rng = np.random.default_rng(seed)
    inner = _network(4, seed)
    rows, against = rng.normal(size=(2, 6)), rng.normal(size=(4, 6))
    rows[:, 4], against[:, 4] = rows[:, 3], against[:, 3]

    def model(points: NDArray[np.float64]) -> NDArray[np.float64]:
        kept = points[:, :4].copy()
        kept[:, 3] += points[:, 4]
        return np.asarray(inner(kept))

    found = explain(ask(model, rows, background=against))

    assert np.abs(found.values[:, 5]).max() <= 1e-7
    assert found.values[:, 3] == pytest.approx(found.values[:, 4], abs=1e-6)


def _question(features: int, rows: int = 5, background: int = 6) -> Question:
    rng = np.random.default_rng(features)
    return ask(
        _network(features, 1), rng.normal(size=(rows, features)), background=rng.normal(size=(background, features))
    )


def test_drawn_coalitions_have_honest_errors() -> None:
    """Over 40 seeds the distance to the exact value is the standard error said, and 95 of 100 lie within two of it."""
    question = _question(13, rows=4)
    exact = explain(question, method="enumerated").values

    found = [explain(question, method="sampled", samples=256, seed=seed) for seed in range(40)]

    assert all(each.error is not None and not each.is_exact for each in found)
    scores = np.stack([(each.values - exact) / each.error for each in found])
    assert 0.85 <= float(scores.std()) <= 1.15
    assert 0.92 <= float((np.abs(scores) < 1.96).mean()) <= 0.98
    # No feature is favoured: the mean over the seeds is the exact value.
    mean = np.stack([each.values for each in found]).mean(axis=0)
    assert np.abs(mean - exact).max() <= 5 * float(np.max([each.error for each in found])) / np.sqrt(40)


def test_at_equal_calls_the_error_is_a_third_of_shaps_default() -> None:
    """With as many answers as KernelExplainer takes by default, values are thrice as near to the exact ones."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 15))
    target = rows @ rng.normal(size=15) + rows[:, 0] * rows[:, 1] + rows[:, 3] * rows[:, 4] * rows[:, 5]
    model = GradientBoostingRegressor(n_estimators=40, max_depth=4, random_state=0).fit(rows, target)
    background, asked = rows[:6], rows[100:104]
    exact = shap.TreeExplainer(model, data=background, feature_perturbation="interventional").shap_values(asked)
    kernel = shap.KernelExplainer(model.predict, background).shap_values(asked, silent=True)

    found = explain(ask(model, asked, background=background), method="sampled", samples=2 * 15 + 2048)

    def error(values: Any) -> float:
        return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))

    assert found.settings["coalitions"] <= 2 * 15 + 2048
    assert error(found.values[:, :, 0]) <= error(kernel) / 3


def test_the_seed_is_honoured() -> None:
    """One seed gives one explanation, bit by bit; another seed another; the row's neighbours do not matter."""
    question = _question(14)
    rows, background = question.rows, question.background

    first = explain(question, seed=7)
    alone = explain(ask(_network(14, 1), rows[2:3], background=background), seed=7)

    assert (first.method, first.seed) == ("sampled", 7)
    assert first.equals(explain(_question(14), seed=7))
    assert not (first.values == explain(question, seed=8).values).all()
    assert (alone.values == first.values[2:3]).all()


def test_global_random_state_is_left_alone() -> None:
    """Neither is numpy's global generator asked, nor moved."""
    np.random.seed(1)
    expected = np.random.random()
    np.random.seed(1)

    explain(_question(14))

    assert np.random.random() == expected


def test_enough_samples_are_exact() -> None:
    """Where all coalitions are affordable, they are asked about, and the values are called exact."""
    found = explain(_question(12, rows=1), samples=2**12)

    assert (found.method, found.is_exact, found.error) == ("enumerated", True, None)


def test_a_large_background_is_drawn_from_and_said() -> None:
    """Of 300 rows 100 are compared with; the explanation says so and calls itself no longer exact."""
    rng = np.random.default_rng(0)
    question = ask(_network(3, 0), rng.normal(size=(2, 3)), background=rng.normal(size=(300, 3)))

    found = explain(question, seed=5)

    assert found.notes == ("Compared with 100 of the 300 background rows, drawn with the seed.",)
    assert (found.is_exact, found.seed, found.settings["background_rows"]) == (False, 5, 100)


def test_repeated_background_rows_are_weighted() -> None:
    """A row that stands twice in the background counts twice, and is asked about once."""
    once, other, row = np.zeros((1, 3)), np.ones((1, 3)), np.full((1, 3), 2.0)
    background = np.concatenate([once, once, other])
    question = ask(_network(3, 0), row, background=background)
    before = question.asked.rows

    found = explain(question)

    assert question.asked.rows - before == 2 + 2 * 8
    assert found.values[0] == pytest.approx(by_definition(_network(3, 0), row[0], background), abs=1e-6)


def test_classes_of_any_classifier_are_explained() -> None:
    """A nearest-neighbour model has values in probability: of the second of two classes, of each of three."""
    rows = RNG.normal(size=(90, 3))
    two = KNeighborsClassifier().fit(rows, np.where(rows[:, 0] > 0, "yes", "no"))
    three = KNeighborsClassifier().fit(rows, np.digitize(rows[:, 0], [-0.5, 0.5]))

    found, each = (explain(ask(model, rows[:4], background=rows[:20])) for model in (two, three))

    assert (found.output_names, found.complement, found.unit) == (("yes",), "no", "probability")
    assert found.total()[:, 0] == pytest.approx(two.predict_proba(rows[:4])[:, 1], abs=1e-6)
    assert each.output_names == ("0", "1", "2")
    assert each.total() == pytest.approx(three.predict_proba(rows[:4]), abs=1e-6)


def test_text_columns_of_a_pipeline_are_explained_as_they_are() -> None:
    """A pipeline that encodes text is asked with text; each column has one share."""
    frame = pd.DataFrame({"town": ["Ulm", "Bonn", "Ulm", "Bonn"] * 10, "sex": ["f", "f", "m", "m"] * 10})
    model = make_pipeline(OneHotEncoder(), SVC()).fit(frame, frame["town"] == "Ulm")

    found = explain(ask(model, frame[:2], background=frame))

    assert found.feature_names == ("town", "sex")
    assert found.gap().max() <= 1e-6
    assert abs(found.values[0, 0, 0]) > abs(found.values[0, 1, 0])


def test_missing_values_are_refused_unless_the_model_takes_them() -> None:
    """A background with missing values is refused by its column; a model that takes them is explained."""
    rows, background = np.ones((1, 3)), np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]])

    found = explain(ask(lambda points: np.nan_to_num(points, nan=-1.0).sum(axis=1), rows, background=background))

    assert found.values[0, :, 0] == pytest.approx([1.0, 1.5, 1.0])
    with pytest.raises(DataUnusable, match=r"column feature 1: found a missing value \(NaN\)"):
        explain(ask(lambda points: points.sum(axis=1), rows, background=background))


def test_too_few_or_too_many_coalitions_are_refused() -> None:
    """A regression needs four coalitions a feature; an enumeration ends at 20 features."""
    with pytest.raises(ExplanationRefused, match="samples=20 for 14 features"):
        explain(_question(14), method="sampled", samples=20)
    with pytest.raises(ExplanationRefused, match="30 features"):
        explain(_question(30), method="enumerated")
    with pytest.raises(UnknownName, match="kernel"):
        explain(_question(3), method="kernel")


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 1000), features=st.integers(4, 40), pairs=st.integers(16, 200), draws=st.integers(1, 3)
)  # fmt: skip
def test_no_pair_is_drawn_twice(seed: int, features: int, pairs: int, draws: int) -> None:
    """In each draw coalitions and their complements are distinct, neither empty nor whole; weights are positive."""
    found = drawn_pairs(features, pairs, np.random.default_rng(seed), draws=draws)

    assert len(found.masks) == draws
    for masks in found.masks:
        both = np.concatenate([masks, ~masks])
        assert len({mask.tobytes() for mask in both}) == len(both)
        assert len(masks) == min(pairs, 2 ** (features - 1) - 1)
        assert both.any(axis=1).all()
        assert (masks.sum(axis=1) == found.stratum).all()
    assert (found.weight > 0).all()


def test_rows_of_the_reference_have_draws_of_their_own_as_far_as_memory_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few draws shared by several rows of the reference are as right as one for each; they are only less exact."""
    question = _question(13, rows=2, background=7)
    exact = explain(question, method="enumerated").values

    each = explain(question, method="sampled", samples=256)
    monkeypatch.setattr(sampled, "HELD", 3 * 13 * 128)
    shared = explain(question, method="sampled", samples=256)

    assert (each.settings["draws"], shared.settings["draws"]) == (7, 3)
    for found in (each, shared):
        assert found.gap().max() <= 1e-6
        assert float(np.abs((found.values - exact) / found.error).max()) < 5


def test_every_coalition_is_listed_by_its_bits() -> None:
    """Two features have four coalitions."""
    assert every(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
