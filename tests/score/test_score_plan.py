"""Every row group stands in one part, once and in order; and whatever changes the scores changes the fingerprint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.records import ContentHash
from nbproof.score.plan import File, Part, cut, cut_evenly, natural, planned

HASH = ContentHash("0" * 64)
files = st.lists(st.lists(st.integers(0, 50), max_size=6), max_size=5).map(
    lambda each: [File(f"f{at}", tuple(groups), HASH, 1) for at, groups in enumerate(each)]
)


def groups_of(parts: tuple[Part, ...]) -> list[tuple[str, int]]:
    return [(piece.file, group) for part in parts for piece in part.slices for group in piece.groups]


@given(files, st.integers(1, 80), st.integers(1, 12))
def test_every_row_group_stands_in_one_part_and_in_order(found: list[File], part_rows: int, partitions: int) -> None:
    """However the input is cut, its rows stand once and in order; the parts count from nought, and none is empty."""
    expected = [(file.name, at) for file in found for at, rows in enumerate(file.groups) if rows]
    total = sum(file.rows for file in found)

    for parts in (cut(found, part_rows), cut_evenly(found, partitions)):
        assert groups_of(parts) == expected
        assert [part.number for part in parts] == list(range(len(parts)))
        assert sum(part.rows for part in parts) == total
        assert all(part.rows for part in parts) or (len(parts) == 1 and total == 0)
    assert len(cut_evenly(found, partitions)) <= partitions
    assert all(part.rows <= part_rows or len(groups_of((part,))) == 1 for part in cut(found, part_rows))


@pytest.mark.parametrize(
    "changed",
    [
        {"files": [File("f", (5, 6), HASH, 1)]},
        {"files": [File("f", (5, 5), ContentHash("1" * 64), 1)]},
        {"files": [File("f", (5, 5), HASH, 2)]},
        {"model": "other"},
        {"options": {"missing": "pass"}},
        {"part_rows": 5},
    ],
    ids=["rows", "footer", "size", "model", "option", "parts"],
)
def test_what_changes_scores_changes_the_fingerprint(changed: dict[str, Any]) -> None:
    """The same input, model and options have one fingerprint, and others another."""
    asked: dict[str, Any] = {
        "files": [File("f", (5, 5), HASH, 1)], "model": "one", "options": {"missing": "refuse"}, "part_rows": 10,
    }  # fmt: skip

    assert planned(**asked).fingerprint == planned(**asked).fingerprint
    assert planned(**asked).fingerprint != planned(**{**asked, **changed}).fingerprint


def test_files_are_ordered_as_people_count() -> None:
    """Numbers in names count as numbers, in folders and in files."""
    names = ["b.parquet", "a/part-10.parquet", "a/part-9.parquet", "a/part-010.parquet", "a.parquet", "10/x", "9/x"]

    assert sorted(names, key=natural) == [
        "9/x", "10/x", "a/part-9.parquet", "a/part-010.parquet", "a/part-10.parquet", "a.parquet", "b.parquet"
    ]  # fmt: skip


@given(st.lists(st.text(alphabet="ab01/²٣.", max_size=6)))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    """The order is one of all names, and tells any two apart."""
    ordered = sorted(names, key=natural)

    names.reverse()
    assert ordered == sorted(names, key=natural)
