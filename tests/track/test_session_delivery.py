"""Sessions of notebooks in MLflow: one run each, delivered as often as need be, and told truthfully."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbproof.records import ContentHash
from nbproof.settings import Settings
from nbproof.track import courier, kept
from nbproof.track.capture import place
from nbproof.track.capture.session import append
from nbproof.track.courier import SessionCourier
from nbproof.track.delivery import (
    count_waiting_of_sessions,
    deliver,
    deliver_sessions_to,
    deliver_to,
    has_news_of_sessions,
    has_work,
)
from nbproof.track.mlflow_tracker import MlflowTracker, open_tracker

AT = 1_700_000_000.0
GiveStore = Callable[[Path], str]
Dump = Callable[..., dict[str, Any]]


def lines(session_id: str, ends: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"kind": "opened", "session": session_id, "kernel_id": "k1", "life": 1, "notebook": "deep/a.ipynb",
         "level": "metadata", "python": "CPython 3.11", "at": AT},
    ]  # fmt: skip
    for number, outcome in enumerate(ends, start=1):
        exec_id = f"{session_id}.{number}"
        found.append({"kind": "started", "exec_id": exec_id, "number": number, "at": AT + number, "cell_id": "c",
                      "code_sha256": "ab" * 32, "tags": []})  # fmt: skip
        if outcome != "lost":
            found.append({"kind": "ended", "exec_id": exec_id, "at": AT + number + 0.5, "seconds": 0.5,
                          "outcome": outcome, "count": number})  # fmt: skip
    return found


def write(project: Path, session_id: str, ends: list[str], *more: dict[str, Any]) -> Path:
    """The file of a session, as its kernel and its server wrote it."""
    path = place.Place(project, session_id).lines
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines(session_id, ends), *more]))
    return path


def around(**more: Any) -> dict[str, Any]:
    return {"kind": "around", "at": AT + 1, "git_commit": "c0ffee", "git_dirty": False, "environment": "sha256:e",
            "digest": "sha256:d", "notebook_sha256": None, **more}  # fmt: skip


def closed(by: str = "kernel", how: str = "exit") -> dict[str, Any]:
    return {"kind": "closed", "by": by, "how": how, "at": AT + 60}


def logged(kind: str, values: dict[str, Any], child: str | None = None, at: float = AT + 1.1) -> dict[str, Any]:
    entry = {"kind": kind, "values": values, "child": child, "step": 0, "at": at}
    return {"kind": "logged", "exec_id": None, "entry": entry}


@pytest.fixture
def tracker(project: Path, give_store: GiveStore) -> MlflowTracker:
    give_store(project)
    return open_tracker(project, Settings(experiment="credit"))


def held(dump: Dump, project: Path, folder: Path) -> dict[str, Any]:
    return dump(f"sqlite:///{project / 'mlflow.db'}", "credit", folder)


def test_a_session_is_one_run(project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path) -> None:
    """Named for its notebook, with what surrounded it, its numbers, its list of executions, and its end."""
    write(project, "s1", ["ok", "error", "ok"], around(), closed())

    report = deliver_sessions_to(tracker, project)

    (run,) = held(dump, project, tmp_path / "out").values()
    assert (report.delivered, report.waiting, report.reason) == (9, 0, None)
    assert (run["name"], run["status"], run["start"], run["end"]) == (
        "a.ipynb", "FINISHED", AT * 1000, (AT + 60) * 1000,
    )  # fmt: skip
    assert run["latest"] == {"executions": 3, "errors": 1, "lost": 0, "seconds": 1.5}
    assert {name: run["tags"][name] for name in run["tags"] if name != "mlflow.user"} == {
        "mlflow.runName": "a.ipynb",
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.name": "deep/a.ipynb",
        "mlflow.source.type": "NOTEBOOK",
        "nbproof.digest": "sha256:d",
        "nbproof.environment": "sha256:e",
        "nbproof.git_dirty": "false",
        "nbproof.kernel_id": "k1",
        "nbproof.kernel_life": "1",
        "nbproof.key": "session/s1",
        "nbproof.kind": "session",
        "nbproof.notebook": "deep/a.ipynb",
        "nbproof.outcome": "done",
        "nbproof.python": "CPython 3.11",
        "nbproof.recording": "metadata",
        "nbproof.session": "s1",
    }
    content = json.loads((tmp_path / "out/executions.json").read_text())
    assert [each["outcome"] for each in content["executions"]] == ["ok", "error", "ok"]
    assert not has_work(project)


def test_delivered_again_and_again_it_is_held_once(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """Forgotten offsets cost a second delivery, and change nothing."""
    write(
        project, "s1", ["ok", "lost"], logged("metrics", {"auc": 0.5}), logged("parameters", {"depth": "4"}),
        logged("metrics", {"auc": 0.25}, "tree"), closed("server", "shutdown"),
    )  # fmt: skip
    deliver_sessions_to(tracker, project)
    first = held(dump, project, tmp_path / "one")
    for offset in (project / ".nbproof/spool").glob("*.offset"):
        offset.unlink()

    again = open_tracker(project, Settings(experiment="credit"))
    deliver_sessions_to(again, project)

    assert held(dump, project, tmp_path / "two") == first
    assert first["session/s1"]["history"]["auc"] == [(0.5, (AT + 1.1) * 1000, 0)]
    assert (first["session/s1"]["status"], first["session/s1/tree"]["status"]) == ("KILLED", "KILLED")


def test_a_session_that_goes_on_is_told_as_it_goes(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """Running while its kernel lives; what comes later is added; without a last word it ends as failed."""
    path = write(project, "s1", ["ok"])
    with path.open("ab") as kernel:
        fcntl.flock(kernel, fcntl.LOCK_EX)
        deliver_sessions_to(tracker, project)
        running = held(dump, project, tmp_path / "one")["session/s1"]
        assert not has_news_of_sessions(project)
        append(path, {**lines("s1", ["ok", "ok"])[3]})
        assert count_waiting_of_sessions(project) == 1
        deliver_sessions_to(tracker, project)
    assert has_news_of_sessions(project)
    deliver_sessions_to(tracker, project)
    died = held(dump, project, tmp_path / "two")["session/s1"]

    assert (running["status"], running["latest"]["executions"]) == ("RUNNING", 1)
    assert (died["status"], died["tags"]["nbproof.outcome"]) == ("FAILED", "died")
    assert died["latest"] == {"executions": 2, "errors": 0, "lost": 1, "seconds": 0.5}
    assert not has_news_of_sessions(project)


def test_a_word_that_comes_late_corrects_the_end(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """The server may say only after the courier looked that it was the server who ended the kernel."""
    path = write(project, "s1", ["ok"])
    deliver_sessions_to(tracker, project)
    append(path, closed("server", "shutdown"))
    deliver_sessions_to(tracker, project)

    assert held(dump, project, tmp_path / "out")["session/s1"]["status"] == "FINISHED"


def test_files_of_a_session_arrive_and_are_kept_until_then(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """The notebook as it stood and a figure that was logged, though both have changed since."""
    notebook, figure = project / "deep/a.ipynb", project / "roc.svg"
    notebook.parent.mkdir()
    notebook.write_text("as it stood")
    figure.write_text("<svg/>")
    stood, drawn = (kept.keep(file, kept.folder(project)).hex for file in (notebook, figure))
    notebook.write_text("changed")
    figure.unlink()
    for file in kept.folder(project).iterdir():
        os.utime(file, (1, 1))
    path = write(
        project, "s1", ["ok"], logged("artifact", {"name": "roc.svg", "path": str(figure), "sha256": drawn}),
        around(notebook_sha256=stood),
    )  # fmt: skip
    with path.open("ab") as kernel:
        fcntl.flock(kernel, fcntl.LOCK_EX)
        # A run elsewhere in the project is over, and what it kept is cleared away.
        deliver_to(tracker, project)
        assert {file.name for file in kept.folder(project).iterdir()} == {stood, drawn}
    deliver_sessions_to(tracker, project)

    files = held(dump, project, tmp_path / "out")["session/s1"]["files"]
    assert files["notebook/a.ipynb"] == ContentHash.of(b"as it stood").hex
    assert files["files/roc.svg"] == ContentHash.of(b"<svg/>").hex
    deliver_to(tracker, project)
    assert list(kept.folder(project).iterdir()) == []


def test_runs_made_in_a_session_are_named(project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path) -> None:
    """Those that the kernel saw, and those of the same store that say themselves which execution made them."""
    path = write(project, "s1", ["ok", "ok"], closed())
    path.write_text(path.read_text().replace('"count": 1', '"count": 1, "runs": ["elsewhere"]'))
    client = tracker._client
    own = client.create_run("0", tags={"nbproof.session": "s1", "nbproof.exec_id": "s1.2"}).info.run_id
    deliver_sessions_to(tracker, project)

    held(dump, project, tmp_path / "out")
    content = json.loads((tmp_path / "out/executions.json").read_text())
    assert [execution["runs"] for execution in content["executions"]] == [["elsewhere"], [own]]


def test_a_commit_is_no_proof_once_something_changed(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """A tree that was changed, or moved to another commit, before the session was over counts as dirty."""
    write(project, "s1", ["ok"], around(), around(git_commit="decade", at=AT + 50), closed())
    write(project, "s2", ["ok"], around(), around(git_dirty=True, at=AT + 50), closed())
    deliver_sessions_to(tracker, project)

    found = held(dump, project, tmp_path / "out")
    assert {found[f"session/{name}"]["tags"]["nbproof.git_dirty"] for name in ("s1", "s2")} == {"true"}


def test_a_damaged_session_is_delivered_and_says_so(
    project: Path, tracker: MlflowTracker, dump: Dump, tmp_path: Path
) -> None:
    """The others are not held up, nor is one that does not say which session it is passed off as one."""
    path = write(project, "s1", ["ok"], closed())
    path.write_text(path.read_text() + "half a li")
    place.Place(project, "s0").lines.write_text("nothing of the sort\n")
    write(project, "s2", ["ok"], closed())

    report = deliver_sessions_to(tracker, project)

    found = held(dump, project, tmp_path / "out")
    assert set(found) == {"session/s1", "session/s2"}
    assert found["session/s1"]["tags"]["nbproof.damaged"] == "line 5 was cut short"
    assert "does not say which session" in (report.reason or "")
    assert report.waiting == 1


def test_with_the_tracker_away_a_session_waits(project: Path, closed_port: int) -> None:
    """The report says how many lines wait, and why."""
    write(project, "s1", ["ok"], closed())
    settings = Settings(experiment="credit", tracking_uri=f"http://127.0.0.1:{closed_port}")

    report = deliver(project, settings)

    assert (report.delivered, report.waiting) == (0, 4)
    assert "Connection refused" in (report.reason or "")
    assert has_work(project)


def test_a_courier_follows_the_sessions_of_a_server(
    project: Path, give_store: GiveStore, dump: Dump, tmp_path: Path
) -> None:
    """It starts with the first news, tells what it did, and ends when the server and its kernels are gone."""
    give_store(project)
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    follower = SessionCourier(project, Settings(experiment="credit"), pid=server.pid)
    path = write(project, "s1", ["ok"])
    with path.open("ab") as kernel:
        fcntl.flock(kernel, fcntl.LOCK_EX)
        follower.wake()
        process = follower._process
        assert process is not None
        _wait_until(lambda: count_waiting_of_sessions(project) == 0)
        follower.wake()
        assert follower._process is process
        append(path, closed("server", "shutdown"))
        server.communicate(b"\n")
    assert process.wait(timeout=120) == 0

    assert held(dump, project, tmp_path / "out")["session/s1"]["status"] == "FINISHED"
    _wait_until(lambda: follower._report is not None)
    assert follower.reason is None
    follower._let_go()


@pytest.mark.slow
def test_a_courier_waits_for_a_tracker_that_is_away(project: Path, server: Any, tmp_path: Path) -> None:
    """It tries again until the tracker is there, as long as the notebook's server lives."""
    lab = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    follower = SessionCourier(project, Settings(experiment="credit", tracking_uri=server.uri), pid=lab.pid)
    write(project, "s1", ["ok"], closed())
    follower.wake()
    process = follower._process
    assert process is not None
    _wait_until(lambda: follower.reason is not None)
    assert "Connection refused" in (follower.reason or "")
    server.start()
    _wait_until(lambda: count_waiting_of_sessions(project) == 0)
    lab.communicate(b"\n")

    assert process.wait(timeout=120) == 0
    assert follower.reason is None
    follower._let_go()


def test_a_courier_without_a_tracker_is_not_started(project: Path) -> None:
    """Switched off, nothing is delivered, and the reason is told."""
    follower = SessionCourier(project, Settings(experiment="credit", tracking=False), pid=os.getpid())
    follower.wake()

    assert follower._process is None
    assert follower.reason == "tracking is switched off"


def test_sync_delivers_sessions_too(project: Path, give_store: GiveStore) -> None:
    """What waited since the tracker was away goes with `nbproof runs sync`."""
    give_store(project)
    write(project, "s1", ["ok"], closed())

    report = courier.sync(project, Settings(experiment="credit"))

    assert (report.delivered, report.waiting) == (4, 0)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
