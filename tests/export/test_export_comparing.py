"""The comparison itself: what is equal, what differs, and what nobody can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nbproof.export.equivalence.compare import Roots, compare, tally
from nbproof.export.watching.left import left
from nbproof.export.watching.seen import Left, Run, Seen, Value

A, B = Path("/a"), Path("/b")


def value(text: str) -> Value:
    return Value("int", f"digest of {text}", text)


def run(*prints: str, files: dict[str, Left] | None = None, **values: str) -> Run:
    cells = tuple(Seen(number, prints=text) for number, text in enumerate(prints, start=1))
    return Run(cells, {name: value(text) for name, text in values.items()}, files=files or {})


def package(prints: str = "", files: dict[str, Left] | None = None, error: str = "", **values: str) -> dict[str, Any]:
    return {
        "error": error, "prints": prints, "shows": {}, "figures": {},
        "values": {name: asdict(value(text)) for name, text in values.items()},
        "files": {path: asdict(held) for path, held in (files or {}).items()},
    }  # fmt: skip


def verdicts(first: Run, second: Run, found: dict[str, Any]) -> list[tuple[str, str, str]]:
    ids = {cell.cell: f"c{cell.cell}" for cell in first.cells}
    compared = compare(first, second, found, ids, Roots(A, B, B))
    return [(row.what, row.name, row.verdict) for row in compared.rows]


def test_values_are_compared_by_what_they_are() -> None:
    """Two runs that disagree prove nothing; what only the package has is a difference."""
    first, second = run(x="1", y="2", z="3"), run(x="1", y="2", z="4")

    assert verdicts(first, second, package(x="1", z="3", more="5")) == [
        ("value", "x", "equal"), ("value", "y", "missing"), ("value", "z", "not steady"), ("value", "more", "differs"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "printed", "found"),
    [
        (["one\n", "two\n"], ["one\n", "two\n"], "one\ntwo\n", ["equal", "equal"]),
        (["one\n", "two\n"], ["one\n", "two\n"], "one\ntwo\nthree\n", ["equal", "differs"]),
        (["one\n", "two\n"], ["one\n", "two\n"], "one\n", ["equal", "differs"]),
        (["one\n", "two\n"], ["one\n", "two\n"], "two\none\n", ["differs", "differs"]),
        (["at 1\n", "two\n"], ["at 2\n", "two\n"], "at 3\ntwo\n", ["not steady", "equal"]),
        (["at 1\n", "two\n"], ["at 2\n", "two\n"], "at 3\nTWO\n", ["not steady", "differs"]),
        (["two\n", "two\n"], ["at\n", "two\n"], "two\ntwo\n", ["not steady", "equal"]),
        (["a\nb\n", "two\n"], ["a\n", "two\n"], "x\ny\nz\ntwo\n", ["not steady", "equal"]),
        (["a\nb\n", "two\n"], ["a\n", "two\n"], "x\ny\nz\n", ["not steady", "differs"]),
        (["", ""], ["", ""], "said", ["differs"]),
        (["x" * 1_000_000, "two\n"], ["x" * 1_000_000, "two\n"], "x" * 1_000_001 + "two\n",
         ["cannot be compared", "equal"]),
    ],
)  # fmt: skip
def test_words_are_compared_in_their_order(
    first: Sequence[str], second: Sequence[str], printed: str, found: list[str]
) -> None:
    """What each cell prints stands in what the package prints; nothing more, nothing less, in no other place."""
    rows = verdicts(run(*first), run(*second), package(printed))

    assert [verdict for _, _, verdict in rows] == found


def test_files_are_compared_by_their_names_below_the_folder() -> None:
    """Bytes first; where these are not steady, what they say; a file too many is a difference."""
    first = run(files={"/a/same.csv": Left("1"), "/a/out/dated.npz": Left("2", "content"), "/a/gone": Left(""),
                       "/a/random": Left("5"), "/tmp/xyz": Left("")})  # fmt: skip
    second = run(files={"/b/same.csv": Left("1"), "/b/out/dated.npz": Left("3", "content"), "/b/gone": Left(""),
                        "/b/random": Left("6"), "/tmp/abc": Left("")})  # fmt: skip
    found = package(files={"/b/same.csv": Left("1"), "/b/out/dated.npz": Left("4", "content"),
                           "/b/gone": Left("7"), "/b/random": Left("8"), "/b/more": Left("9")})  # fmt: skip

    assert verdicts(first, second, found) == [
        ("file", "same.csv", "equal"), ("file", "out/dated.npz", "equal"), ("file", "gone", "differs"),
        ("file", "random", "not steady"), ("file", "more", "differs"),
    ]  # fmt: skip


@pytest.mark.parametrize(("error", "verdict"), [("ValueError: no", "equal"), ("ValueError: yes", "differs"),
                                                ("", "differs")])  # fmt: skip
def test_a_notebook_that_fails_has_to_fail_alike(error: str, verdict: str) -> None:
    """In the same words; what it left behind is nobody's result."""
    failed = Run((Seen(1, error="ValueError: no"),), {"x": value("1")})

    assert verdicts(failed, failed, package(error=error)) == [("error", "run", verdict)]


def test_what_was_displayed_before_a_failure_has_nowhere_to_be() -> None:
    """A package that fails gives its caller the error alone; that nothing can be said of the rest is said."""
    failed = Run((Seen(1, shows=(value("3"),), figures=("drawn",)), Seen(2, error="ValueError: no")), {})

    assert verdicts(failed, failed, package(error="ValueError: no")) == [
        ("error", "run", "equal"), ("displayed", "c1[0]", "cannot be compared"),
    ]  # fmt: skip


def test_a_tally_tells_good_ones_first() -> None:
    """And only those that there are."""
    compared = compare(run(x="1", y="2"), run(x="1", y="3"), package(x="1", y="2"), {})

    assert tally(compared.rows) == {"equal": 1, "not steady": 1}


def test_files_that_hold_a_date_are_told_by_what_they_say(tmp_path: Path) -> None:
    """Archives, tables, documents and pictures; everything else by its bytes."""
    import gzip
    import zipfile

    for name, year in (("one", 2001), ("two", 2002)):
        with zipfile.ZipFile(tmp_path / f"{name}.npz", "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.npy", (year, 1, 1, 0, 0, 0)), b"same")
        with gzip.GzipFile(tmp_path / f"{name}.gz", "w", mtime=year) as file:
            file.write(b"same")
        (tmp_path / f"{name}.json").write_text("[1, 2]" if name == "one" else "[1,\n2]")
        (tmp_path / f"{name}.txt").write_text(name)

    for kind in ("npz", "gz", "json"):
        one, two = left(tmp_path / f"one.{kind}"), left(tmp_path / f"two.{kind}")
        assert (one.digest != two.digest, one.content == two.content, one.content != "") == (True, True, True)
    assert left(tmp_path / "one.txt").content == ""
    assert left(tmp_path / "nothing") == Left("")


def test_numbers_in_a_document_keep_their_type(tmp_path: Path) -> None:
    """One and one point zero are two values."""
    (tmp_path / "a.json").write_text('{"n": 1}')
    (tmp_path / "b.json").write_text('{"n": 1.0}')

    assert left(tmp_path / "a.json").content != left(tmp_path / "b.json").content
