"""Completeness, fidelity, agreement, stability and drift: numbers that are known by construction, and laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import ndcg_score

from nbproof.explain.metrics import agreement, background, completeness, drift, fidelity, ranking, stability

Array = NDArray[np.float64]
# Small whole numbers, so that ties and zeros are frequent.
shares = hnp.arrays(np.float64, (4, 6), elements=st.integers(-3, 3).map(float))
column = hnp.arrays(np.float64, 6, elements=st.integers(0, 5).map(float)).filter(lambda found: found.any())


def one(values: list[float]) -> Array:
    return np.array([values])


def test_a_gap_is_measured_on_the_scale_of_the_answers() -> None:
    """Answers of 0 and 2 have a spread of 1; a gap of 0.1 is a tenth of it."""
    prediction = np.array([[0.0], [2.0]])

    found = completeness.measure(np.array([[0.1], [2.0]]), prediction, np.zeros((2, 1)))

    assert found == completeness.Completeness(largest=0.1, mean=0.05, scale=1.0, relative=0.1)


def test_the_worst_output_counts_on_its_own_scale() -> None:
    """A gap of 0.01 is nothing beside answers that spread by 100, and much where they spread by 0.01."""
    prediction = np.array([[0.0, 0.0], [200.0, 0.02]])

    found = completeness.measure(prediction + 0.01, prediction, np.zeros((2, 2)))

    assert found.scale == pytest.approx(0.01)
    assert found.relative == pytest.approx(1.0)


def test_one_row_has_the_scale_of_what_is_explained() -> None:
    """A single answer does not spread: its distance from the base stands in."""
    found = completeness.measure(np.array([[0.9]]), np.array([[1.0]]), np.array([[0.5]]))

    assert (found.scale, found.relative) == (0.5, pytest.approx(0.2))


def test_a_gap_without_any_scale_is_no_number() -> None:
    """Where model and base agree throughout and the shares add something, no scale makes it small."""
    found = completeness.measure(np.array([[1.1]]), np.array([[1.0]]), np.array([[1.0]]))

    assert found.relative is None


def test_fidelity_sums_up_what_is_there() -> None:
    """A surrogate of a model that does not vary has no R², and does not count."""
    found = fidelity.measure(np.array([[0.2], [0.4], [0.6], [math.nan]]), floor=0.3)

    assert found == fidelity.Fidelity(
        median=0.4, low=pytest.approx(0.22), below=pytest.approx(1 / 3), floor=0.3, surrogates=3
    )
    assert fidelity.measure(np.array([[math.nan]]), floor=0.3) is None


def test_agreement_is_that_of_the_paper() -> None:
    """Four features at depth 2: both name the first two, in another order, one with another sign."""
    found = agreement.measure(one([4, -3, 1, 0]), one([3, 4, 0, 1]), k=2)

    assert (found.features, found.ranks, found.signs, found.signed_ranks) == (1.0, 0.0, 0.5, 0.0)
    assert found.shared_signs == 0.5


def test_places_are_compared_with_their_signs() -> None:
    """The same order with one sign turned: all ranks agree, half of the signed ones."""
    found = agreement.measure(one([4, -3, 1, 0]), one([4, 3, 1, 0]), k=2)

    assert (found.features, found.ranks, found.signs, found.signed_ranks) == (1.0, 1.0, 0.5, 0.5)


def test_what_was_not_selected_is_in_no_top() -> None:
    """A surrogate of two features is compared at depth 2, and never by its zeros."""
    found = agreement.measure(one([5, 4, 3, 2, 1]), one([0, 0, 0, 2, 1]), k=3)

    assert (found.features, found.shared_signs) == (0.0, None)


def test_something_and_nothing_do_not_agree() -> None:
    """Where one side names no feature the agreement is 0; where both name none there is nothing to compare."""
    found = agreement.measure(np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2)), k=1)

    assert (found.compared, found.features) == (1, 0.0)


@settings(deadline=None, max_examples=60)
@given(shares, shares)
def test_tau_is_scipy_s(first: Array, second: Array) -> None:
    """Kendall's tau-b equals scipy's on any two rankings with ties."""
    found = agreement.kendall(first, second)

    for at, tau in enumerate(found):
        expected = stats.kendalltau(np.abs(first[at]), np.abs(second[at])).statistic
        assert tau == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(shares, shares, st.integers(1, 6))
def test_agreement_is_symmetric_and_bounded(first: Array, second: Array, k: int) -> None:
    """The sides can change places; signs ask more than features, and signed ranks more than ranks."""
    forth, back = agreement.measure(first, second, k=k), agreement.measure(second, first, k=k)

    assert forth == back
    if forth.features is not None:
        assert 0 <= forth.signs <= forth.features <= 1
        assert 0 <= forth.signed_ranks <= forth.ranks <= forth.features


@settings(deadline=None, max_examples=60)
@given(shares, st.integers(1, 6))
def test_an_explanation_agrees_with_itself(values: Array, k: int) -> None:
    """With itself every agreement is 1."""
    found = agreement.measure(values, values, k=k)

    if found.compared:
        assert {found.features, found.ranks, found.signs, found.signed_ranks, found.shared_signs} == {1.0}


@settings(deadline=None, max_examples=60)
@given(shares, shares)
def test_spearman_is_scipy_s_without_shared_zeros(first: Array, second: Array) -> None:
    """The rank correlation equals scipy's over the features of which at least one side says something."""
    for at, rho in enumerate(ranking.spearman(first, second)):
        shown = (first[at] != 0) | (second[at] != 0)
        a, b = np.abs(first[at][shown]), np.abs(second[at][shown])
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            assert math.isnan(rho)
        else:
            assert rho == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_features_that_nobody_uses_make_no_correlation() -> None:
    """Twenty columns without a share in either do not lift the agreement of two opposite orders."""
    assert ranking.spearman(one([3, 2, 1] + [0] * 20), one([1, 2, 3] + [0] * 20)) == pytest.approx([-1.0])


@pytest.mark.parametrize(("features", "expected"), [(1, 1), (2, 1), (3, 1), (6, 3), (10, 5), (50, 5)])
def test_top_lists_are_never_longer_than_half(features: int, expected: int) -> None:
    """Chance alone gives an overlap of half at most."""
    assert ranking.depth(features) == expected


def test_a_steady_explainer_has_all_indices_at_one() -> None:
    """The same values under five seeds: VSI and CSI 1, no flips, nothing apart."""
    values = np.tile([[4.0, -3.0, 2.0, 1.0]], (5, 1, 1))

    found = stability.measure(values, k=2, errors=np.full(values.shape, 0.1))

    assert found == stability.Stability(k=2, seeds=5, vsi=1.0, worst=1.0, below=0.0, csi=1.0, flips=0.0, apart=0.0)


def test_the_variables_index_is_the_mean_over_pairs() -> None:
    """Three seeds name (0, 1), (0, 1) and (0, 2): overlaps 1, ½ and ½."""
    values = np.array([[[4.0, 3.0, 1.0]], [[4.0, 3.0, 1.0]], [[4.0, 1.0, 3.0]]])

    found = stability.measure(values, k=2)

    assert found.vsi == pytest.approx(2 / 3)
    assert found.csi is None


def test_an_explainer_that_draws_its_values_is_as_unstable_as_chance() -> None:
    """Values that are noise share k of F features by chance, and flip their signs."""
    values = np.random.default_rng(0).normal(size=(10, 100, 20))

    found = stability.measure(values, k=5, errors=np.full(values.shape, 1e-6))

    assert found.vsi == pytest.approx(5 / 20, abs=0.02)
    assert found.flips is not None
    assert found.flips > 0.98
    assert found.csi is not None
    assert found.csi < 0.01


@pytest.mark.parametrize(("apart", "expected"), [(3.91, 1.0), (3.93, 0.0)])
def test_intervals_that_meet_are_counted(apart: float, expected: float) -> None:
    """Two coefficients with errors of 1 have 95 % intervals that meet up to 3.92 apart."""
    values = np.array([[[0.1, 0.0]], [[0.1 + apart, 0.0]]])

    assert stability.measure(values, k=1, errors=np.ones(values.shape)).csi == expected


def test_a_feature_without_a_share_is_in_no_top_list() -> None:
    """Where only one feature has a share the top three are that one; nothing else becomes stable by being absent."""
    assert ranking.top(one([0, 2, 0, 0]), 3).tolist() == [[False, True, False, False]]
    assert stability.measure(np.array([[[1.0, 0, 0, 0]], [[0, 1.0, 0, 0]]]), k=3).vsi == 0.0


def test_a_background_that_changes_nothing_is_seen_so() -> None:
    """The same values against two other backgrounds correlate fully; turned upside down, fully the other way."""
    values = one([4, 3, 2, 1])

    same, turned = (background.measure(values, [other] * 2, k=2) for other in (values, values[:, ::-1]))

    assert (same.spearman, same.top) == (pytest.approx(1.0), 1.0)
    assert (turned.spearman, turned.top) == (pytest.approx(-1.0), 0.0)


@settings(deadline=None, max_examples=60)
@given(column, column)
def test_ndcg_is_scikit_learn_s(gains: Array, order_by: Array) -> None:
    """The nDCG equals scikit-learn's, ties averaged."""
    assert drift.ndcg(gains, order_by) == pytest.approx(ndcg_score(gains[None], order_by[None]), abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(column, st.floats(0.1, 10))
def test_drift_from_itself_is_none(importance: Array, factor: float) -> None:
    """Another scale is no drift."""
    found = drift.measure(importance, importance * factor, k=3)

    assert found is not None
    assert (found.ndcg, found.top) == (pytest.approx(1.0), 1.0)
    assert found.change == pytest.approx(0.0, abs=1e-12)


def test_a_reversed_ranking_is_the_formula() -> None:
    """Importances 0.7, 0.5 and 0.05 that turn round have the nDCG of the definition, and the alarm rings."""
    weights = [1.0, 1 / math.log2(3), 0.5]
    expected = np.dot([0.05, 0.5, 0.7], weights) / np.dot([0.7, 0.5, 0.05], weights)

    found = drift.measure(np.array([0.7, 0.5, 0.05]), np.array([0.05, 0.5, 0.7]), k=1)

    assert found is not None
    assert found.ndcg == pytest.approx(expected)
    assert found.ndcg < 0.9
    assert (found.top, abs(found.change)) == (0.0, pytest.approx(0.65 / 1.25))


def test_a_feature_that_takes_over_is_seen_from_either_side() -> None:
    """The lower of both directions counts, so approved and current explanation can change places."""
    before, after = np.array([0.9, 0.1, 0.0]), np.array([0.3, 0.1, 0.9])

    forth, back = drift.measure(before, after, k=1), drift.measure(after, before, k=1)

    assert forth is not None
    assert back is not None
    assert forth.ndcg == back.ndcg
    assert forth.moved == 2


def test_no_importance_is_no_ranking() -> None:
    """An explanation of zeros cannot be compared."""
    assert drift.measure(np.zeros(3), np.ones(3), k=1) is None
