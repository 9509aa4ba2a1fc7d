"""Torch modules: gradients for many rows, coalitions otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nbproof.errors import ExplanationRefused
from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import explain, method_for

ROWS = np.random.default_rng(4).normal(size=(200, 8))


def _module(*last: Any, outputs: int = 1, activation: Any = torch.nn.Tanh) -> Any:
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), activation(), torch.nn.Linear(16, outputs), *last)
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.randn(each.shape, generator=generator) * 0.6)
    return module.eval()


def test_many_rows_are_explained_by_gradients() -> None:
    """Ten thousand rows are explained by gradients, a few by coalitions; the first say that they are approximate."""
    module = _module()
    question = ask(module, ROWS[:40], background=ROWS[:20])
    assert (method_for(question, rows=10_000), method_for(question)) == ("gradients", "enumerated")

    found, exact = explain(question, method="gradients"), explain(question)

    assert (found.is_exact, exact.is_exact) == (False, True)
    assert "approximate" in found.notes[0]
    # A smooth module is integrated well; that its values are others than the exact ones is what the note is for.
    assert found.gap().max() <= 1e-3
    assert np.abs(found.values - exact.values).max() > 1e-3


def test_a_linear_modules_gradients_are_its_shapley_values() -> None:
    """Where a module is linear, gradients and coalitions agree, for every output."""
    module = torch.nn.Linear(8, 3)
    question = ask(module, ROWS[:5], background=ROWS[:20])

    found, exact = explain(question, method="gradients"), explain(question)

    assert exact.method == "enumerated"
    assert found.values == pytest.approx(exact.values, abs=1e-5)


def test_gradients_are_of_what_the_module_answers() -> None:
    """A module that ends in a sigmoid is explained in probability, and shares add up to it."""
    module = _module(torch.nn.Sigmoid())

    found = explain(ask(module, ROWS[:20], background=ROWS[:30]), method="gradients")

    with torch.no_grad():
        chance = module(torch.as_tensor(ROWS[:20], dtype=torch.float32)).numpy()
    assert found.unit == "probability"
    assert found.total() == pytest.approx(chance, abs=2e-3)


def test_kinks_leave_a_gap_that_is_shown() -> None:
    """A module with kinks is integrated less well; the note says by how much."""
    found = explain(ask(_module(activation=torch.nn.ReLU), ROWS[:30], background=ROWS[:10]), method="gradients")

    assert 0 < found.gap().max() < 0.1
    assert f"{found.gap().max():.2g}" in found.notes[0]


def test_twice_is_the_same_and_nothing_is_left_behind() -> None:
    """Two explanations are equal bit by bit; the module keeps no gradients, torch's generator is not moved."""
    module = _module()
    question = ask(module, ROWS[:20], background=ROWS[:200])
    state = torch.get_rng_state()

    first, second = (explain(question, method="gradients", seed=3) for _ in range(2))

    assert (first.values == second.values).all()
    assert first.seed == 3
    assert all(each.grad is None for each in module.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_answers_without_a_gradient_are_refused() -> None:
    """A module that rounds by hand has no gradient to follow."""

    class Rounds(torch.nn.Module):
        def forward(self, rows: Any) -> Any:
            return (rows.detach().sum(dim=1) > 0).float()

    with pytest.raises(ExplanationRefused, match="answers without a gradient"):
        explain(ask(Rounds(), ROWS[:2], background=ROWS[:3]), method="gradients")
