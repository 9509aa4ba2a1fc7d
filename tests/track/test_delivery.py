"""Delivery: every journal in order, once, as far as the tracker takes it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbproof.errors import TrackerUnavailable
from nbproof.records import ContentHash, Event, Provenance, RunStarted, TaskFinished
from nbproof.settings import Settings
from nbproof.track import kept
from nbproof.track.delivery import DeliveryReport, count_waiting, deliver, deliver_to, has_work
from nbproof.track.journal import Journal
from nbproof.track.lines import Entry
from nbproof.track.store import check_reachable, kernel_environment, without_password
from nbproof.track.tracker import Files

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]

NOWHERE = Provenance(None, False, ContentHash.of(b""), "3.11", "0.1.0")


class Remembering:
    """A tracker that holds a list, takes `patience` more records and then is away."""

    def __init__(self, patience: int = 1_000_000) -> None:
        self.patience = patience
        self.events: list[Event] = []
        self.interrupted: list[tuple[str, float]] = []
        self.found: list[str | None] = []

    def deliver(self, entry: Entry, files: Files) -> None:
        self._take()
        if entry.notebook is not None:
            assert isinstance(entry.event, TaskFinished)
            file = files(entry.notebook, Path(str(entry.event.notebook)))
            self.found.append(file.read_text() if file else None)
        self.events.append(entry.event)

    def interrupt(self, run_id: str, at: float) -> None:
        self._take()
        self.interrupted.append((run_id, at))

    def _take(self) -> None:
        if self.patience == 0:
            raise TrackerUnavailable("gone fishing")
        self.patience -= 1


def test_the_oldest_run_comes_first_and_everything_once(project: Path, tell: Tell, write: Write) -> None:
    """A second delivery has nothing left to do."""
    newer, older = tell(project, "r1", at=200.0), tell(project, "r2", at=100.0)
    write(project, newer)
    write(project, older)
    tracker = Remembering()

    first, second = deliver_to(tracker, project), deliver_to(tracker, project)

    assert tracker.events == [*older, *newer]
    assert (first, second) == (DeliveryReport(16, 0), DeliveryReport(0, 0))
    assert tracker.interrupted == []
    assert not has_work(project)


def test_a_tracker_that_goes_away_gets_the_rest_later(project: Path, tell: Tell, write: Write) -> None:
    """Delivery stops where the tracker stopped, says why, and goes on there."""
    told = tell(project, "r1")
    write(project, told)
    tracker = Remembering(patience=3)

    stopped = deliver_to(tracker, project)
    held_then = list(tracker.events)
    tracker.patience = 100
    finished = deliver_to(tracker, project)

    assert (stopped, held_then) == (DeliveryReport(3, 5, "gone fishing"), told[:3])
    assert (finished, tracker.events) == (DeliveryReport(5, 0), told)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 3))
def test_whatever_the_tracker_does_the_order_holds(
    tell: Tell, write: Write, patience: list[int], run_count: int
) -> None:
    """For every way of going away: all events arrive, in order, none twice."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        expected = []
        for number in range(run_count):
            told = tell(project, f"r{number}", at=100.0 * (number + 1))
            write(project, told)
            expected += told
        tracker = Remembering()
        for taken in [*patience, 1000]:
            tracker.patience = taken
            before = len(tracker.events)
            report = deliver_to(tracker, project)
            assert report.delivered == len(tracker.events) - before
            assert report.waiting == len(expected) - len(tracker.events)

        assert tracker.events == expected


def test_a_forgotten_offset_delivers_again_rather_than_not(project: Path, tell: Tell, write: Write) -> None:
    """A damaged offset costs a repetition, which trackers bear; it never loses a record."""
    told = tell(project, "r1")
    write(project, told)
    tracker = Remembering()
    deliver_to(tracker, project)
    (project / ".nbproof" / "spool" / "r1.offset").write_text('{"offs')

    deliver_to(tracker, project)

    assert tracker.events == [*told, *told]


def test_a_damaged_journal_does_not_hold_up_the_others(project: Path, tell: Tell, write: Write) -> None:
    """What stands before the damage is delivered, and the report names the file."""
    damaged = write(project, tell(project, "r1", at=100.0))
    lines = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:]]))
    later = tell(project, "r2", at=200.0)
    write(project, later)
    tracker = Remembering()

    report = deliver_to(tracker, project)

    assert tracker.events == [*tell(project, "r1", at=100.0)[:2], *later]
    assert (report.delivered, report.waiting) == (10, 6)
    assert report.reason is not None
    assert "r1.jsonl`: line 3 is" in report.reason


def test_an_interrupted_run_is_told_once(project: Path, tell: Tell, write: Write) -> None:
    """The runner is gone and there is no end: the tracker hears it, after the last event, one time."""
    told = tell(project, "r1", at=100.0)[:4]
    write(project, told)
    tracker = Remembering(patience=4)

    stopped = deliver_to(tracker, project)
    had_work = has_work(project)
    tracker.patience = 100
    deliver_to(tracker, project)
    deliver_to(tracker, project)

    assert stopped.reason == "gone fishing"
    assert had_work
    assert tracker.events == told
    assert tracker.interrupted == [("r1", 103.0)]
    assert not has_work(project)


def test_a_run_under_way_is_delivered_as_far_as_it_is(project: Path, tell: Tell) -> None:
    """It is not interrupted, and what it keeps stays."""
    told = tell(project, "r1")
    tracker = Remembering()
    with Journal(project) as journal:
        for event in told[:4]:
            journal(event)
        deliver_to(tracker, project)
        files_meanwhile = list(kept.folder(project).iterdir())
        for event in told[4:]:
            journal(event)
        deliver_to(tracker, project)

    assert tracker.events == told
    assert tracker.interrupted == []
    assert files_meanwhile


def test_kept_files_are_given_to_the_tracker_and_then_discarded(project: Path) -> None:
    """The notebook as it was, however often it was replaced; nothing is left behind when nothing waits."""
    with Journal(project) as journal:
        for number in range(2):
            (project / "a.ipynb").write_text(f"run {number}")
            journal(RunStarted(f"r{number}", 1.0 + number, "p", "f", (), {}, NOWHERE))
            journal(TaskFinished(f"r{number}", 2.0 + number, "a", "done", 1, notebook="a.ipynb"))
    tracker = Remembering(patience=1)
    deliver_to(tracker, project)
    waiting = sorted(file.read_text() for file in kept.folder(project).iterdir())
    tracker.patience = 100
    time.sleep(0.05)

    deliver_to(tracker, project)

    assert waiting == ["run 0", "run 1"]
    assert tracker.found == ["run 0", "run 1"]
    assert list(kept.folder(project).iterdir()) == []


def test_a_replaced_file_is_not_found(project: Path) -> None:
    """Without a kept copy, only the very content counts."""
    (project / "a.ipynb").write_text("old")
    with Journal(project, keep_files=False) as journal:
        journal(TaskFinished("r1", 2.0, "a", "done", 1, notebook="a.ipynb"))
        (project / "b.ipynb").write_text("same")
        journal(TaskFinished("r1", 3.0, "b", "done", 1, notebook="b.ipynb"))
    (project / "a.ipynb").write_text("new")
    tracker = Remembering()

    deliver_to(tracker, project)

    assert tracker.found == [None, "same"]


def test_one_process_delivers_at_a_time(project: Path, tell: Tell, write: Write) -> None:
    """The second does not wait for ever, and says so."""
    write(project, tell(project, "r1"))
    spool = project / ".nbproof" / "spool"
    tracker = Remembering()
    with FileLock(spool / "courier.lock"):
        report = deliver_to(tracker, project, lock_wait_s=0.1)

    assert report == DeliveryReport(0, 8, "another process is delivering")
    assert tracker.events == []


def test_switched_off_nothing_is_delivered(project: Path, tell: Tell, write: Write) -> None:
    """The journal stays, and would be delivered later."""
    write(project, tell(project, "r1"))

    report = deliver(project, Settings(experiment="credit", tracking=False))

    assert report == DeliveryReport(0, 8, "tracking is switched off")
    assert count_waiting(project) == 8


def test_a_refused_connection_is_noticed_at_once(project: Path, tell: Tell, write: Write, closed_port: int) -> None:
    """Nobody waits for a server that is away."""
    write(project, tell(project, "r1"))
    began = time.monotonic()

    report = deliver(project, Settings(experiment="credit", tracking_uri=f"http://127.0.0.1:{closed_port}"))

    assert time.monotonic() - began < 3
    assert (report.delivered, report.waiting) == (0, 8)
    assert report.reason is not None
    assert "Connection refused" in report.reason


def test_a_reason_tells_no_password(closed_port: int) -> None:
    """The credentials of a tracking URI do not reach a report or a log."""
    with pytest.raises(TrackerUnavailable, match=f"http://127.0.0.1:{closed_port}: ") as caught:
        check_reachable(f"http://ana:s3cret@127.0.0.1:{closed_port}")

    assert "s3cret" not in str(caught.value)
    assert without_password("at https://ana:s3cret@host/x: no") == "at https://host/x: no"


def test_a_kernel_is_told_where_the_tracker_is(project: Path) -> None:
    """The embedded store by its absolute place, no telemetry, and where to keep files."""
    embedded = kernel_environment(project, Settings(experiment="credit"))
    remote = kernel_environment(project, Settings(experiment="e", tracking_uri="http://127.0.0.1:5", tracking=False))

    assert embedded == {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
        "MLFLOW_EXPERIMENT_NAME": "credit",
        "NBPROOF_KEEP": f"{project}/.nbproof/spool/files",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": f"{project}/mlruns",
    }
    assert remote == {
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5",
        "MLFLOW_EXPERIMENT_NAME": "e",
    }
