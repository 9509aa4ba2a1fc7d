"""Why a kernel died: what its exit status, the counters of the operating system and its own last words say."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
# What Python's faulthandler writes of a crash begins so; it is no word of the notebook's.
_FAULT = "Fatal Python error"
# Nor is this, which ipykernel 7 says whenever it starts.
_SAID_AT_EACH_START = "[IPKernelApp] WARNING | Kernel is running over TCP without encryption."


@dataclass(frozen=True, slots=True)
class OomKills:
    """How many processes the system has killed for want of memory: here (in our control group), or anywhere on the
    machine when the group does not tell."""

    count: int
    is_ours: bool

    @classmethod
    def now(cls, root: Path = Path("/")) -> OomKills | None:
        """Read the counter; None where there is none."""
        file, is_ours = _counter(root)
        count = _read(file)
        return None if count is None else cls(count, is_ours)


@dataclass(frozen=True, slots=True)
class Death:
    """How a kernel ended while it ran `cell`.

    `status` is negative for a signal, as `subprocess` has it, and None when nobody knows. `peak_mb` is the most memory
    that it was seen to use. `said` is the end of what it wrote past Jupyter.
    """

    cell: int
    status: int | None
    before: OomKills | None = None
    after: OomKills | None = None
    peak_mb: int | None = None
    said: str = ""

    @property
    def is_for_want_of_memory(self) -> bool:
        if self.status != -signal.SIGKILL or self.before is None or self.after is None:
            return False
        return self.before.is_ours == self.after.is_ours and self.after.count > self.before.count

    def __str__(self) -> str:
        return f"its kernel {self._how()}{self._last_word()}"

    def _how(self) -> str:
        if self.is_for_want_of_memory:
            assert self.after is not None
            system = "was ended by the system" if self.after.is_ours else "was ended, most likely by the system,"
            return f"{system} for want of memory in cell {self.cell}{self._peak()}"
        if self.status is None or self.status == 0:
            return f"ended in cell {self.cell}"
        if self.status > 0:
            return f"ended in cell {self.cell} with status {self.status}"
        if self.status == -signal.SIGKILL:
            return f"was killed (signal 9) in cell {self.cell}{self._peak()}"
        name = (signal.strsignal(-self.status) or "unknown").lower()
        return f"crashed: {name} (signal {-self.status}) in cell {self.cell}"

    def _peak(self) -> str:
        return f" (peak {self.peak_mb} MB)" if self.peak_mb else ""

    def _last_word(self) -> str:
        lines = [line.strip() for line in self.said.partition(_FAULT)[0].splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else ""


def own_words(said: str) -> str:
    """What a kernel wrote past Jupyter, without what each kernel writes there when it starts."""
    return "\n".join(line for line in said.splitlines() if not line.startswith(_SAID_AT_EACH_START))


def peak_mb(pid: int | None) -> int | None:
    """The most memory that a living process has used so far, in MB; None when it cannot be told."""
    if pid is None:
        return None
    with contextlib.suppress(OSError):
        if found := _PEAK.search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")):
            return round(int(found[1]) * 1024 / 1e6)
    return None


def peak_of_children_mb() -> int:
    """The most memory that any child which has ended used, in MB."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(used * (1024 if os.uname().sysname == "Linux" else 1) / 1e6)


@cache
def _counter(root: Path) -> tuple[Path, bool]:
    """The file to read, and whether it counts for our control group; found once, for it is asked for with each cell."""
    ours = next((file for file in _counters(root) if _read(file) is not None), None)
    return (root / "proc/vmstat", False) if ours is None else (ours, True)


def _counters(root: Path) -> Iterable[Path]:
    """The files of our control group that count such kills: version 2 first, then version 1.

    In a container the path that a process sees of its group may not exist; the group's files lie at the root then.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounted = root / "sys/fs/cgroup"
    for line in groups:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for place in (path.strip("/"), ""):
            if number == "0" and not controllers:
                yield mounted / place / "memory.events"
                # Hybrid hierarchies mount version 2 beside version 1.
                yield mounted / "unified" / place / "memory.events"
            elif "memory" in controllers.split(","):
                yield mounted / "memory" / place / "memory.oom_control"


def _read(file: Path) -> int | None:
    try:
        found = _COUNT.search(file.read_text(encoding="utf-8"))
    except OSError:
        return None
    return int(found[1]) if found else None
