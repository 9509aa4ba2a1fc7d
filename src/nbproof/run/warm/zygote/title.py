"""What the operating system shows of a forked process: its command line and its environment, written in place.

A forked process shows those of the process that it was forked from. Both lie in memory that belongs to the process
(proc_pid_cmdline(5), proc_pid_environ(5)), so it may write them: into room that its zygote was started with.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping, Sequence

# The names of the environment variables that a zygote has room for, and how much.
ROOM = 400
_STAT_FIELDS_AFTER_NAME = {"arg_start": 45, "arg_end": 46, "env_start": 47, "env_end": 48}


def show_command(argv: Sequence[str]) -> None:
    """Let `ps` show `argv` instead of the command that started the zygote, as far as there is room."""
    area = _area("arg_start", "arg_end")
    if area is None:
        return
    start, size = area
    text = b"\0".join(part.encode("utf-8", "surrogateescape") for part in argv)[: size - 1]
    ctypes.memmove(start, text.ljust(size, b"\0"), size)


def show_variables(environ: Mapping[str, str], names: Sequence[str]) -> None:
    """Let `/proc/PID/environ` show the values of `names`; the zygote was started with `ROOM` bytes for each."""
    area = _area("env_start", "env_end")
    if area is None:
        return
    start, size = area
    content = ctypes.string_at(start, size)
    for name in names:
        marker = name.encode() + b"="
        at = 0 if content.startswith(marker) else content.find(b"\0" + marker) + 1
        if at == 0 and not content.startswith(marker):
            continue
        end = content.find(b"\0", at)
        room = (end if end >= 0 else size) - at
        shown = marker + environ.get(name, "").encode("utf-8", "surrogateescape")
        if len(shown) <= room:
            ctypes.memmove(start + at, shown.ljust(room, b"\0"), room)


def _area(first: str, last: str) -> tuple[int, int] | None:
    """Where in memory something lies, and how long it is; None where the system does not say."""
    if sys.platform != "linux":
        return None
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = (int(fields[_STAT_FIELDS_AFTER_NAME[name]]) for name in (first, last))
    return (start, end - start) if 0 < start < end else None


def room_for(names: Sequence[str]) -> dict[str, str]:
    """The variables to start a zygote with, so that those it forks can show their own values of `names`.

    They come last in its environment: whoever reads that of a forked process may stop at the first empty place.
    """
    return dict.fromkeys(names, " " * ROOM)
