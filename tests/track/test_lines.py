"""Events as JSON lines: what is written is what is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.records import (
    CellStarted,
    ContentHash,
    LoggedEntry,
    Provenance,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
)
from nbproof.track.lines import Entry, decode, encode

times = st.floats(0, 4e9)
words = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(words, plain, max_size=4)
hashes = st.binary(max_size=8).map(ContentHash.of)
provenances = st.builds(
    Provenance, git_commit=st.none() | words, git_dirty=st.booleans(), environment=hashes, python=words, nbproof=words
)
logged = st.one_of(
    st.builds(
        LoggedEntry,
        kind=st.just("metrics"),
        values=st.dictionaries(words, numbers, max_size=3),
        child=st.none() | words,
        step=st.integers(),
        at=times,
    ),
    st.builds(
        LoggedEntry,
        kind=st.sampled_from(["parameters", "tags", "artifact"]),
        values=mappings,
        child=st.none() | words,
        step=st.integers(),
        at=times,
    ),
)
events = st.one_of(
    st.builds(
        RunStarted,
        run_id=words,
        at=times,
        pipeline=words,
        file=words,
        tasks=st.lists(words, max_size=3).map(tuple),
        parameters=mappings,
        provenance=provenances,
    ),
    st.builds(
        TaskStarted, run_id=words, at=times, task=words, attempt=st.integers(1), reason=words, parameters=mappings
    ),
    st.builds(CellStarted, run_id=words, at=times, task=words, cell=st.integers(1), cells=st.integers(1)),
    st.builds(
        TaskFinished,
        run_id=words,
        at=times,
        task=words,
        outcome=st.sampled_from(["done", "failed", "blocked", "fresh", "stopped"]),
        attempt=st.integers(0),
        elapsed_s=times,
        reason=words,
        notebook=st.none() | words,
        products=st.dictionaries(words, st.tuples(words, words), max_size=3),
        logged=st.lists(logged, max_size=3).map(tuple),
    ),
    st.builds(
        RunFinished,
        run_id=words,
        at=times,
        outcome=st.sampled_from(["done", "failed", "stopped"]),
        elapsed_s=times,
        counts=st.dictionaries(words, st.integers(), max_size=3),
    ),
)


@given(st.builds(Entry, event=events, notebook=st.none() | hashes))
def test_what_is_written_is_what_is_read(entry: Entry) -> None:
    """`decode` undoes `encode`, on one line, for every event."""
    line = encode(entry)

    assert decode(line) == entry
    assert "\n" not in line


@given(logged)
def test_a_logged_entry_is_read_as_it_was_written(entry: LoggedEntry) -> None:
    """`from_json` undoes `to_json`, on one line."""
    assert LoggedEntry.from_json(entry.to_json()) == entry
    assert "\n" not in entry.to_json()


def test_what_json_cannot_hold_is_written_as_its_text() -> None:
    """A path, a set and not-a-number in a parameter do not lose the event."""
    event = TaskStarted(
        "r", 1.0, "t", 1, "", {"path": Path("a/b"), "kinds": {"y", "x"}, "ratio": float("nan"), "pair": (1, 2)}
    )

    read = decode(encode(Entry(event))).event

    assert isinstance(read, TaskStarted)
    assert read.parameters == {"path": "a/b", "kinds": ["x", "y"], "ratio": "nan", "pair": [1, 2]}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"kind": "Other"}',
        '{"kind": "RunFinished"}',
        '{"kind": "TaskFinished", "run_id": 1}',
        "\x00\x00",
        json.dumps({"kind": "CellStarted", "run_id": "r", "at": 1, "task": "t", "cell": 1, "cells": 2})[:-1],
    ],
)
def test_anything_else_is_no_event(line: str) -> None:
    """Whatever is wrong with a line, the error is a `ValueError`."""
    with pytest.raises(ValueError):
        decode(line)
    with pytest.raises(ValueError):
        LoggedEntry.from_json(line)


def test_a_metric_is_a_finite_number() -> None:
    """Also in a line that somebody wrote by hand."""
    for value in ("NaN", "Infinity", '"0.9"', "true", "null"):
        with pytest.raises(ValueError, match="a metric must be a finite number"):
            LoggedEntry.from_json(
                f'{{"kind": "metrics", "values": {{"auc": {value}}}, "child": null, "step": 0, "at": 1}}'
            )
