"""The lime package as an explainer by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from nbproof.explain.question import ask
from nbproof.explain.surrogate import reference, tabular

TABLE = np.random.default_rng(0).normal(size=(150, 5))
WEIGHTS = np.random.default_rng(1).normal(size=(5, 2))


def model(points: Any) -> NDArray[np.float64]:
    return np.asarray(np.tanh(points @ WEIGHTS))


@pytest.mark.parametrize("mode", ["row", "stream"])
@pytest.mark.parametrize("discretizer", ["quartile", None])
def test_batched_lime_and_the_package_say_the_same(mode: tabular.Mode, discretizer: str | None) -> None:
    """Both explainers, asked alike, return the same surrogates; their methods have their own names."""
    question = ask(model, TABLE[:3], background=TABLE)

    ours = tabular.explain(question, seed=7, samples=200, features=3, mode=mode, discretizer=discretizer)
    theirs = reference.explain(question, seed=7, samples=200, features=3, mode=mode, discretizer=discretizer)

    assert ours.surrogate is not None
    assert theirs.surrogate is not None
    assert np.abs(ours.surrogate.coefficients - theirs.surrogate.coefficients).max() <= 1e-9
    assert np.abs(ours.surrogate.r2 - theirs.surrogate.r2).max() <= 1e-9
    assert np.abs(ours.surrogate.local - theirs.surrogate.local).max() <= 1e-9
    assert np.array_equal(ours.surrogate.selected, theirs.surrogate.selected[:, :, :3])
    assert (ours.method, theirs.method) == ("lime", "lime package")


def test_sparse_rows_go_to_the_package_as_they_are() -> None:
    """Sparse rows are explained by the package as sparse rows."""
    table = csr_matrix(np.where(np.abs(TABLE) > 0.7, TABLE, 0.0))
    question = ask(model, table[:2], background=table)

    ours = tabular.explain(question, seed=7, samples=100, features=3)
    theirs = reference.explain(question, seed=7, samples=100, features=3)

    assert ours.surrogate is not None
    assert theirs.surrogate is not None
    assert np.abs(ours.surrogate.coefficients - theirs.surrogate.coefficients).max() <= 1e-9
