"""Drift numbers: laws that hold for any data, and verdicts at their borders."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from nbproof.monitor import drift

numbers = st.lists(
    st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from([0.0, 1.0]), min_size=3, max_size=60
)
holed = st.lists(st.floats(allow_infinity=False, width=32) | st.just(0.0), min_size=1, max_size=60)
labels = st.lists(st.sampled_from(["a", "b", "c", None, "missing"]), min_size=1, max_size=60)


@settings(deadline=None)
@given(holed, holed)
def test_psi_is_never_negative(reference: list[float], window: list[float]) -> None:
    """No pair of columns has a PSI below zero."""
    assert drift.psi(reference, window) >= 0


@settings(deadline=None)
@given(holed)
def test_psi_of_a_column_with_itself_is_zero(column: list[float]) -> None:
    """A column has not moved from itself, whatever its order."""
    assert drift.psi(column, column[::-1]) == 0


@settings(deadline=None)
@given(labels, labels)
def test_psi_of_categories_is_symmetric(reference: list[str | None], window: list[str | None]) -> None:
    """Where the bins are the categories, the two sides can change places."""
    forth = drift.psi(reference, window, kind="category")
    back = drift.psi(window, reference, kind="category")

    assert forth == pytest.approx(back, abs=1e-12)
    assert forth >= 0


def test_psi_is_the_formula() -> None:
    """Two categories that go from half and half to three to one have the PSI of the definition."""
    expected = (0.75 - 0.5) * math.log(0.75 / 0.5) + (0.25 - 0.5) * math.log(0.25 / 0.5)

    assert drift.psi(["a", "b"] * 2, ["a", "a", "a", "b"], kind="category") == pytest.approx(expected, abs=1e-15)


def test_an_empty_bin_counts_as_one_in_ten_thousand() -> None:
    """A category that was never there is floored, not infinite."""
    expected = 2 * (1 - 1e-4) * math.log(1 / 1e-4)

    assert drift.psi(["a"], ["b"], kind="category") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("moved", [4.0, 6.0, math.nan])
def test_a_constant_that_moves_is_seen(moved: float) -> None:
    """A column that was constant is red when it falls, rises or goes missing."""
    found = drift.compare([5.0] * 50, [moved] * 50, name="x")

    assert found.verdict == "red"


@settings(deadline=None)
@given(numbers, numbers)
def test_ks_is_symmetric_and_equals_scipy(first: list[float], second: list[float]) -> None:
    """The distance is scipy's, and the sides can change places."""
    distance, p_value = drift.ks(first, second)

    assert drift.ks(second, first) == (distance, p_value)
    assert distance == pytest.approx(stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-12)
    assert 0 <= p_value <= 1


def test_ks_p_is_the_kolmogorov_tail() -> None:
    """The p-value is the limit that scipy tabulates."""
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=4000), rng.normal(0.05, size=5000)

    distance, p_value = drift.ks(first, second)

    assert p_value == pytest.approx(stats.kstwobign.sf(distance * math.sqrt(4000 * 5000 / 9000)), rel=1e-9)


def test_ks_leaves_missing_values_out() -> None:
    """A missing value has no place in an order."""
    assert drift.ks([1.0, 2.0, math.nan], [1.0, 2.0])[0] == 0
    with pytest.raises(ValueError, match="a value on each side"):
        drift.ks([math.nan], [1.0])


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), st.permutations([1, 2, 3]))
def test_jensen_shannon_lies_between_zero_and_one_bit(first: list[int], second: list[int]) -> None:
    """Divergence is 0 for equal shares, at most 1, and symmetric."""
    one, two = np.array(first) / sum(first), np.array(second) / sum(second)

    assert drift.jensen_shannon(one, one) == pytest.approx(0, abs=1e-12)
    assert 0 <= drift.jensen_shannon(one, two) <= 1 + 1e-12
    assert drift.jensen_shannon(one, two) == pytest.approx(drift.jensen_shannon(two, one), abs=1e-12)


def test_jensen_shannon_of_shares_that_never_meet_is_one_bit() -> None:
    """Disjoint shares are one bit apart."""
    assert drift.jensen_shannon([1, 0], [0, 1]) == 1


def test_holm_is_the_textbook_example() -> None:
    """Holm multiplies the smallest by how many there are, and never lets a later one be smaller."""
    assert drift.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_order_and_never_lowers(p_values: list[float]) -> None:
    """An adjusted p is no smaller than the raw one, at most 1, and in the same order."""
    adjusted = drift.holm(p_values)

    assert all(raw <= after <= 1 for raw, after in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda each: p_values[each])
    assert [adjusted[each] for each in order] == sorted(adjusted)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=50))
def test_auc_is_the_share_of_ordered_pairs(rows: list[tuple[bool, int]]) -> None:
    """AUC counts the pairs in which the positive is above, ties half."""
    ups = [score for label, score in rows if label]
    downs = [score for label, score in rows if not label]
    if not ups or not downs:
        with pytest.raises(ValueError, match="both classes"):
            drift.auc([label for label, _ in rows], [score for _, score in rows])
        return
    pairs = [(up > down) + (up == down) / 2 for up in ups for down in downs]

    found = drift.auc([label for label, _ in rows], [score for _, score in rows])

    assert found == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.50, "green"), (0.60, "green"), (0.68, "amber"), (0.72, "red")],
)
def test_psi_decides_green_amber_red(share: float, verdict: str) -> None:
    """Below 0.1 is green, from 0.1 amber, from 0.2 red."""
    window = ["a"] * round(share * 1000) + ["b"] * round((1 - share) * 1000)

    assert drift.compare(["a", "b"] * 500, window, name="x", kind="category").verdict == verdict


def test_a_far_ks_is_amber_only_when_not_by_chance() -> None:
    """Ten rows that differ are no alarm; a thousand that differ as much are."""
    wide = drift.Thresholds(psi_warn=0.9, psi_alert=0.9)
    few, many = np.linspace(0, 1, 10), np.linspace(0, 1, 1000)

    assert drift.compare(few, few + 0.2, name="x", thresholds=wide, bins=2).verdict == "green"
    assert drift.compare(many, many + 0.2, name="x", thresholds=wide, bins=2).verdict == "amber"


def test_an_empty_window_is_not_evaluated() -> None:
    """No rows is no evidence of calm."""
    found = drift.compare([1.0, 2.0], [], name="x")

    assert (found.verdict, found.psi) == ("not_evaluated", None)
    assert found.reason == "no rows to compare: 2 in the reference, 0 in the window"


def test_a_column_that_vanished_is_refused() -> None:
    """A window without the column cannot be compared."""
    with pytest.raises(KeyError, match="x"):
        drift.compare_all({"x": [1.0]}, {}, kinds={"x": "number"})


def test_p_values_of_one_window_are_adjusted_together() -> None:
    """Two columns with two tests each are four chances of an alarm."""
    rng = np.random.default_rng(3)
    before, now = rng.normal(size=400), rng.normal(0.2, size=400)

    alone = drift.compare(before, now, name="x")
    both = drift.compare_all({"x": before, "y": before}, {"x": now, "y": before}, kinds={"x": "number", "y": "number"})

    assert both[0].ks_p == pytest.approx(4 * (alone.ks_p or 0))


def test_one_code_has_one_spelling() -> None:
    """A code read as 2 and as 2.0 is the same category; missing stays apart from a category of that name."""
    assert drift.psi([2, 2], [2.0, 2.0], kind="category") == 0
    assert drift.psi([None], ["missing"], kind="category") > 1


def test_labels_that_are_late_leave_performance_open() -> None:
    """One missing label suffices: early labels are no fair sample of late ones."""
    found = drift.perform([0.1, 0.9, 0.5], [0, 1, math.nan], reference_auc=0.9)

    assert (found.verdict, found.auc, found.reason) == ("not_evaluated", None, "2 of 3 labels have arrived")


def test_one_class_only_leaves_performance_open() -> None:
    """A ranking cannot be judged where nothing was to be ranked."""
    assert drift.perform([0.1, 0.9], [0, 0], reference_auc=0.9).verdict == "not_evaluated"


def test_lost_ranking_is_red_and_wrong_level_is_amber() -> None:
    """A recalibration mends a level, nothing mends a lost order."""
    truth = [0, 0, 0, 1] * 100

    good = drift.perform([0.1, 0.1, 0.1, 0.7] * 100, truth, reference_auc=1.0)
    level = drift.perform([0.4, 0.4, 0.4, 0.9] * 100, truth, reference_auc=1.0)
    lost = drift.perform([0.3, 0.2, 0.3, 0.2] * 100, truth, reference_auc=1.0)

    assert (good.verdict, level.verdict, lost.verdict) == ("green", "amber", "red")
    assert level.calibration_gap == pytest.approx(0.525 - 0.25)
    assert level.reason == "mean score 0.525 against 0.250 observed"


def test_the_worst_verdict_wins_and_none_is_not_green() -> None:
    """Unknown is worse than green and better than amber; no verdict at all is unknown."""
    assert drift.worst(["green", "not_evaluated"]) == "not_evaluated"
    assert drift.worst(["not_evaluated", "amber", "green"]) == "amber"
    assert drift.worst([]) == "not_evaluated"


def test_thresholds_that_make_no_sense_are_refused() -> None:
    """An alert below its own warning is a mistake."""
    with pytest.raises(ValueError, match="psi_warn"):
        drift.Thresholds(psi_warn=0.3, psi_alert=0.2)


@settings(deadline=None)
@given(st.integers(2, 9), st.integers(0, 10**6))
def test_chi_square_is_scipys(cells: int, seed: int) -> None:
    """Where every cell is well filled, statistic and p-value are those of scipy's contingency table."""
    counts = np.random.default_rng(seed).integers(20, 400, (2, cells))

    expected = stats.chi2_contingency(counts, correction=False)

    assert drift.chi_square(*counts) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 31, 999, 1500])
@pytest.mark.parametrize("statistic", [1e-9, 0.5, 5.0, 40.0, 900.0, 1600.0])
def test_the_tail_of_chi_square_is_scipys(degrees: int, statistic: float) -> None:
    """Also for a thousand categories, where factorials overflow."""
    assert drift._chi_square_tail(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-8)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_rare_cells_are_counted_together(reference: list[int], window: list[int]) -> None:
    """No cell that is left expects fewer than five rows on a side, unless it is the only one; no row is lost."""
    size = max(len(reference), len(window))
    counts = np.zeros((2, size))
    counts[0, : len(reference)], counts[1, : len(window)] = reference, window
    assume(counts.sum(axis=1).all())

    left = drift._enough_in_each(counts[:, counts.any(axis=0)])

    expected = counts.sum(axis=1, keepdims=True) * left.sum(axis=0) / counts.sum()
    assert left.shape[1] == 1 or expected.min() >= 5 - 1e-9
    assert left.sum(axis=1).tolist() == counts.sum(axis=1).tolist()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_benjamini_hochberg_is_scipys_and_never_above_holm(p_values: list[float]) -> None:
    """Adjusted p-values agree with scipy's and lie between the plain ones and Holm's."""
    adjusted = drift.benjamini_hochberg(p_values)

    assert adjusted == pytest.approx(stats.false_discovery_control(p_values), abs=1e-12)
    for plain, one, other in zip(p_values, adjusted, drift.holm(p_values), strict=True):
        assert plain - 1e-12 <= one <= other + 1e-12


def test_a_few_rows_are_no_alarm() -> None:
    """Twenty rows are often far from their deciles by chance alone: that is said, and is neither red nor green."""
    rng = np.random.default_rng(0)

    found = drift.compare(rng.normal(size=5000), rng.normal(size=20), name="x")

    assert found.psi is not None
    assert found.psi > 0.2
    assert found.verdict == "not_evaluated"
    assert "may do so by chance" in found.reason


def test_whole_numbers_are_counted_like_any_category() -> None:
    """The quick way for codes gives what the slow one gives."""
    codes = np.random.default_rng(0).integers(-2, 9, 1000)

    assert drift.compare(codes, codes[:300], name="x", kind="category") == drift.compare(
        codes.tolist(), codes[:300].tolist(), name="x", kind="category"
    )


def test_a_few_outcomes_say_little_about_ranking_and_level() -> None:
    """Four rows may lose their order by chance: that is said, and is no alarm and no all-clear."""
    found = drift.perform([0.3, 0.2, 0.3, 0.2], [0, 0, 0, 1], reference_auc=1.0)

    assert found.verdict == "not_evaluated"
    assert "by chance" in found.reason


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=30))
def test_the_error_of_auc_is_that_of_its_definition(rows: list[tuple[bool, int]]) -> None:
    """DeLong's variance, pair by pair; with one row in a class nothing is known."""
    truth, scores = np.array([one for one, _ in rows]), np.array([score for _, score in rows], dtype=float)
    assume(truth.any() and not truth.all())
    wins = np.sign(scores[truth][:, None] - scores[~truth][None, :]) / 2 + 0.5
    assert drift.auc(truth, scores) == pytest.approx(wins.mean())

    found = drift.auc_error(truth, scores)

    if min(truth.sum(), (~truth).sum()) < 2:
        assert found == math.inf
        return
    variances = [wins.mean(axis=axis).var(ddof=1) / wins.shape[1 - axis] for axis in (0, 1)]
    assert found == pytest.approx(math.sqrt(sum(variances)), abs=1e-12)


def test_a_missing_score_leaves_performance_open() -> None:
    """Without a score there is no ranking to judge: it is said how many are missing."""
    found = drift.perform([0.1, math.nan, 0.9], [0, 1, 1], reference_auc=0.9)

    assert (found.verdict, found.auc, found.mean_score) == ("not_evaluated", None, None)
    assert found.reason == "1 of 3 scores are missing"
