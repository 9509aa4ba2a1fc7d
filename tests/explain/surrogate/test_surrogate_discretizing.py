"""Bins of continuous features."""

from __future__ import annotations

import numpy as np
import pytest

from nbproof.errors import DataUnusable, UnknownName
from nbproof.explain.surrogate.discretizing import Bins, fit


def test_bins_know_where_they_end_and_what_is_in_them() -> None:
    """A value on an edge belongs to the bin below it; the outer bins end with the data."""
    bins = Bins.of(np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([2.0, 5.0]))

    assert bins.holding(np.array([0.0, 2.0, 2.1, 5.0, 100.0])).tolist() == [0, 0, 1, 1, 2]
    assert bins.lows.tolist() == [1.0, 2.0, 5.0]
    assert bins.highs.tolist() == [2.0, 5.0, 9.0]
    assert bins.means.tolist() == [1.5, 3.5, 9.0]
    assert bins.deviations == pytest.approx([0.5, 0.5, 1e-11], abs=2e-11)
    assert len(bins) == 3


def test_edges_that_coincide_are_one() -> None:
    """A constant column has one edge, and two bins of which the upper is empty."""
    bins = Bins.of(np.full(4, 5.0), np.array([5.0, 5.0, 5.0]))

    assert len(bins) == 2
    assert bins.names("age") == ("age ≤ 5", "age > 5")
    assert bins.means.tolist() == [5.0, 0.0]


def test_a_reader_sees_what_each_bin_says() -> None:
    """Names of bins are inequalities with six digits, so that small numbers do not all read 0.00."""
    bins = Bins.of(np.linspace(0, 0.004, 9), np.array([0.001, 0.0025]))

    assert bins.names("rate") == ("rate ≤ 0.001", "0.001 < rate ≤ 0.0025", "rate > 0.0025")


def test_quartiles_deciles_and_thresholds_of_a_tree() -> None:
    """Each kind has its own edges; the tree cuts where the labels change."""
    training = np.arange(100.0)[:, None]
    labels = (training[:, 0] > 41).astype(int)

    def edges(kind: str) -> list[float]:
        return fit(kind, training, [0], labels=labels, random=np.random.RandomState(0))[0].edges.tolist()

    assert edges("quartile") == [24.75, 49.5, 74.25]
    assert len(edges("decile")) == 9
    assert edges("entropy") == [41.5]


def test_what_cannot_be_binned_is_refused() -> None:
    """Labels that do not fit and kinds that there are not are named."""
    training = np.arange(10.0)[:, None]
    random = np.random.RandomState(0)

    with pytest.raises(DataUnusable, match=r"the labels: found the shape \(3,\), expected \(10,\)"):
        fit("entropy", training, [0], labels=np.zeros(3), random=random)
    with pytest.raises(UnknownName, match="no discretizer is called `halves`"):
        fit("halves", training, [0], labels=None, random=random)
