"""Fairness of a window: how groups fare at a cutoff, and what is only chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.monitor.slices import Limits, bands_of, groups_of, slice_by


def scores(favourable: int, of: int) -> list[float]:
    return [0.1] * favourable + [0.9] * (of - favourable)


def test_disparate_impact_is_the_ratio_of_the_least_to_the_most() -> None:
    """400 of 1000 against 800 of 1000 is a half: red."""
    found = slice_by(
        "sex", ["f"] * 1000 + ["m"] * 1000, scores(400, 1000) + scores(800, 1000), cutoff=0.5, limits=Limits()
    )

    assert found.disparate_impact == 0.5
    assert found.verdict == "red"
    assert "“f” fares well at 0.500 of the rate of “m”" in found.reason


def test_what_may_be_chance_is_amber_and_never_fair() -> None:
    """Of a hundred rows each, 70 against 100 may be just above the limit of 0.8: people look at it."""
    values, given_scores = ["f"] * 100 + ["m"] * 100, scores(73, 100) + scores(95, 100)

    found = slice_by("sex", values, given_scores, cutoff=0.5)

    assert found.verdict == "amber"
    assert found.reason.endswith("it may be chance")


def test_rows_without_a_score_are_left_out() -> None:
    """A missing score is no bad one: the groups fare as those rows do that have one."""
    values = ["f"] * 200 + ["m"] * 200

    found = slice_by("sex", values, [0.1] * 100 + [float("nan")] * 100 + [0.1] * 200, cutoff=0.5)

    assert [(group.rows, group.favourable) for group in found.groups] == [(100, 1.0), (200, 1.0)]
    assert found.disparate_impact == 1.0


def test_a_missing_attribute_is_no_group_of_that_name() -> None:
    """None and NaN among texts are rows without the attribute."""
    found = slice_by("sex", ["f", None, float("nan")], [0.1, 0.1, 0.1], cutoff=0.5)

    assert [(group.name, group.rows) for group in found.groups] == [("", 2), ("f", 1)]


def test_small_groups_are_not_judged() -> None:
    """One large group and a small one: there is nothing to compare."""
    found = slice_by("sex", ["f"] * 99 + ["m"] * 500, scores(0, 99) + scores(500, 500), cutoff=0.5)

    assert (found.verdict, found.disparate_impact) == ("not_evaluated", None)


def test_equal_opportunity_waits_for_the_outcomes() -> None:
    """Among those who were good the groups are told apart only once all outcomes have arrived."""
    values = np.array(["f"] * 400 + ["m"] * 400)
    given_scores = np.array(scores(200, 400) + scores(380, 400))
    labels = np.zeros(800)
    early = labels.copy()
    early[0] = np.nan

    known = slice_by("sex", values, given_scores, cutoff=0.5, labels=labels, limits=Limits(disparate_impact=0.1))
    unknown = slice_by("sex", values, given_scores, cutoff=0.5, labels=early, limits=Limits(disparate_impact=0.1))

    assert known.opportunity_gap == pytest.approx(0.45)
    assert known.verdict == "red"
    assert (unknown.opportunity_gap, unknown.verdict) == (None, "green")
    assert "outcomes are not known yet" in unknown.reason


def test_numbers_are_cut_into_bands_of_the_reference() -> None:
    """A window's ages fall into the reference's quarters; without an age there is no group."""
    bands = bands_of(np.arange(1, 101))

    assert bands == (25, 50, 75)
    assert groups_of([1, 25, 26, 99, np.nan], bands).tolist() == ["≤ 25", "≤ 25", "(25, 50]", "> 75", ""]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1)), min_size=1, max_size=80))
def test_groups_hold_every_row_once(rows: list[tuple[str, float]]) -> None:
    """No row is counted twice or lost, and shares are shares."""
    found = slice_by("x", [name for name, _ in rows], [score for _, score in rows], cutoff=0.5)

    assert sum(group.rows for group in found.groups) == len(rows)
    assert all(0 <= group.favourable <= 1 for group in found.groups)
