"""Wall-clock and CPU seconds of a contender, every process counted that it led to, and what else the machine did."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Carried by every process of a contender, also by those that left its process group or lost their parent.
VARIABLE = "BENCHMARK_ACCOUNT"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# A contender has come to rest when it used less than this share of a core for one pause.
RESTING_SHARE = 0.04
PAUSE_S = 0.1
SETTLE_S = 3.0
# No honest measurement takes as long.
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    `cpu_s` is what all processes of the contender used, until it had come to rest; `parent_cpu_s` what the process
    alone used that talks to the kernels, where that is known. `outside` is the share of the machine that others used
    while the clock ran: above a few hundredths the wall-clock time is too long, by how much nobody can say.
    """

    wall_s: float
    cpu_s: float
    outside: float
    load: float
    parent_cpu_s: float | None = None


class Account(Protocol):
    """The CPU time of one contender, whatever became of the processes that used it."""

    method: str
    environ: dict[str, str]

    def join(self) -> None:
        """Called by a new process of the contender, between fork and exec."""

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        """Around a wait for a child of this account."""

    def cpu_s(self) -> float: ...

    def processes(self) -> list[int]: ...

    def close(self) -> None:
        """End every process that is left."""


class CgroupAccount:
    """A control group of version 2: the kernel itself adds up the CPU time of all that was ever in it."""

    method = "cgroup v2"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.environ = folder, _private_environ(folder.name)

    def join(self) -> None:
        (self.folder / "cgroup.procs").write_text("0")

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def cpu_s(self) -> float:
        usage = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return int(usage["usage_usec"]) / 1e6

    def processes(self) -> list[int]:
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def close(self) -> None:
        end(self)
        # What was killed may take a moment to go; a group that stays is empty and costs nothing.
        patience = time.monotonic() + 10
        while self.folder.exists() and time.monotonic() < patience:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
            time.sleep(0.02)
        shutil.rmtree(self.environ["TMPDIR"], ignore_errors=True)


class ProcAccount:
    """Without control groups: children that were waited for, and living processes that carry the contender's name.

    What a process used that neither lives nor was waited for by a counted one is lost.
    """

    method = "/proc and wait"

    def __init__(self, name: str) -> None:
        self.name, self.environ = name, _private_environ(name)
        self._waited_for_s = 0.0

    def join(self) -> None:
        pass

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        before = _children_s()
        yield
        self._waited_for_s += _children_s() - before

    def cpu_s(self) -> float:
        return self._waited_for_s + sum(_used_s(pid) for pid in self.processes())

    def processes(self) -> list[int]:
        mark = f"{VARIABLE}={self.name}".encode()
        return [pid for pid in _all_processes() if mark in _environ(pid)]

    def close(self) -> None:
        end(self)
        shutil.rmtree(self.environ["TMPDIR"], ignore_errors=True)


def open_account(name: str) -> Account:
    """A control group where we may make one, else the second best."""
    unique = f"nbproof-benchmark-{os.getpid()}-{name}"
    try:
        account = CgroupAccount(_own_cgroup() / unique)
        account.cpu_s()
    except (OSError, KeyError, StopIteration):
        return ProcAccount(unique)
    return account


def end(account: Account) -> None:
    """End whatever is left of a contender, and wait until it is gone."""
    patience = time.monotonic() + 10
    while (left := account.processes()) and time.monotonic() < patience:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


@contextlib.contextmanager
def limited(account: Account) -> Iterator[None]:
    """End the contender after `LIMIT_S`: one that hangs must not take the other measurements with it."""
    timer = threading.Timer(LIMIT_S, end, [account])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def measure(account: Account, act: Callable[[], tuple[float, float | None]]) -> Sample:
    """Carry out `act`, which returns its own wall-clock seconds and, where it knows them, its own CPU seconds."""
    cpu, busy, ours, began = account.cpu_s(), _machine_busy_s(), time.process_time(), time.monotonic()
    wall_s, parent_cpu_s = act()
    elapsed = time.monotonic() - began
    outside_s = _machine_busy_s() - busy - (account.cpu_s() - cpu) - (time.process_time() - ours)
    settle(account)
    return Sample(
        wall_s=wall_s,
        cpu_s=account.cpu_s() - cpu,
        outside=max(0.0, outside_s / elapsed / (os.cpu_count() or 1)),
        load=os.getloadavg()[0],
        parent_cpu_s=parent_cpu_s,
    )


def memory_mib(pids: list[int]) -> float:
    """The proportional set size of `pids` together: a page that n processes share counts a nth for each."""
    total = 0
    for pid in pids:
        # A helper that has ended meanwhile takes none.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _private_environ(name: str) -> dict[str, str]:
    """A contender's own folders: processes kept warm are found through them, and must serve nobody else's account."""
    folder = tempfile.mkdtemp(prefix="bench-")
    return {VARIABLE: name, "TMPDIR": folder, "XDG_RUNTIME_DIR": folder}


def settle(account: Account) -> None:
    """Wait until the contender rests: what it does after its answer is part of the price."""
    patience, before = time.monotonic() + SETTLE_S, account.cpu_s()
    while account.processes() and time.monotonic() < patience:
        time.sleep(PAUSE_S)
        now = account.cpu_s()
        if now - before < RESTING_SHARE * PAUSE_S:
            return
        before = now


def _own_cgroup() -> Path:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    mount = next(fields[1] for fields in mounts if fields[2] == "cgroup2")
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    return Path(mount) / next(line[3:] for line in groups if line.startswith("0::")).lstrip("/")


def _machine_busy_s() -> float:
    """CPU seconds that all cores together spent on anything but waiting; 0 where the system does not tell."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, first.split()[1:9])
    return (user + nice + system + interrupts + soft_interrupts + stolen) * TICK_S


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _used_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) * TICK_S


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
