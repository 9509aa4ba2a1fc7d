"""A file of lines, read back: every whole line counts, and one that was cut hides nothing but itself."""

from __future__ import annotations

import fcntl
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import SettingsInvalid
from nbproof.records import LoggedEntry
from nbproof.track.capture import place
from nbproof.track.capture.session import (
    Around,
    Closing,
    Execution,
    NotebookSession,
    Reader,
    append,
    around_line,
    as_json,
    read_session,
)

AT = 1_700_000_000.0
OPENED = {
    "kind": "opened", "session": "s1", "kernel_id": "k1", "life": 1, "notebook": "a.ipynb", "level": "metadata",
    "python": "CPython 3.11", "at": AT,
}  # fmt: skip
HASH = "ab" * 32


def started(number: int, **more: Any) -> dict[str, Any]:
    line = {"kind": "started", "exec_id": f"s1.{number}", "number": number, "at": AT + number, "cell_id": f"c{number}"}
    return {**line, "code_sha256": HASH, "tags": [], **more}


def ended(number: int, **more: Any) -> dict[str, Any]:
    line = {"kind": "ended", "exec_id": f"s1.{number}", "at": AT + number + 0.5, "seconds": 0.5, "outcome": "ok"}
    return {**line, "count": number, **more}


STORY: list[dict[str, Any]] = [
    OPENED,
    started(1),
    ended(1, runs=["r1"]),
    started(2, tags=["plot"]),
    {"kind": "logged", "exec_id": "s1.2",
     "entry": {"kind": "metrics", "values": {"auc": 0.5}, "child": None, "step": 0, "at": AT + 2.1}},
    ended(2, outcome="error", error={"type": "ValueError", "message": "no"}),
    {"kind": "around", "at": AT + 3, "git_commit": "c0ffee", "git_dirty": True, "environment": "e", "digest": "d",
     "notebook_sha256": None},
    {"kind": "renamed", "notebook": "b.ipynb", "at": AT + 4},
    {"kind": "level", "level": "full", "at": AT + 4},
    started(3, code="x"),
    {"kind": "missed", "lines": 2, "at": AT + 5},
    {"kind": "closed", "by": "server", "how": "died", "at": AT + 9},
]  # fmt: skip


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_session_is_what_its_lines_say(tmp_path: Path) -> None:
    """Executions in the order in which they began, what was logged, what surrounded it, and how it ended."""
    entry = LoggedEntry("metrics", {"auc": 0.5}, None, 0, AT + 2.1)

    assert read_session(write(tmp_path / "s1.jsonl", STORY)) == NotebookSession(
        session_id="s1",
        notebook="b.ipynb",
        kernel_id="k1",
        life=1,
        python="CPython 3.11",
        level="full",
        opened_at=AT,
        last_at=AT + 9,
        is_live=False,
        executions=(
            Execution("s1.1", 1, AT + 1, "ok", "c1", HASH, seconds=0.5, count=1, runs=("r1",)),
            Execution("s1.2", 2, AT + 2, "error", "c2", HASH, tags=("plot",), seconds=0.5, count=2,
                      error="ValueError: no"),
            Execution("s1.3", 3, AT + 3, "lost", "c3", HASH, code="x"),
        ),
        logged=(("s1.2", entry),),
        around=(Around(AT + 3, "c0ffee", True, "e", "d"),),
        closings=(Closing("server", "died", AT + 9),),
        missed=2,
    )  # fmt: skip


def test_the_outcome_of_a_session(tmp_path: Path) -> None:
    """Ended by its own word it is done; told to end within a cell, killed; without a word, or found dead, died."""
    file = tmp_path / "s1.jsonl"
    by_kernel = {"kind": "closed", "by": "kernel", "how": "exit", "at": AT + 9}
    by_server = {"kind": "closed", "by": "server", "how": "shutdown", "at": AT + 9}
    whole, cut = [OPENED, started(1), ended(1)], [OPENED, started(1)]

    def outcome(lines: list[dict[str, Any]]) -> str:
        session = read_session(write(file, lines))
        assert session is not None
        return session.outcome

    assert outcome([*whole, by_kernel]) == "done"
    assert outcome([*whole, by_kernel, by_server]) == "done"
    assert outcome([*whole, by_server]) == "done"
    assert outcome([*cut, by_server]) == "killed"
    assert outcome(whole) == "died"
    assert outcome([*whole, {**by_server, "how": "died"}]) == "died"


def test_while_somebody_holds_the_file_it_is_live(tmp_path: Path) -> None:
    """A cell that runs is running, not lost, and nothing was cut: the rest may still come."""
    file = write(tmp_path / "s1.jsonl", [OPENED, started(1)])
    with file.open("ab") as kernel:
        fcntl.flock(kernel, fcntl.LOCK_EX)
        kernel.write(b'{"kind": "ended", "exec')
        kernel.flush()
        session = read_session(file)

    assert session is not None
    assert (session.outcome, session.damaged) == ("running", ())
    assert [each.outcome for each in session.executions] == ["running"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_keeps_every_whole_line(data: st.DataObject) -> None:
    """Whatever the crash left: the executions of the whole lines are there, and the cut is named."""
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in STORY)
    first = len(json.dumps(OPENED)) + 1
    length = data.draw(st.integers(first, len(whole)))
    lines = whole[:length].count(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "s1.jsonl"
        file.write_bytes(whole[:length])
        session = read_session(file)

    assert session is not None
    assert len(session.executions) == sum(line["kind"] == "started" for line in STORY[:lines])
    expected = () if whole[:length].endswith(b"\n") else (f"line {lines + 1} was cut short",)
    assert session.damaged == expected


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200).filter(lambda text: b"\n" not in text), st.integers(1, len(STORY)))
def test_a_line_that_cannot_be_read_hides_only_itself(garbage: bytes, where: int) -> None:
    """Half a line in the middle, as a full disk leaves it, or anything else that is no line of ours."""
    lines = [json.dumps(line).encode() for line in STORY]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "s1.jsonl"
        file.write_bytes(b"\n".join([*lines[:where], garbage, *lines[where:], b""]))
        session = read_session(file)

    assert session is not None
    assert len(session.executions) == 3
    assert session.damaged == (f"line {where + 1} cannot be read",)


HOSTILE = [
    {"kind": "started"},
    {"kind": "started", "exec_id": "s1.9", "number": "many", "at": AT},
    {"kind": "started", "exec_id": "s1.9", "number": 9, "at": 1e400},
    {"kind": "started", "exec_id": "s1.9", "number": 9, "at": True},
    {"kind": "ended", "exec_id": "nobody", "at": AT, "seconds": 0, "outcome": "ok"},
    {"kind": "ended", "exec_id": "s1.1", "at": AT, "seconds": 0, "outcome": "splendid"},
    {"kind": "ended", "exec_id": "s1.1", "at": AT, "seconds": float("nan"), "outcome": "ok"},
    {"kind": "logged", "exec_id": None, "entry": {"kind": "metrics", "values": {"x": float("inf")}, "child": None}},
    {"kind": "shout", "at": AT},
    ["kind"],
    None,
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: json.dumps(line)[:40])
def test_lines_that_say_nothing_sensible_are_named(tmp_path: Path, line: Any) -> None:
    """They change no execution, and no number that is none gets through to a page or a tracker."""
    session = read_session(write(tmp_path / "s1.jsonl", [OPENED, started(1), ended(1), line]))

    assert session is not None
    assert session.damaged == ("line 4 cannot be read",)
    assert [each.outcome for each in session.executions] == ["ok"]
    json.dumps([as_json(each) for each in session.executions], allow_nan=False)


def test_a_reader_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Each look brings what changed since the last one, once."""
    file = tmp_path / "s1.jsonl"
    reader = Reader(file)
    assert not reader.has_news()
    write(file, [OPENED, started(1)])
    assert reader.has_news()
    assert [(each.number, each.outcome) for each in reader.read()] == [(1, "running")]
    assert not reader.has_news()
    append(file, ended(1))
    append(file, started(2))
    assert [(each.number, each.outcome) for each in reader.read()] == [(1, "ok"), (2, "running")]

    other = write(tmp_path / "other.jsonl", [{**OPENED, "session": "s2"}, started(5)])
    other.replace(file)
    assert [each.number for each in reader.read()] == [5]


def test_the_server_adds_lines_only_to_a_file_that_is_there(tmp_path: Path) -> None:
    """A kernel in which nothing ran has no file, and gets none."""
    append(tmp_path / "none.jsonl", around_line(Around(AT)))

    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize("kernel_id", ["../../etc/passwd", "x" * 300, "", "é\0\n", "a/b"])
def test_no_kernel_id_leads_out_of_the_folder(tmp_path: Path, kernel_id: str) -> None:
    """Of an id that a client chose, no more than letters and digits get into the name of a file."""
    made = place.new_place(tmp_path, kernel_id, 1, AT)

    assert made.lines.parent == place.folder(tmp_path.resolve())
    assert len(made.lines.name) < 60


@pytest.mark.parametrize("session_id", ["", "../x", "a/b", "-x", "x.jsonl"])
def test_a_session_id_is_a_plain_word(tmp_path: Path, session_id: str) -> None:
    """Whatever a kernel answers, no path is made of it."""
    with pytest.raises(ValueError, match="not the id of a session"):
        place.Place(tmp_path, session_id)


def test_a_choice_is_remembered_for_each_notebook(tmp_path: Path) -> None:
    """A notebook that nobody chose for has none; choices that cannot be read are no permission."""
    place.choose(tmp_path, "a.ipynb", "off")
    place.choose(tmp_path, "b.ipynb", "full")

    assert [place.chosen(tmp_path, name) for name in ("a.ipynb", "b.ipynb", "c.ipynb")] == ["off", "full", None]
    assert place.folder(tmp_path).stat().st_mode & 0o777 == 0o700

    (place.folder(tmp_path) / "choices.json").write_text('{"a.ipynb": "sometimes"}')
    with pytest.raises(SettingsInvalid, match="a recording level"):
        place.chosen(tmp_path, "a.ipynb")
