"""Processes on a leash: whatever a task starts can be found again, and ended.

Every process of a task inherits the environment variable `NBPROOF_LEASE`, whose value is `<scope>/<run>/<token>`; the
scope names one pipeline of one project. A process that moved to another session, or whose parent was killed, still
carries it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

LEASE_VARIABLE = "NBPROOF_LEASE"
_LEASE_ENTRY = f"{LEASE_VARIABLE}=".encode()
GRACE_S = 2.0
LOOK_AGAIN_S = 0.02
LOOKS_AT_A_START, LOOK_AT_A_START_S = 5, 0.002


def holders(matches: Callable[[str], bool]) -> list[psutil.Process]:
    """The processes, other than this one, whose lease satisfies `matches`."""
    found: list[psutil.Process] = []
    for pid, lease in _leases():
        if pid != os.getpid() and matches(lease):
            # Most often there is none, and then psutil is not worth its import.
            import psutil

            with contextlib.suppress(psutil.Error):
                found.append(psutil.Process(pid))
    return found


def _leases() -> Iterator[tuple[int, str]]:
    """Every process with a lease, and that lease. A forked process writes its own over that of its zygote."""
    # Processes of other users, and those that ended meanwhile, are none of ours.
    if sys.platform != "linux":
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if lease := process.environ().get(LEASE_VARIABLE, "").strip():
                    yield process.pid, lease
        return
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if lease := _lease_in(_environ(folder)):
                    yield int(folder.name), lease


def _environ(process: Path) -> bytes:
    """The environment that a process was started with; a program that is just being started shows none for a moment."""
    for _ in range(LOOKS_AT_A_START):
        found = (process / "environ").read_bytes()
        # Neither a thread of the system nor the dead but unburied have a program.
        if found or not (process / "exe").exists():
            return found
        time.sleep(LOOK_AT_A_START_S)
    return b""


def _lease_in(environ: bytes) -> str:
    for entry in environ.split(b"\0"):
        if entry.startswith(_LEASE_ENTRY):
            return os.fsdecode(entry.removeprefix(_LEASE_ENTRY)).strip()
    return ""


def end_lease(lease: str) -> int:
    """Kill every process that holds `lease`; return how many there were."""
    return _end(lambda found: found == lease)


def end_orphans(scope: str) -> int:
    """Kill what earlier builds of the pipeline `scope` left behind; call it only while holding its build lock.

    What was left of its single tasks goes, too. The scope of a task is that of this task alone.
    """
    return _end(lambda found: found.split("/", 1)[0] == scope or found.startswith(f"{scope}+"))


def _end(matches: Callable[[str], bool]) -> int:
    ended: set[int] = set()
    deadline = time.monotonic() + GRACE_S
    # A process may fork while we look, so look again until nobody is left; the dead but unburied hold no lease.
    while (found := holders(matches)) and time.monotonic() < deadline:
        import psutil

        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                ended.add(process.pid)
        time.sleep(LOOK_AGAIN_S)
    return len(ended)
