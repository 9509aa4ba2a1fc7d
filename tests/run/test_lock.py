"""The build lock: held by one process, freed by its death."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nbproof.errors import Busy
from nbproof.run.lock import build_lock

HOLD = """
import sys, time, pathlib
from nbproof.run.lock import build_lock
with build_lock(pathlib.Path(sys.argv[1]), "credit", wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_build_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """Another process holds the lock; once it is killed, the lock is free."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(Busy, match=f"being built by process {holder.pid} since"),
            build_lock(tmp_path, "credit", wait=False),
        ):
            pass
        holder.kill()

    with build_lock(tmp_path, "credit", wait=False):
        pass


def test_two_pipelines_do_not_block_each_other(tmp_path: Path) -> None:
    """The lock is a pipeline's, not a project's."""
    with build_lock(tmp_path, "credit", wait=False), build_lock(tmp_path, "text", wait=False):
        pass


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path) -> None:
    """Whoever holds a file that is gone keeps nobody out, and the next one does not take it for the lock."""
    with build_lock(tmp_path, "credit", wait=False):
        (tmp_path / "locks" / "credit.lock").unlink()
        with build_lock(tmp_path, "credit", wait=False):
            assert (tmp_path / "locks" / "credit.lock").exists()


def test_waiting_ends_when_the_other_build_does(tmp_path: Path) -> None:
    """With `wait` the second build goes on as soon as the first one is gone."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        threading.Timer(0.2, holder.kill).start()

        with build_lock(tmp_path, "credit", wait=True):
            assert holder.wait(timeout=60) != 0
