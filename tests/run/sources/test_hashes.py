"""Hashes: of what files say."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nbproof.run.sources.hashes import canonical_json, content_hash, meaning_hash


def executed(source: str, text: str, started: str) -> str:
    cell = {
        "cell_type": "code",
        "id": started[-4:],
        "source": source,
        "execution_count": 1,
        "metadata": {"papermill": {"start_time": started}},
        "outputs": [{"output_type": "stream", "name": "stdout", "text": text}],
    }
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {"papermill": {"start_time": started}}, "cells": [cell]}
    )


def test_the_hash_of_a_folder_knows_names_and_contents(tmp_path: Path) -> None:
    """Moving bytes from one file to another changes the hash."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_text("x")
    before = content_hash(tmp_path / "a")
    (tmp_path / "a/one").rename(tmp_path / "a/two")

    assert before != content_hash(tmp_path / "a")
    assert content_hash(tmp_path / "nothing") is None


def test_the_meaning_of_an_executed_notebook_leaves_out_when_it_ran(tmp_path: Path) -> None:
    """Times and ids do not count; outputs and sources do."""
    hashes = []
    for name, arguments in {
        "a": ("1 + 1", "2", "2026-01-01T00:00"),
        "b": ("1 + 1", "2", "2026-02-02T02:22"),
        "c": ("1 + 1", "3", "2026-01-01T00:00"),
        "d": ("1 + 2", "2", "2026-01-01T00:00"),
    }.items():
        path = tmp_path / f"{name}.ipynb"
        path.write_text(executed(*arguments))
        hashes.append(meaning_hash(path))

    assert hashes[0] == hashes[1]
    assert len({*hashes[1:]}) == 3


def test_a_broken_notebook_still_has_a_meaning_of_its_bytes(tmp_path: Path) -> None:
    """What cannot be read as a notebook is compared byte by byte."""
    path = tmp_path / "cut.ipynb"
    path.write_text('{"cells": [')

    assert meaning_hash(path) == content_hash(path)


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_canonical_json_does_not_depend_on_order(value: dict[str, object]) -> None:
    """One content has one spelling."""
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))
    assert json.loads(canonical_json(value)) == value
