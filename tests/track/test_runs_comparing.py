"""Runs side by side, their sources cell by cell, and histories thinned: plain values and their laws."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.errors import RequestInvalid
from nbproof.track.runs.comparing import Row, Side, check_count, compare
from nbproof.track.runs.history import Point, thinned
from nbproof.track.runs.sources import MOST_LINES, Cell, CellChange, SourceDifference, differences
from nbproof.track.runs.summary import Summary, is_found, words_of

CELLS = st.lists(
    st.builds(
        Cell, st.sampled_from(["code", "markdown"]), st.sampled_from(["", "a = 1", "a = 2", "b\nc\nd", "b\nc\ne"])
    ),
    max_size=8,
)
POINTS = st.lists(st.builds(Point, st.integers(0, 500), st.integers(0, 3), st.floats()), max_size=300)


def side(**given: Any) -> Side:
    return Side(**{"parameters": {}, "metrics": {}, "tags": {}, "environment": {}, "packages": {}, **given})


def test_each_name_stands_beside_its_values() -> None:
    """What only one run has is a difference; what both do not know as a number is none."""
    compared = compare(
        [
            side(parameters={"depth": "4", "rows": "10"}, metrics={"auc": 0.9, "loss": math.nan}),
            side(parameters={"depth": "5", "rows": "10"}, metrics={"auc": 0.9, "loss": math.nan, "new": 1.0}),
        ]
    )

    assert [(row.name, row.values, row.differs) for row in compared.parameters] == [
        ("depth", ("4", "5"), True),
        ("rows", ("10", "10"), False),
    ]
    assert [(row.name, row.differs) for row in compared.metrics] == [("auc", False), ("loss", False), ("new", True)]


def test_packages_are_listed_where_they_differ() -> None:
    """Hundreds that are the same say nothing."""
    compared = compare(
        [
            side(packages={"numpy": "2.4.6", "pandas": "3.0"}),
            side(packages={"numpy": "2.4.6", "pandas": "3.1", "torch": "2.9"}),
        ]
    )

    assert compared.packages == (Row("pandas", ("3.0", "3.1")), Row("torch", (None, "2.9")))


def test_unknown_packages_are_not_equal_packages() -> None:
    """Where one run's packages are not known, nothing is said of them."""
    assert compare([side(packages={"numpy": "2"}), side()]).packages is None


@pytest.mark.parametrize("runs", [["a"], ["a", "a"], [], [str(number) for number in range(9)]])
def test_two_to_eight_different_runs_are_compared(runs: list[str]) -> None:
    """Others are refused."""
    with pytest.raises(RequestInvalid, match="2 to 8 different ones"):
        check_count(runs)


def test_cells_are_lined_up_and_changed_lines_marked() -> None:
    """A cell that was edited is one change, not one taken away and another added."""
    left = [Cell("markdown", "# Title"), Cell("code", "a = 1\nb = 2\nc = 3"), Cell("code", "old()")]
    right = [Cell("markdown", "# Title"), Cell("code", "a = 1\nb = 7\nc = 3"), Cell("markdown", "something new")]

    found = differences(left, right)

    assert found == SourceDifference(
        (
            CellChange("same", "markdown", 1, 1),
            CellChange("changed", "code", 2, 2, ((" ", "a = 1"), ("-", "b = 2"), ("+", "b = 7"), (" ", "c = 3"))),
            CellChange("removed", "code", 3, None, (("-", "old()"),)),
            CellChange("added", "markdown", None, 3, (("+", "something new"),)),
        ),
        is_whole=True,
    )
    assert not found.is_same


def test_what_is_too_long_to_compare_is_not_called_the_same() -> None:
    """The list is cut, and says so."""
    left = [Cell("code", "\n".join(f"a{n}" for n in range(MOST_LINES))), Cell("code", "1")]
    right = [Cell("code", "\n".join(f"b{n}" for n in range(MOST_LINES))), Cell("code", "1")]

    found = differences(left, right)

    assert (found.is_whole, found.is_same) == (False, False)


@given(left=CELLS, right=CELLS)
def test_a_difference_tells_both_notebooks(left: list[Cell], right: list[Cell]) -> None:
    """Every cell of either is in it once and in its order, with its lines; equal notebooks have no difference."""
    found = differences(left, right)

    assert [cell.left for cell in found.cells if cell.left] == list(range(1, len(left) + 1))
    assert [cell.right for cell in found.cells if cell.right] == list(range(1, len(right) + 1))
    for cell in found.cells:
        if cell.change != "same":
            old = [line for mark, line in cell.lines if mark != "+"]
            new = [line for mark, line in cell.lines if mark != "-"]
            assert old == (left[cell.left - 1].source.splitlines() if cell.left else [])
            assert new == (right[cell.right - 1].source.splitlines() if cell.right else [])
    assert found.is_same == (left == right)


@given(points=POINTS, most=st.integers(4, 40))
def test_thinning_keeps_the_ends_and_the_extremes(points: list[Point], most: int) -> None:
    """However few points may stay, none is invented, and none of what one looks for is lost."""
    kept = thinned(points, most)

    ordered = sorted(points, key=lambda point: (point.step, point.at_ms))
    assert len(kept) <= most
    assert [(point.step, point.at_ms) for point in kept] == sorted((point.step, point.at_ms) for point in kept)
    assert all(any(point is one for one in points) for point in kept)
    if len(points) <= most:
        assert kept == ordered
        return
    assert kept[0] is ordered[0]
    assert kept[-1] is ordered[-1]
    numbers = [point.value for point in points if not math.isnan(point.value)]
    if numbers:
        assert {min(numbers), max(numbers)} <= {point.value for point in kept}


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("", ()),
        ("  AUC  depth=4 ", ("auc", "depth=4")),
        ('"two words" x', ("two words", "x")),
        ('"open end', ("open end",)),
    ],
)
def test_a_search_is_words_and_phrases(search: str, words: tuple[str, ...]) -> None:
    """Small and capital letters are the same; quotes hold words together, also one that is not closed."""
    assert words_of(search) == words


def test_every_word_must_be_found_somewhere() -> None:
    """In the name, in a parameter or in a tag."""
    run = Summary("1" * 32, "Training", "task", "done", 0, 1, parameters={"depth": "4"}, tags={"team": "Risk"})

    assert is_found(run, words_of("train depth=4 risk"))
    assert not is_found(run, words_of("train depth=5"))
