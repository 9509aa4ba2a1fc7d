"""The courier process: beside a real run, with real stores, killed and left alone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbproof.records import Event
from nbproof.settings import Settings
from nbproof.track.courier import Courier, sync
from nbproof.track.delivery import DeliveryReport, count_waiting
from nbproof.track.journal import Journal
from nbproof.track.store import database

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]
Dump = Callable[..., dict[str, Any]]

PATIENCE_S = 120
SETTINGS = Settings(experiment="credit")


def until(claim: Callable[[], bool]) -> None:
    """Wait for `claim` to become true."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def children() -> list[psutil.Process]:
    """Couriers that run; a process of another test that has ended, and that nobody waited for, is none."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
            found += [child] if "nbproof.track.courier" in child.cmdline() else []
    return found


def test_records_arrive_while_the_run_goes_on(
    project: Path, tell: Tell, dump: Dump, tmp_path: Path, give_store: Callable[[Path], str]
) -> None:
    """The tracker shows the first task before the last has ended, and at the end nothing waits."""
    uri = give_store(project)
    told = tell(project, "r1")
    with Journal(project) as journal, Courier(project, SETTINGS, "r1") as courier:
        assert courier.ready(PATIENCE_S)
        for event in told[:4]:
            journal(event)
        until(lambda: count_waiting(project) == 0)
        halfway = dump(uri, "credit", tmp_path / "halfway")
        for event in told[4:]:
            journal(event)
        report = courier.wait(PATIENCE_S)

    assert {key: run["status"] for key, run in halfway.items()} == {"r1": "RUNNING", "r1/training/1": "FAILED"}
    assert report == DeliveryReport(8, 0)
    assert dump(uri, "credit", tmp_path / "end")["r1"]["status"] == "FAILED"
    assert children() == []


@pytest.mark.slow
def test_the_embedded_store_is_made_before_the_first_task(project: Path, tell: Tell) -> None:
    """When the courier says that it is ready the store is whole, so no notebook makes it at the same time."""
    with Courier(project, SETTINGS, "r1") as courier:
        assert courier.ready(PATIENCE_S)
        is_there = database(project).exists()

    assert is_there
    assert {path.name for path in project.iterdir()} == {".nbproof", "mlflow.db"}


@pytest.mark.slow
def test_a_store_in_another_file_is_made_before_the_first_task(project: Path, tmp_path: Path) -> None:
    """The same holds for a file that the settings name: its tables are there when the courier is ready."""
    file = tmp_path / "elsewhere.db"
    settings = Settings(experiment="credit", tracking_uri=f"sqlite:///{file}")

    with Courier(project, settings, "r1") as courier:
        assert courier.ready(PATIENCE_S)
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            experiments = [name for (name,) in store.execute("SELECT name FROM experiments")]

    assert "credit" in experiments


def test_a_courier_is_ended_with_its_run(
    project: Path, tell: Tell, write: Write, give_store: Callable[[Path], str]
) -> None:
    """Leaving the block ends the process at any moment, and what it has not delivered waits."""
    give_store(project)
    write(project, tell(project, "r1"))
    with Courier(project, SETTINGS, "r2") as courier:
        alive = children()
        report = courier.wait(0)

    assert len(alive) == 1
    assert report.waiting == 8
    assert report.reason == "the tracker did not take everything within 0 s"
    assert not alive[0].is_running()


def test_a_courier_that_was_killed_is_not_taken_for_a_slow_one(
    project: Path, tell: Tell, write: Write, give_store: Callable[[Path], str]
) -> None:
    """The report says how it ended and where to look."""
    give_store(project)
    write(project, tell(project, "r1"))
    with Courier(project, SETTINGS, "r2") as courier:
        [process] = children()
        process.kill()
        report = courier.wait(PATIENCE_S)

    log = project / ".nbproof" / "logs" / "courier.log"
    assert report == DeliveryReport(0, 8, f"the courier ended with status -9; see {log}")


def test_when_the_runner_is_killed_its_courier_delivers_and_ends(
    project: Path, tell: Tell, dump: Dump, tmp_path: Path, give_store: Callable[[Path], str]
) -> None:
    """No orphan stays, and the tracker holds the run as killed."""
    uri = give_store(project)
    program = """
import sys, time
from pathlib import Path
from nbproof.records import TaskStarted
from nbproof.settings import Settings
from nbproof.track.courier import Courier
from nbproof.track.journal import Journal
project = Path(sys.argv[1])
with Journal(project) as journal, Courier(project, Settings(experiment="credit"), "r1") as courier:
    journal(TaskStarted("r1", 1_700_000_000.0, "audit", 1, "new", {}))
    print(courier._process.pid, flush=True)
    time.sleep(600)
"""
    runner = subprocess.Popen([sys.executable, "-c", program, str(project)], stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    with runner.stdout:
        courier = psutil.Process(int(runner.stdout.readline()))
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()

    until(lambda: not courier.is_running() or courier.status() == psutil.STATUS_ZOMBIE)

    assert {key: run["status"] for key, run in dump(uri, "credit", tmp_path / "files").items()} == {
        "r1": "KILLED",
        "r1/audit/1": "KILLED",
    }


def test_without_a_tracker_the_run_goes_on(project: Path, tell: Tell, closed_port: int) -> None:
    """The server is away: the run is not held up, and its records wait."""
    settings = Settings(experiment="credit", tracking_uri=f"http://127.0.0.1:{closed_port}")
    with Journal(project) as journal, Courier(project, settings, "r1") as courier:
        assert courier.ready(PATIENCE_S)
        for event in tell(project, "r1"):
            journal(event)
        began = time.monotonic()
        report = courier.wait(PATIENCE_S)
        waited_s = time.monotonic() - began

    assert waited_s < 10
    assert (report.delivered, report.waiting) == (0, 8)
    assert report.reason is not None
    assert "Connection refused" in report.reason


def test_without_mlflow_no_courier_starts(
    project: Path, tell: Tell, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays the spool; the report says what would bring MLflow."""
    write(project, tell(project, "r1"))
    # What Python itself writes for a module that is known to be absent.
    monkeypatch.setitem(sys.modules, "mlflow", None)

    with Courier(project, SETTINGS, "r1") as courier:
        report = courier.wait(PATIENCE_S)
        alive = children()

    assert report == DeliveryReport(0, 8, "mlflow is not installed: pip install 'nbproof[track]'")
    assert sync(project, SETTINGS) == report
    assert alive == []


def test_with_nothing_to_deliver_nothing_is_started(project: Path) -> None:
    """Asking twice costs nothing."""
    assert sync(project, SETTINGS) == DeliveryReport(0, 0)
    assert not database(project).exists()


@pytest.mark.slow
def test_nothing_is_sent_to_anybody(project: Path, tell: Tell, write: Write, tmp_path: Path) -> None:
    """Making the embedded store and delivering opens no connection and asks for no host's address."""
    write(project, tell(project, "r1"))
    seen = tmp_path / "seen"
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(
        "import sys\n"
        f"log = open({str(seen)!r}, 'a', buffering=1)\n"
        "log.write('watching\\n')\n"
        "def hook(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        log.write(f'{event} {arguments}\\n')\n"
        "sys.addaudithook(hook)\n"
    )
    environ = {name: value for name, value in os.environ.items() if name not in ("DO_NOT_TRACK", "CI")}
    environ = {name: value for name, value in environ.items() if not name.startswith(("MLFLOW", "PYTEST", "GITHUB"))}

    answer = subprocess.run(
        [sys.executable, "-m", "nbproof.track.courier", str(project)],
        env=environ | {"PYTHONPATH": str(tmp_path / "watch")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert DeliveryReport.from_json(answer.stdout) == DeliveryReport(8, 0)
    assert set(seen.read_text().splitlines()) == {"watching"}


def killed_again_and_again(project: Path, settings: Settings, *, times: int, seed: int) -> int:
    """Start a courier and kill it at a random moment, `times` over; returns how many had not ended yet."""
    chance = random.Random(seed)
    environ = os.environ | {"NBPROOF_EXPERIMENT": settings.experiment}
    if settings.tracking_uri:
        environ["NBPROOF_TRACKING_URI"] = settings.tracking_uri
    killed = 0
    for _ in range(times):
        before = count_waiting(project)
        process = subprocess.Popen(
            [sys.executable, "-m", "nbproof.track.courier", str(project)], env=environ, stdout=subprocess.DEVNULL
        )
        # Most of a courier's life is its start; half of the deaths are to come after its first delivery.
        if chance.random() < 0.5:
            time.sleep(chance.uniform(0.0, 3.0))
        else:
            while process.poll() is None and count_waiting(project) == before:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.3))
        killed += process.poll() is None
        process.kill()
        process.wait()
    return killed


@pytest.mark.slow
def test_an_embedded_store_is_complete_however_often_the_courier_is_killed(
    tmp_path: Path, tell: Tell, write: Write, dump: Dump
) -> None:
    """Killed while it makes the store or while it delivers: nothing is lost, nothing is held twice."""
    project, calm = tmp_path / "project", tmp_path / "calm"
    for folder in (project, calm):
        folder.mkdir()
        for number in range(4):
            write(folder, tell(folder, f"r{number}", at=1_700_000_000.0 + 100 * number))
    assert sync(calm, SETTINGS) == DeliveryReport(32, 0)

    killed = killed_again_and_again(project, SETTINGS, times=8, seed=random.randrange(2**32))
    sync(project, SETTINGS)

    assert killed > 2
    assert count_waiting(project) == 0
    held = dump(f"sqlite:///{database(project)}", "credit", tmp_path / "held")
    assert held == dump(f"sqlite:///{database(calm)}", "credit", tmp_path / "expected")
    assert not [path.name for path in (project / ".nbproof" / "spool").iterdir() if path.name.startswith(".mlflow.db")]


@pytest.mark.slow
def test_a_server_that_was_away_holds_everything_once_and_in_order(
    tmp_path: Path, tell: Tell, write: Write, dump: Dump, server: Any
) -> None:
    """Away for the first run, back for the second, killed in between, its courier killed too: it ends up the same."""
    settings = Settings(experiment="credit", tracking_uri=server.uri)
    project, calm = tmp_path / "project", tmp_path / "calm"
    for folder in (project, calm):
        folder.mkdir()
        write(folder, tell(folder, "r0", at=1_700_000_000.0, auc=0.75))
    away = sync(project, settings)
    for folder in (project, calm):
        for number in range(1, 4):
            write(folder, tell(folder, f"r{number}", at=1_700_000_000.0 + 100 * number, auc=0.8 + number / 100))
    assert (away.delivered, away.waiting) == (0, 8)

    server.start()
    killed = killed_again_and_again(project, settings, times=5, seed=random.randrange(2**32))
    write(project, tell(project, "r4", at=1_700_000_400.0))
    write(calm, tell(calm, "r4", at=1_700_000_400.0))
    under_way = subprocess.Popen(
        [sys.executable, "-m", "nbproof.track.courier", str(project)],
        env=os.environ | {"NBPROOF_EXPERIMENT": "credit", "NBPROOF_TRACKING_URI": server.uri},
        stdout=subprocess.PIPE,
        text=True,
    )
    waiting = count_waiting(project)
    until(lambda: count_waiting(project) < waiting)
    server.stop()
    output, _ = under_way.communicate(timeout=PATIENCE_S)
    broken_off = DeliveryReport.from_json(output)
    server.start()
    back = sync(project, settings)
    undisturbed = sync(calm, Settings(experiment="calm", tracking_uri=server.uri))

    assert killed > 1
    assert broken_off.delivered + back.delivered == waiting
    assert broken_off.waiting == 0 or broken_off.reason is not None
    assert (back.waiting, back.reason) == (0, None)
    assert undisturbed == DeliveryReport(40, 0)
    assert dump(server.uri, "credit", tmp_path / "held") == dump(server.uri, "calm", tmp_path / "expected")
