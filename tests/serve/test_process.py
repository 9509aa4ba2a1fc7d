"""A service in its own process: it is ready when yielded, and gone afterwards, whatever happens."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from nbproof.errors import ModelRefused, Refused, ServiceFailed
from nbproof.serve.process import running

ROW = {"age": 30, "status": 2, "ratio": 0.25}


def is_gone(pid: int, within_s: float = 60.0) -> bool:
    """Whether the process ends within that time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_two_services_run_side_by_side_and_both_end(package_folder: Path) -> None:
    """Each takes a free port of its own; after the block nobody listens."""
    with running(package_folder) as one, running(package_folder) as two:
        assert one.base_url != two.base_url
        for service in (one, two):
            answer = httpx.post(f"{service.base_url}/predict", json={"rows": [ROW]}, trust_env=False)
            assert len(answer.json()["scores"]) == 1

    assert is_gone(one.pid, 0.2)
    assert is_gone(two.pid, 0.2)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{one.base_url}/health", trust_env=False)


def test_an_error_in_the_block_ends_the_service(package_folder: Path) -> None:
    """The error arrives as it was and leaves no process behind."""
    with pytest.raises(ZeroDivisionError), running(package_folder) as service:
        raise ZeroDivisionError

    assert is_gone(service.pid, 0.2)


def test_the_service_dies_with_its_killed_starter(package_folder: Path) -> None:
    """`kill -9` of the starter leaves no orphan."""
    code = (
        "import sys, time; from pathlib import Path; from nbproof.serve.process import running\n"
        "with running(Path(sys.argv[1])) as service: print(service.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(package_folder)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.kill(starter.pid, signal.SIGKILL)

    assert is_gone(pid)


def test_a_stopped_service_is_killed(package_folder: Path) -> None:
    """A service that no longer reacts to a kind word is ended all the same."""
    with running(package_folder) as service:
        os.kill(service.pid, signal.SIGSTOP)

    assert is_gone(service.pid, 0.2)


def test_what_cannot_be_loaded_says_why(package_folder: Path, tmp_path: Path) -> None:
    """A model damaged after packing fails the start, with the reason in one line."""
    folder = Path(shutil.copytree(package_folder, tmp_path / "package"))
    (folder / "model.skops").write_bytes(b"not a model")

    with pytest.raises(ServiceFailed, match=r"model\.skops"), running(folder):
        pass


def test_a_folder_without_a_package_starts_no_process(tmp_path: Path) -> None:
    """The folder is read before anything is started."""
    with pytest.raises(ModelRefused), running(tmp_path):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_hosts_that_others_can_reach_are_refused(package_folder: Path, host: str) -> None:
    """Only addresses of this machine are served."""
    with pytest.raises(Refused, match="can be reached from outside"), running(package_folder, host=host):
        pass


def test_the_door_refuses_a_public_host(package_folder: Path) -> None:
    """The command exits 3 and says what to do."""
    done = subprocess.run(
        [sys.executable, "-m", "nbproof.serve", str(package_folder), "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "hint: use 127.0.0.1, or give it keys" in done.stderr
