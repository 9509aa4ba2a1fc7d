"""Leases: whatever a task started can be found and ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest

from nbproof.run import processes
from nbproof.run.processes import LEASE_VARIABLE, end_lease, end_orphans, holders

ESCAPE = """
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
"""


def test_a_process_that_left_its_session_and_lost_its_parent_is_still_found() -> None:
    """The lease is inherited, whatever a process does to hide."""
    lease = f"pipeline/run/{uuid.uuid4().hex}"
    environ = {**os.environ, LEASE_VARIABLE: lease}
    answer = subprocess.run([sys.executable, "-c", ESCAPE], env=environ, capture_output=True, text=True, check=True)
    orphan = psutil.Process(int(answer.stdout))

    assert [process.pid for process in holders(lambda found: found == lease)] == [orphan.pid]
    assert end_lease(lease) == 1
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_orphans_of_another_pipeline_are_left_alone() -> None:
    """Only what belongs to the pipeline whose lock is held is ended."""
    pipeline = uuid.uuid4().hex
    environ = {**os.environ, LEASE_VARIABLE: f"{pipeline}-other/run/token"}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environ) as process:
        assert end_orphans(pipeline) == 0
        assert process.poll() is None
        assert end_orphans(f"{pipeline}-other") == 1


def test_a_program_that_is_just_being_started_is_looked_at_again(tmp_path: Path) -> None:
    """For a moment it shows no environment, and then the one that it has."""
    (tmp_path / "exe").touch()
    (tmp_path / "environ").touch()
    entry = f"{LEASE_VARIABLE}=pipeline/run/token".encode()
    threading.Timer(0.003, (tmp_path / "environ").write_bytes, [entry]).start()

    assert processes._environ(tmp_path) == entry


def test_what_has_no_program_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of the system, and the dead but unburied, will never show an environment."""
    (tmp_path / "environ").touch()
    monkeypatch.setattr(time, "sleep", None)

    assert processes._environ(tmp_path) == b""
