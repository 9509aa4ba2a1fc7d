"""Daemons as they are: processes that share a ledger, and that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemons import daemon, every_second, two_with_one_killed, wait_until

from nbproof.cli.main import carry_out
from nbproof.schedule.attending import daemons
from nbproof.schedule.ledger import Entry, Ledger

TICKS = 12


@pytest.mark.slow
def test_a_tick_a_second_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    """Of two daemons one is killed in between: each second has its tick, and each tick has run once."""
    kept, ran, killed = two_with_one_killed(tmp_path, TICKS)

    moments = [entry.at for entry in kept]
    assert moments == [moments[0] + number for number in range(len(moments))]
    assert len(kept) >= TICKS
    ticks = [tick for tick, _ in ran]
    # What was being written down when its process was killed may be tried again: the ledger says so.
    tried_again = {entry.tick for entry in kept if entry.attempt > 1}
    assert len(tried_again) <= 1
    assert [tick for tick in set(ticks) if ticks.count(tick) > 1 and tick not in tried_again] == []
    assert set(ticks) == {entry.tick for entry in kept}
    assert len({pid for _, pid in ran} - {killed}) >= 1


def test_who_attends_is_known(tmp_path: Path) -> None:
    """A daemon is listed as long as it lives, however it ends."""
    ledger = every_second(tmp_path)
    assert daemons(ledger) == ()

    with daemon(tmp_path) as process:
        wait_until(lambda: daemons(ledger) == (process.pid,), "it is known")
    assert daemons(ledger) == ()


NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
}


def project(folder: Path, *sources: str, parameters: str = "as_of: str = ''") -> Path:
    """A project whose folder `work` is a pipeline of one notebook."""
    (folder / "work").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\nworkers = 1\nwarm = false\n")
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {"tags": [] if at else ["parameters"]}, "source": source,
         "outputs": [], "execution_count": None}
        for at, source in enumerate([f"upstream = None\nproduct = None\n{parameters}", *sources])
    ]  # fmt: skip
    (folder / "work/only.ipynb").write_text(json.dumps({**NOTEBOOK, "cells": cells}))
    (folder / "work/pipeline.yaml").write_text("tasks:\n- {source: only.ipynb, product: build/only.ipynb}\n")
    return folder


def nbproof(folder: Path, *words: str, code: int = 0) -> str:
    """A command as one types it in a folder; what it said comes back."""
    ran = subprocess.run(
        [sys.executable, "-m", "nbproof", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def add(folder: Path, *words: str) -> None:
    """Schedule the pipeline of a project."""
    with contextlib.chdir(folder):
        assert carry_out(["schedule", "add", "work", *words]) == 0


def fire(folder: Path, name: str, reason: str) -> None:
    """Ask for a start that some daemon is to make."""
    with contextlib.chdir(folder):
        assert carry_out(["schedule", "fire", name, "--reason", reason, "--key", reason]) == 0


def ticks(folder: Path, name: str) -> tuple[Entry, ...]:
    """The ticks of a schedule, the newest first."""
    with Ledger(folder).reading() as book:
        return book.entries(name)


@pytest.mark.slow
def test_what_runs_outlives_the_daemon_that_started_it(tmp_path: Path) -> None:
    """A daemon is killed while its tick runs: the tick is done all the same, once, and the next daemon sees it so."""
    wait = (
        "import time, pathlib\npathlib.Path('begun').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    )
    folder = project(tmp_path / "p", wait)
    add(folder)
    fire(folder, "work", "a test")
    process = subprocess.Popen([sys.executable, "-m", "nbproof", "schedule", "run"], cwd=folder)
    try:
        wait_until(lambda: (folder / "work/begun").exists(), "the notebook runs")
    finally:
        process.kill()
        process.wait()

    (folder / "work/go").touch()
    wait_until(lambda: ticks(folder, "work")[0].state != "running", "it has ended")

    (tick,) = ticks(folder, "work")
    assert (tick.state, tick.attempt, tick.cause) == ("done", 1, "a test")
    assert str(tick.run) in nbproof(folder, "runs", "list")


@pytest.mark.slow
def test_what_is_killed_is_tried_again_and_then_said_to_be_lost(tmp_path: Path) -> None:
    """Whoever keeps a tick is killed: its run ends with it; the next look tries again, and the last says it is lost."""
    wait = "import time, pathlib\npathlib.Path(f'begun-{time.time()}').touch()\nwhile True: time.sleep(0.05)"
    folder = project(tmp_path / "p", wait)
    nbproof(
        folder, "schedule", "add", "work", "--retries", "1", "--retry-wait", "1s", "--on-failure", "command:tee told"
    )
    fire(folder, "work", "a test")
    process = subprocess.Popen([sys.executable, "-m", "nbproof", "schedule", "run"], cwd=folder)
    try:
        for attempt in (1, 2):
            begun = attempt
            wait_until(lambda: len(list(folder.glob("work/begun-*"))) >= begun, "the notebook runs")  # noqa: B023
            os.kill(keeper_of(folder), signal.SIGKILL)
        wait_until(lambda: ticks(folder, "work")[0].state == "lost", "it is lost")
        wait_until(lambda: ticks(folder, "work")[0].told == "command told", "somebody is told")
    finally:
        process.terminate()
        process.wait()

    (tick,) = ticks(folder, "work")
    assert (tick.attempt, tick.reason) == (2, "the process that ran it was killed, or the machine ended")
    assert json.loads((folder / "told").read_text())["state"] == "lost"
    assert len(list(folder.glob("work/begun-*"))) == 2


def keeper_of(folder: Path) -> int:
    """The process that keeps the tick of a project."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    (found,) = [pid for pid in numbers if is_keeper(pid, folder)]
    return found


def is_keeper(pid: int, folder: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"nbproof.schedule" in words and str(folder).encode() in words


@pytest.mark.slow
def test_a_tick_says_what_came_of_it(tmp_path: Path) -> None:
    """One that fails is tried again and has failed; one takes too long; one ends the one before; the log tells."""
    source = "import time\nassert as_of != 'bad', 'no such day'\ntime.sleep(60 if as_of == 'long' else 0)"
    folder = project(tmp_path / "p", source)
    for name, value, more in (
        ("good", "{logical_date}", ()),
        ("bad", "bad", ("--retries", "1", "--retry-wait", "1s")),
        ("long", "long", ("--timeout", "5s")),
        ("ended", "long", ("--overlap", "cancel")),
    ):
        add(folder, "--name", name, "-p", f"as_of={value}", *more)

    day = time.strftime("%Y-%m-%d", time.gmtime())
    assert "good: event-1 is done" in nbproof(
        folder, "schedule", "fire", "good", "--reason", "now", "--key", "1", "--wait"
    )
    assert "it was asked for before" in nbproof(folder, "schedule", "fire", "good", "--reason", "now", "--key", "1")
    assert f"as_of = '{day}'" in executed(folder)
    said = nbproof(folder, "schedule", "fire", "bad", "--reason", "now", "--wait", code=1)
    assert "no such day" in said
    assert "hint: nbproof schedule show bad" in said
    assert [(tick.state, tick.attempt) for tick in ticks(folder, "bad")] == [("failed", 2)]
    assert "its time of 5 s was over" in nbproof(
        folder, "schedule", "fire", "long", "--reason", "now", "--wait", code=1
    )

    process = subprocess.Popen([sys.executable, "-m", "nbproof", "schedule", "run"], cwd=folder)
    try:
        fire(folder, "ended", "first")
        wait_until(lambda: bool(ticks(folder, "ended")[0].run), "it runs")
        fire(folder, "ended", "second")
        wait_until(lambda: ticks(folder, "ended")[1].state == "cancelled", "the first has ended")
        nbproof(folder, "schedule", "remove", "ended")
    finally:
        process.terminate()
        process.wait()
    log = (folder / ".nbproof/schedule/logs/bad").glob("*.log")
    assert "no such day" in next(log).read_text()


def executed(folder: Path) -> str:
    cells = json.loads((folder / "work/build/only.ipynb").read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells)
