"""Quality of a window: what is missing, unknown, out of range or there twice."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.monitor.quality import Quality, check_all, duplicates, missing, out_of_range, unseen

REFERENCE = np.arange(100.0)


def test_missing_values_count_by_how_much_they_have_risen() -> None:
    """Five of a hundred more are amber, twenty red; as many as before, or fewer, are green."""
    some = np.where(REFERENCE < 5, np.nan, REFERENCE)
    many = np.where(REFERENCE < 20, np.nan, REFERENCE)

    assert missing("x", REFERENCE, some).verdict == "amber"
    assert missing("x", REFERENCE, many).verdict == "red"
    assert missing("x", many, many).verdict == "green"
    assert missing("x", many, some).verdict == "green"
    assert missing("x", ["a"] * 50, ["a"] * 40 + [None] * 10).window_share == 0.2


def test_a_category_that_nobody_knew_is_named() -> None:
    """The most frequent first; a missing value is none."""
    found = unseen("status", [1, 2], np.array([1.0, 2.0, 7.0, 7.0, 8.0, math.nan, 2.0, 2.0]))

    assert found == Quality(
        "status", "unseen", 0.0, 0.375, ("7", "8"), "red", "37.50% of the rows have a category that was never seen"
    )


def test_outside_of_the_range_includes_infinities() -> None:
    """The borders themselves are inside; what is missing is not outside."""
    window = np.array([0.0, 99.0, -1.0, 100.0, np.inf, np.nan] + [50.0] * 94)

    found = out_of_range("x", REFERENCE, window)

    assert (found.window_share, found.verdict) == (0.03, "amber")
    assert out_of_range("x", np.full(3, np.nan), np.full(3, 1.0)).verdict == "red"


def test_one_row_of_a_few_is_too_little_to_tell() -> None:
    """A single stranger among twenty rows is 5 %, and may be an accident: it is said, and no alarm."""
    found = out_of_range("x", REFERENCE, np.array([200.0] + [1.0] * 19))

    assert found.verdict == "not_evaluated"


def test_duplicates_count_by_rise_and_keys_not_at_all() -> None:
    """Rows that repeat are compared with before; a key that is there twice is red."""
    before, now = [["a", "b", "c", "d"]], [["a", "a", "a", "b"]]

    assert duplicates(before, now).window_share == 0.5
    assert duplicates(before, now).verdict == "red"
    assert duplicates(now, now).verdict == "green"
    assert duplicates(now, now, is_key=True).verdict == "red"
    assert duplicates([[None, math.nan]], [[None, None]]).reference_share == 0.5


columns = st.lists(st.sampled_from([0.0, 1.0, 2.0, math.nan]), min_size=1, max_size=60)


@settings(deadline=None)
@given(columns)
def test_a_column_is_always_as_good_as_itself(column: list[float]) -> None:
    """No check alarms when nothing has changed."""
    values = {"x": np.array(column), "y": np.array(column)}

    found = check_all(values, values, kinds={"x": "number", "y": "category"})

    assert {each.verdict for each in found} == {"green"}
    assert duplicates([column], [column]).verdict == "green"


def test_a_larger_window_does_not_repeat_more() -> None:
    """Ten times as many rows of two values repeat more among themselves; the share is taken of equally many."""
    before, now = [["a", "b"] * 5], [["a", "b"] * 50]

    assert duplicates(before, now).verdict == "green"
