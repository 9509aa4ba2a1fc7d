"""The same algebra by numpy and by torch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbproof.explain.question import Question, ask
from nbproof.explain.surrogate import tabular
from nbproof.explain.surrogate.arrays import Numpy, Torch, on

torch = pytest.importorskip("torch")


def question() -> Question:
    random = np.random.default_rng(0)
    table = random.normal(size=(200, 6))
    table[:, 2] = random.integers(0, 3, 200)
    table[:, 4] = 1.0
    weights = random.normal(size=(6, 2))

    def model(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.tanh(points @ weights))

    return ask(model, table[:9], background=table)


@pytest.mark.parametrize("mode", ["row", "stream"])
@pytest.mark.parametrize("discretizer", ["quartile", None])
@pytest.mark.parametrize("selection", ["forward_selection", "highest_weights", "lasso_path", "none"])
def test_torch_gives_the_numbers_of_numpy(mode: tabular.Mode, discretizer: str | None, selection: str) -> None:
    """Drawing, moments, selection and ridge by torch agree with numpy to 1e-9."""
    asked = question()

    by_numpy = tabular.explain(
        asked, seed=1, samples=300, features=4, mode=mode, discretizer=discretizer, selection=selection,
        categorical=[2], device=Numpy(),
    )  # fmt: skip
    by_torch = tabular.explain(
        asked, seed=1, samples=300, features=4, mode=mode, discretizer=discretizer, selection=selection,
        categorical=[2], device=Torch("cpu"),
    )  # fmt: skip

    one, other = by_numpy.surrogate, by_torch.surrogate
    assert one is not None
    assert other is not None
    assert np.abs(one.coefficients - other.coefficients).max() <= 1e-9
    assert np.abs(one.intercept - other.intercept).max() <= 1e-9
    assert np.abs(one.r2 - other.r2).max() <= 1e-9
    assert np.abs(one.local - other.local).max() <= 1e-9


def test_torch_gives_the_same_twice() -> None:
    """The torch path is bit-equal twice."""
    asked = question()

    assert tabular.explain(asked, samples=200, device=Torch("cpu")).equals(
        tabular.explain(asked, samples=200, device=Torch("cpu"))
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_cpu_works_and_is_named() -> None:
    """Asked for "cuda" where there is none, the CPU computes, and the settings say so."""
    assert on("cuda") == Numpy()
    assert tabular.explain(question(), samples=50, device="cuda").settings["device"] == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu() -> None:
    """On a GPU coefficients agree with the CPU's to 1e-9."""
    asked = question()
    one = tabular.explain(asked, samples=300, features=4).surrogate
    other = tabular.explain(asked, samples=300, features=4, device="cuda").surrogate

    assert one is not None
    assert other is not None
    assert np.abs(one.coefficients - other.coefficients).max() <= 1e-9
