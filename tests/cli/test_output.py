"""Tables, words for times and JSON, as readers get them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbproof.cli.output import aligned, duration, in_words, print_json, print_table
from nbproof.records import ContentHash, Limits


def test_columns_line_up_and_lines_end_without_blanks() -> None:
    """Each column is as wide as its widest cell; nothing is cut and no line ends in blanks."""
    rows = [("task", "state", "why"), ("a", "fresh", ""), ("longer_name", "stale", "code cell 2 changed")]

    assert aligned(rows) == ("task         state  why\na            fresh\nlonger_name  stale  code cell 2 changed")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (3599.6, "1 h 00 min"), (7380, "2 h 03 min")],
)
def test_a_time_span_never_shows_sixty(seconds: float, words: str) -> None:
    """Seconds round into minutes and minutes into hours, so that no reader meets `60 s`."""
    assert duration(seconds) == words


def test_what_did_not_happen_is_not_counted_aloud() -> None:
    """A phrase of counts leaves zeros out, and says so when nothing is left."""
    assert in_words({"done": 3, "failed": 0, "blocked": 1}) == "3 done, 1 blocked"
    assert in_words({"done": 0}) == "no tasks"


def test_records_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Dataclasses become objects, paths and hashes become text."""
    print_json({"limits": Limits(timeout_s=2.0), "path": Path("a/b"), "hash": (ContentHash("0" * 64),)})

    assert json.loads(capsys.readouterr().out) == {
        "limits": {"timeout_s": 2.0, "retries": 0, "backoff_s": 1.0},
        "path": "a/b",
        "hash": [{"hex": "0" * 64}],
    }


def test_a_table_in_a_pipe_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Where stdout is no terminal, a table holds no control characters and no line is folded."""
    print_table(("task", "why"), [("a", "x" * 300)])

    assert capsys.readouterr().out == f"task  why\na     {'x' * 300}\n"
