"""What may differ between two runs, and what may not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.review.checks.noise import Said, differs, said, same

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<a.B object at 0x7f3e00112233>", "<a.B object at 0x7f3e00445566>"),
        ("run at 2025-01-01 10:00:00.123", "run at 2026-03-01 11:59:59.9"),
        ("2025-01-01T10:00:00+00:00", "2026-03-01T11:59:59+00:00"),
        ("Mon Jan 06 10:00:00 2025", "Sun Mar 01 11:00:00 2026"),
        ("done at 10:00:00", "done at 11:58:30"),
        ("saved /tmp/tmpabc123/model.bin", "saved /tmp/tmpxyz987/model.bin"),
        ("Wall time: 3.2 ms", "Wall time: 4 s"),
        ("1.2 ms ± 3 µs per loop (mean ± std. dev. of 7 runs)", "1.4 ms ± 9 µs per loop (mean ± std. dev. of 7 runs)"),
    ],
)
def test_noise_is_told_by_its_type(before: str, after: str) -> None:
    """Addresses, moments of the run, temporary paths and timings may differ."""
    assert same(before, after, now=NOW)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.25", "0.26"),
        ("{'a', 'b'}", "{'b', 'a'}"),
        ("1767225600.123", "1767225601.456"),
        ("5f0c1e9e-1111-4222-8333-abcdefabcdef", "5f0c1e9e-1111-4222-8333-abcdefabcdee"),
        ("row of 2005-01-01 00:00:00", "row of 2005-01-02 00:00:00"),
        ("at 0x7f3e00112233", "at nowhere"),
        ("/tmp/a", "/home/a"),
        ("2026-03-01 11:00:00 0.1", "2026-03-01 11:00:01 0.2"),
        ("took 3 items", "took 4 items"),
        ("0x1f", "0x2f"),
        ("0x3f3e00112233", "0x3f3e00445566"),
        ("0 days 03:12:44", "0 days 05:44:01"),
        ("18:00:00", "19:30:00"),
    ],
)
def test_everything_else_is_a_difference(before: str, after: str) -> None:
    """Numbers, orders, drawn ids, dates of the data, and noise of another type are no noise."""
    assert not same(before, after, now=NOW)


def test_ids_in_markup_are_noise_only_there() -> None:
    """Styled tables and drawings have random ids; in plain text such a word is a result."""
    before, after = "<style>#T_0a1b2</style>", "<style>#T_9f8e7</style>"

    assert same(before, after, is_markup=True, now=NOW)
    assert not same("T_0a1b2", "T_9f8e7", now=NOW)


def test_an_address_that_is_cut_short_in_markup_is_one() -> None:
    """Of `<sklearn.tree._tree.Tree object at 0x7f…>` a table shows both ends; cut out of plain text it is a result."""
    before, after = "&lt;sklearn.tree...x7f071b975e60&gt;", "&lt;sklearn.tree...x7f526fb19ed0&gt;"

    assert same(before, after, is_markup=True, now=NOW)
    assert not same(before, after, now=NOW)
    assert not same("&lt;a...x7f071b975e60&gt;", "&lt;b...x7f071b975e60&gt;", is_markup=True, now=NOW)


@given(st.text(), st.text())
def test_a_text_is_the_same_as_itself(one: str, other: str) -> None:
    """Equal texts are the same, and the question has one answer whichever text comes first but for moments."""
    assert same(one, one, now=NOW)
    if "-" not in one + other:
        assert same(one, other, now=NOW) == same(other, one, now=NOW)


def stream(name: str, text: Any) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def test_streams_are_joined_and_warnings_left_out() -> None:
    """In how many pieces a cell printed, and what it said on stderr, is no result."""
    outputs = [stream("stdout", "a\n"), stream("stderr", "a warning"), stream("stdout", ["b", "\n"])]

    assert said(outputs, {}) == (Said("stdout", "a\nb\n"),)


def test_a_difference_is_shown_at_its_place() -> None:
    """The words say what was and what became of it."""
    assert differs([Said("stdout", "auc 0.81\n")], [Said("stdout", "auc 0.82\n")], now=NOW) == (
        "stdout: “auc 0.81⏎” became “auc 0.82⏎”"
    )
    assert differs([Said("stdout", "x")], [], now=NOW) == "it gave stdout, then nothing"
    assert differs([Said("image/png", "AAA")], [Said("image/png", "AAA")], now=NOW) is None
