"""A background whose rows count as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbproof import explain as offered
from nbproof.errors import DataUnusable, ExplanationRefused
from nbproof.explain.question import ask
from nbproof.explain.shapley import reference
from nbproof.explain.shapley.dispatch import explain

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 6))
TARGET = ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2] > 0
FOREST = RandomForestRegressor(5, max_depth=3, random_state=0).fit(ROWS, ROWS[:, 0] * ROWS[:, 1])
LOGISTIC = LogisticRegression().fit(ROWS, TARGET)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, TARGET)


def _curved(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.tanh(points[:, 0] * points[:, 1]) + points[:, 2] ** 2 - points[:, 3])


def _module() -> Any:
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.randn(each.shape, generator=generator))
    return module.eval()


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "linear": (LOGISTIC, {}),
    "pipeline": (PIPELINE, {}),
    "enumerated": (_curved, {}),
    "sampled": (_curved, {"method": "sampled", "samples": 24}),
    "gradients": (_module(), {"method": "gradients"}),
    "interventional": (FOREST, {"method": "interventional"}),
}


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None)
@given(weights=st.lists(st.integers(0, 6), min_size=6, max_size=6).filter(any), start=st.integers(5, 50))
def test_whole_weights_equal_repeated_rows(case: str, weights: list[int], start: int) -> None:
    """A row that counts three times is three rows, and one that counts nothing is none."""
    model, options = CASES[case]
    background = ROWS[start : start + 6]

    weighted = explain(ask(model, ROWS[:3], background=background, background_weights=weights), **options)
    repeated = explain(ask(model, ROWS[:3], background=np.repeat(background, weights, axis=0)), **options)

    assert weighted.method == repeated.method == case
    assert weighted.values == pytest.approx(repeated.values, abs=1e-6)
    assert weighted.base == pytest.approx(repeated.base, abs=1e-9)
    assert weighted.settings["background_is_weighted"] is True
    assert weighted.is_exact == repeated.is_exact


@pytest.mark.parametrize("case", [each for each in CASES if each != "interventional"])
def test_only_the_parts_of_weights_count(case: str) -> None:
    """Twice all weights are the same weights, and fractions are weights, too."""
    model, options = CASES[case]
    weights = np.array([0.5, 2.25, 0.0, 1.0])

    one, other = (
        explain(ask(model, ROWS[:2], background=ROWS[5:9], background_weights=scale * weights), **options)
        for scale in (1.0, 3.0)
    )

    assert one.values == pytest.approx(other.values, abs=1e-6)


def test_more_rows_than_are_asked_are_drawn_as_their_weights_say() -> None:
    """Of many rows a hundred are drawn: those that weigh nearly all are nearly all of them."""
    background = RNG.normal(size=(5000, 6))
    heavy = background[:, 0] > 0
    question = ask(_curved, ROWS[:1], background=background, background_weights=np.where(heavy, 1.0, 1e-9))

    found = reference.reference_of(question, "a black box", seed=0)

    assert (found.drawn, found.given) == (100, 5000)
    assert (found.rows[:, 0] > 0).all()
    assert found.weights.sum() == pytest.approx(1.0)


def test_few_distinct_rows_are_compared_with_in_full() -> None:
    """Many repetitions of a few rows need no draw."""
    question = ask(_curved, ROWS[:1], background=np.repeat(ROWS[5:8], 200, axis=0))

    found = explain(question)

    assert found.is_exact
    assert found.settings["background_rows"] == 600


@pytest.mark.parametrize(
    ("model", "options", "error", "told"),
    [
        (HistGradientBoostingClassifier(max_iter=3).fit(ROWS, TARGET), {}, DataUnusable, "compares with no background"),
        (FOREST, {"method": "interventional"}, ExplanationRefused, "not whole"),
    ],
    ids=["trees", "interventional"],
)
def test_a_method_that_would_pass_over_weights_refuses_them(
    model: Any, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    """Nothing is explained as if it were weighted."""
    with pytest.raises(error, match=told):
        offered.shap(model, ROWS[:2], ROWS[5:8], background_weights=[0.5, 1, 1], **options)


def test_an_audit_does_not_pass_over_weights() -> None:
    """What an audit draws from the background is not weighted, so it says so."""
    from nbproof.explain import auditing

    question = ask(_curved, ROWS[:2], background=ROWS[5:8], background_weights=[1, 2, 3])
    found = explain(question)

    with pytest.raises(DataUnusable, match="for an audit, which cannot take them"):
        auditing.audit(question, found, None, explain_shap=lambda asked, seed: explain(asked), explain_lime=None)


def test_lime_does_not_pass_over_weights() -> None:
    """LIME learns from rows as they are."""
    from nbproof.explain.surrogate import tabular

    with pytest.raises(DataUnusable, match="for LIME, which cannot take them"):
        tabular.explain(ask(_curved, ROWS[:2], background=ROWS[5:30], background_weights=np.ones(25)))


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1, 2], r"the shape \(2,\)"),
        ([1, -1, 1], "negative"),
        ([0, 0, 0], "nothing but zeros"),
        ([1, np.nan, 1], "infinite"),
        (["a", "b", "c"], "a number for each row"),
    ],
)
def test_odd_weights_are_refused(weights: list[Any], told: str) -> None:
    """Weights are a number from zero on for each row."""
    with pytest.raises(DataUnusable, match=told):
        ask(_curved, ROWS[:2], background=ROWS[5:8], background_weights=weights)


def test_weights_need_rows() -> None:
    """Without a background there is nothing to weigh."""
    with pytest.raises(DataUnusable, match="no background"):
        ask(_curved, ROWS[:2], background_weights=[1])


def test_weights_are_part_of_what_is_hashed() -> None:
    """Two weightings of the same rows are two backgrounds."""
    hashes = [
        ask(_curved, ROWS[:2], background=ROWS[5:8], background_weights=weights).origins.background
        for weights in (None, [1, 1, 1], [1, 1, 2])
    ]

    assert len(set(hashes)) == 3
