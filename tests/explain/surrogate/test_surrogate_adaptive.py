"""Samples grow until the explanation no longer depends on the seed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nbproof.errors import DataUnusable
from nbproof.explain.explanation import Explanation
from nbproof.explain.question import Question, ask
from nbproof.explain.surrogate import tabular
from nbproof.explain.surrogate.adaptive import grow, stability


def test_the_stability_index_is_the_mean_overlap_over_pairs() -> None:
    """Three seeds whose first two features agree fully, by half and by half have the index two thirds."""
    one, other, third = (np.array([[pair]]) for pair in ([0, 1, 5], [1, 0, 3], [1, 2, 0]))

    assert stability([one, other, third], top=2).tolist() == [[pytest.approx(2 / 3)]]
    assert stability([one, one], top=3).tolist() == [[1.0]]


def test_features_that_were_not_selected_do_not_agree() -> None:
    """Places without a feature are no agreement, and two empty selections are the same."""
    one, other, empty = np.array([[[0, -1]]]), np.array([[[1, -1]]]), np.array([[[-1, -1]]])

    assert stability([one, other], top=2).tolist() == [[0.0]]
    assert stability([one, one], top=2).tolist() == [[1.0]]
    assert stability([empty, empty], top=2).tolist() == [[1.0]]
    assert stability([one, empty], top=2).tolist() == [[0.0]]


def question(weights: NDArray[np.float64]) -> Question:
    table = np.random.default_rng(1).normal(size=(300, len(weights)))
    return ask(lambda points: np.tanh(points @ weights), table[:8], background=table)


def growing(asked: Question, tried: list[int]) -> object:
    def explain(seed: int, samples: int) -> Explanation:
        tried.append(samples)
        return tabular.explain(asked, seed=seed, samples=samples)

    return explain


def test_few_samples_do_where_weights_are_far_apart() -> None:
    """Features whose weights differ by much are told apart at once."""
    tried: list[int] = []
    grown = grow(growing(question(np.array([3.0, 2.0, 1.0, 0.0])), tried), samples=2000, top=2)

    assert grown.is_stable
    assert grown.samples == 2000
    assert set(tried) == {2000}
    assert grown.explanation.settings["is_stable"] is True
    assert grown.explanation.settings["samples"] == 2000


def test_samples_double_until_the_floor_is_passed() -> None:
    """Close weights take more samples than a few; the explanation is that of the first seed with as many."""
    asked, tried = question(np.linspace(0.5, 1.0, 12)), []
    grown = grow(growing(asked, tried), seed=4, samples=125, floor=0.85, seeds=3)

    assert grown.is_stable
    assert grown.samples > 125
    assert sorted(set(tried)) == [125 * 2**step for step in range(len(set(tried)))]
    again = tabular.explain(asked, seed=4, samples=grown.samples)
    assert np.array_equal(grown.explanation.values, again.values)
    assert grown.explanation.settings["stability"] == grown.mean >= 0.85


def test_what_never_becomes_stable_says_so() -> None:
    """At the most samples it ends; the result and a note say that the floor was not reached."""
    grown = grow(growing(question(np.full(12, 0.5)), []), samples=100, most=300, floor=1.0, seeds=3)

    assert not grown.is_stable
    assert grown.samples == 300
    assert grown.explanation.settings["is_stable"] is False
    assert any(note.startswith("not stable: over 3 seeds") for note in grown.explanation.notes)


def test_options_that_tell_nothing_are_refused() -> None:
    """One seed cannot be compared, and a floor above 1 cannot be passed."""
    explain = growing(question(np.ones(3)), [])

    with pytest.raises(DataUnusable, match="seeds: found 1"):
        grow(explain, seeds=1)
    with pytest.raises(DataUnusable, match=r"floor: found 1\.5"):
        grow(explain, floor=1.5)
    with pytest.raises(DataUnusable, match="most: found 10"):
        grow(explain, samples=100, most=10)
