"""Processes of a service are exchanged, and its model swapped, under load: no request is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

sys.path.append(str(Path(__file__).parents[1] / "review"))

from reviewed import without_variables, write_project

ROWS = {"rows": [{"age": 30, "status": 2, "ratio": 0.25}]}


@contextmanager
def command(package: Path, project: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """`nbproof serve` of a draft, and what it said when it was ready."""
    write_project(project)
    line = [sys.executable, "-m", "nbproof", "serve", str(package), "--port", "0", "--no-explain", "--json"]
    with subprocess.Popen(
        [*line, "--unsafe-draft", "a test", *more], cwd=project, env=without_variables(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            said = ""
            while not said.endswith("\n}\n"):
                said += process.stdout.readline()
            yield process, json.loads(said)
        finally:
            process.terminate()
            process.wait(60)


class Load:
    """Clients that ask one request after the other and keep their connections; each answer's status and version."""

    def __init__(self, url: str, clients: int) -> None:
        self.answers: list[tuple[int, str]] = []
        self.errors: list[str] = []
        self._url, self._stopped = url, threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=60) as client:
            while not self._stopped.is_set():
                try:
                    answer = client.post("/predict", json=ROWS)
                    self.answers.append((answer.status_code, answer.json().get("version", "")))
                except httpx.HTTPError as error:
                    self.errors.append(repr(error))


def workers_of(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE}


def wait_until(holds: Any, within_s: float = 90.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_swaps_and_restarts_under_load_lose_no_request(package_folder: Path, tmp_path: Path) -> None:
    """Swaps by SIGHUP, a restart by SIGUSR2: every request is answered, and by the newest version in the end."""
    folder = Path(shutil.copytree(package_folder, tmp_path / "one"))
    current = tmp_path / "current"
    current.symlink_to(folder)
    with command(current, tmp_path / "project", "--check", "3600") as (process, said), Load(said["url"], 3) as load:
        for patch in (4, 5, 6):
            following = Path(shutil.copytree(folder, tmp_path / f"v{patch}"))
            manifest = json.loads((following / "manifest.json").read_text())
            (following / "manifest.json").write_text(json.dumps({**manifest, "version": f"1.2.{patch}"}))
            (tmp_path / "link").symlink_to(following)
            (tmp_path / "link").rename(current)
            process.send_signal(signal.SIGHUP)
            wait_until(lambda patch=patch: load.answers[-1:] == [(200, f"1.2.{patch}")])
        before = workers_of(said["pid"])
        process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(workers_of(said["pid"])) == 1 and not workers_of(said["pid"]) & before)
        count = len(load.answers)
        wait_until(lambda: len(load.answers) > count + 20)

    assert load.errors == []
    assert {status for status, _ in load.answers} == {200}
    assert process.returncode == 0


@pytest.mark.slow
def test_signals_that_come_in_a_crowd_end_nothing(package_folder: Path, tmp_path: Path) -> None:
    """Not while one is being followed, and not by way of a thread that some library has started."""
    with command(package_folder, tmp_path / "project") as (process, said):
        for _ in range(300):
            process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR2)
        process.send_signal(signal.SIGHUP)
        answer = httpx.post(f"{said['url']}/predict", json=ROWS, trust_env=False, timeout=90)
        assert answer.status_code == 200
        assert process.poll() is None

    assert process.returncode == 0


@pytest.mark.slow
def test_a_killed_process_is_followed_by_another(package_folder: Path, tmp_path: Path) -> None:
    """Whoever connects meanwhile waits; and when the starter is killed, nobody is left."""
    with command(package_folder, tmp_path / "project") as (process, said):
        (worker,) = workers_of(said["pid"])
        os.kill(worker, signal.SIGKILL)
        answer = httpx.post(f"{said['url']}/predict", json=ROWS, trust_env=False, timeout=90)
        assert answer.status_code == 200
        (following,) = workers_of(said["pid"])
        assert following != worker
        process.kill()
        wait_until(lambda: not psutil.pid_exists(following))
