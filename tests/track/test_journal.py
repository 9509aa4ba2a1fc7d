"""The journal: on disk before the call returns, and readable however it was cut short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbproof.errors import JournalDamaged
from nbproof.records import CellStarted, ContentHash, Event, RunFinished, RunStarted, TaskFinished, TaskStarted
from nbproof.track import kept
from nbproof.track.journal import Journal, entries, is_live, path_of, read, runs

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]


def test_every_event_but_the_cells_is_remembered(project: Path, tell: Tell, write: Write) -> None:
    """What is read is what was raised, in its order."""
    told = tell(project, "r1")
    cell = CellStarted("r1", 2.0, "training", 1, 9)

    journal = write(project, [told[0], cell, *told[1:]])

    assert read(journal) == told


def test_a_line_is_there_when_the_call_returns(project: Path, tell: Tell) -> None:
    """Nothing waits in a buffer."""
    told = tell(project, "r1")
    with Journal(project) as journal:
        for count, event in enumerate(told, start=1):
            journal(event)

            assert read(path_of(project, "r1")) == told[:count]


def test_fresh_tasks_do_not_wait_for_the_disk(project: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line but those of fresh tasks is on the disk at once, and the next such line takes them along."""
    told = tell(project, "r1")
    assert [event for event in told if isinstance(event, TaskFinished) and event.outcome == "fresh"]
    synced: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        synced.append(descriptor)
        fsync(descriptor)

    with Journal(project, keep_files=False) as journal:
        journal(told[0])
        monkeypatch.setattr("nbproof.track.journal.os.fsync", counted)
        for event in told[1:]:
            before = len(synced)
            journal(event)
            is_fresh = isinstance(event, TaskFinished) and event.outcome == "fresh"
            assert len(synced) - before == (0 if is_fresh else 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_a_journal_cut_anywhere_holds_whole_events_and_goes_on(tell: Tell, write: Write, data: st.DataObject) -> None:
    """Readers leave a torn last line out; the next writer takes it away."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        told = tell(project, "r1")
        journal = write(project, told)
        content = journal.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        journal.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")

        assert read(journal) == told[:whole]
        with Journal(project) as again:
            again(told[-1])
        assert read(journal) == [*told[:whole], told[-1]]


def test_a_damaged_line_is_named(project: Path, tell: Tell, write: Write) -> None:
    """A whole line that is no event is no torn end: it is refused, with its number."""
    journal = write(project, tell(project, "r1"))
    lines = journal.read_bytes().split(b"\n")
    lines[2] = b"\x00\x00"
    journal.write_bytes(b"\n".join(lines))
    starts = len(lines[0]) + 1

    with pytest.raises(JournalDamaged, match="line 3 is "):
        read(journal)
    with pytest.raises(JournalDamaged, match="line 3 is "):
        list(entries(journal, starts))


def test_runs_are_listed_newest_first(project: Path, tell: Tell, write: Write) -> None:
    """Each with what it was, how it ended and how long it took."""
    for run_id, at in (("r2", 200.0), ("r1", 100.0), ("r3", 300.0)):
        write(project, tell(project, run_id, at=at))

    found = runs(project)

    assert [summary.run_id for summary in found] == ["r3", "r2", "r1"]
    assert (found[0].pipeline, found[0].at, found[0].outcome, found[0].elapsed_s) == ("credit", 300.0, "failed", 11.0)
    assert found[0].counts == {"fresh": 1, "done": 1, "blocked": 1}
    assert found[0].tasks == ("audit", "training", "cards")
    assert found[0].parameters == {"rows": 2000, "kinds": ["a", "b"]}


def test_a_project_without_runs_has_none(project: Path) -> None:
    """Nothing is made by looking."""
    assert runs(project) == []
    assert not (project / ".nbproof").exists()


def test_a_run_without_its_end_is_running_while_its_runner_lives(project: Path, tell: Tell) -> None:
    """And interrupted as soon as the runner is killed, whatever it was doing."""
    tell(project, "r1")
    program = """
import sys, time
from pathlib import Path
from nbproof.records import TaskFinished
from nbproof.track.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal(TaskFinished("r1", 5.0, "a", "done", 1))
journal(TaskFinished("r1", 7.0, "b", "fresh"))
print("written", flush=True)
time.sleep(600)
"""
    runner = subprocess.Popen([sys.executable, "-c", program, str(project)], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    with runner.stdout:
        assert runner.stdout.readline() == "written\n"
        while_alive = runs(project)[0]
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()

    assert (while_alive.outcome, while_alive.elapsed_s, while_alive.counts) == ("running", 2.0, {"done": 1, "fresh": 1})
    assert runs(project)[0].outcome == "interrupted"


def test_a_damaged_run_does_not_hide_the_others(project: Path, tell: Tell, write: Write) -> None:
    """It is listed as damaged, with what could be read."""
    write(project, tell(project, "r1", at=100.0))
    damaged = write(project, tell(project, "r2", at=200.0))
    damaged.write_bytes(damaged.read_bytes().splitlines(keepends=True)[0] + b"garbage\n")

    assert [(found.run_id, found.outcome, found.pipeline) for found in runs(project)] == [
        ("r2", "damaged", "credit"),
        ("r1", "failed", "credit"),
    ]


def test_a_closed_journal_is_not_live(project: Path) -> None:
    """Closing it says that the runner is done, with or without an end."""
    journal = Journal(project)
    journal(TaskStarted("r1", 1.0, "a", 1, "", {}))
    was_live = is_live(path_of(project, "r1"))

    journal.close()

    assert was_live
    assert not is_live(path_of(project, "r1"))


def test_an_executed_notebook_is_kept_as_it_was(project: Path) -> None:
    """A later run that writes the same product does not change what this run's record will hold."""
    (project / "a.ipynb").write_text("first")
    with Journal(project) as journal:
        journal(TaskFinished("r1", 1.0, "a", "done", 1, notebook="a.ipynb"))
    (project / "a.ipynb").write_text("second")

    [(entry, _)] = entries(path_of(project, "r1"))

    assert entry.notebook == ContentHash.of(b"first")
    found = kept.find(project, entry.notebook, project / "a.ipynb")
    assert found is not None
    assert found.read_text() == "first"


def test_without_keeping_only_the_hash_is_remembered(project: Path) -> None:
    """Where nothing will be delivered, nothing is copied; the hash still tells whether the file is the one."""
    (project / "a.ipynb").write_text("first")
    with Journal(project, keep_files=False) as journal:
        journal(TaskFinished("r1", 1.0, "a", "done", 1, notebook="a.ipynb"))
        journal(TaskFinished("r1", 2.0, "b", "done", 1, notebook="gone.ipynb"))

    (first, _), (second, _) = entries(path_of(project, "r1"))

    assert (first.notebook, second.notebook) == (ContentHash.of(b"first"), None)
    assert not kept.folder(project).exists()


def test_a_run_id_is_no_path(project: Path) -> None:
    """A run cannot be written outside the project's state."""
    for run_id in ("", "../x", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="not a run id"):
            path_of(project, run_id)


def test_two_runs_do_not_mix(project: Path, tell: Tell) -> None:
    """One journal a run, also when their events come by turns."""
    first, second = tell(project, "r1"), tell(project, "r2")
    with Journal(project) as journal:
        for one, other in zip(first, second, strict=True):
            journal(one)
            journal(other)

    assert read(path_of(project, "r1")) == first
    assert read(path_of(project, "r2")) == second
    assert isinstance(first[0], RunStarted)
    assert isinstance(second[-1], RunFinished)
