"""LIME for sparse rows beside the real one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from beside_lime import apart, by_lime, orders, orders_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from nbproof.errors import DataUnusable
from nbproof.explain.question import ask
from nbproof.explain.surrogate import tabular


def sparse_table(seed: int, rows: int, features: int, density: float) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.round(random.normal(size=(rows, features)), 3) * (random.random((rows, features)) < density)


def two_classes(weights: NDArray[np.float64]) -> Any:
    def ask_it(points: Any) -> NDArray[np.float64]:
        score = np.asarray(points @ weights)
        high = 1.0 / (1.0 + np.exp(-score - np.sin(3.0 * score)))
        return np.stack([1.0 - high, high], axis=1)

    return ask_it


@pytest.mark.parametrize("selection", ["auto", "none", "forward_selection", "highest_weights"])
@pytest.mark.parametrize("stream", [False, True])
def test_sparse_rows_get_the_numbers_of_lime(selection: str, stream: bool) -> None:
    """Conjugate gradients that end where lime's end give its coefficients, and columns that are nought come last."""
    table = csr_matrix(sparse_table(1, 80, 12, 0.4))
    model = two_classes(np.random.default_rng(2).normal(size=12))

    ours = tabular.explain(
        ask(model, table[:4], background=table, unit="probability"),
        seed=3, samples=120, features=8, selection=selection, mode="stream" if stream else "row",
    )  # fmt: skip
    theirs = by_lime(
        table, list(table[:4]), model, labels=(0, 1), seed=3, stream=stream, samples=120, features=8,
        feature_selection=selection,
    )  # fmt: skip

    assert apart(ours, theirs) <= 1e-9
    assert orders(ours) == orders_of(theirs)
    assert ours.settings["discretizer"] is None


def test_more_columns_than_points_are_lime_s_too() -> None:
    """With more columns than points lime solves the dual problem, and so do we."""
    table = csr_matrix(sparse_table(4, 60, 70, 0.3))
    model = two_classes(np.random.default_rng(5).normal(size=70))

    ours = tabular.explain(ask(model, table[:2], background=table, unit="probability"), seed=1, samples=40, features=9)
    theirs = by_lime(table, list(table[:2]), model, labels=(0, 1), seed=1, samples=40, features=9)

    assert apart(ours, theirs) <= 1e-9
    assert orders(ours) == orders_of(theirs)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    features=st.integers(2, 12),
    chosen=st.integers(1, 10),
    density=st.floats(0.2, 0.9),
)
def test_on_any_sparse_table_the_numbers_are_those_of_lime(
    seed: int, features: int, chosen: int, density: float
) -> None:
    """Any density, seed and number of features: coefficients, intercept, R² and local answer are lime's to 1e-9."""
    dense = sparse_table(seed, 40, features, density)
    dense[0, seed % features] = 1.0
    table = csr_matrix(dense)
    chosen = min(chosen, features)
    model = two_classes(np.random.default_rng(seed).normal(size=features))

    ours = tabular.explain(
        ask(model, table[:1], background=table, unit="probability"), seed=seed, samples=100, features=chosen
    )
    theirs = by_lime(table, [table[0]], model, labels=(0, 1), seed=seed, samples=100, features=chosen)

    assert apart(ours, theirs) <= 1e-9


def test_a_row_without_any_value_is_explained_by_nothing() -> None:
    """Where nothing can be changed, nothing is said, and the intercept is the answer."""
    table = sparse_table(1, 30, 5, 0.5)
    table[0] = 0.0
    model = two_classes(np.ones(5))

    found = tabular.explain(ask(model, csr_matrix(table[:1]), background=csr_matrix(table)), samples=50)

    assert (found.values == 0).all()
    assert np.allclose(found.base, model(table[:1]))


def test_what_lime_cannot_do_for_sparse_rows_is_refused() -> None:
    """The lasso path, categories and points around the row have no reference, and are refused."""
    table = csr_matrix(sparse_table(1, 30, 5, 0.5))
    question = ask(two_classes(np.ones(5)), table[:2], background=table)

    with pytest.raises(DataUnusable, match="the selection: found lasso_path for sparse rows"):
        tabular.explain(question, selection="lasso_path")
    with pytest.raises(DataUnusable, match="categorical: found categorical columns of sparse rows"):
        tabular.explain(question, categorical=[0])
    with pytest.raises(DataUnusable, match="around_row: found True for sparse rows"):
        tabular.explain(question, around_row=True)
