"""One build of a pipeline at a time: the second waits or is refused."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import Busy
from ..files import write_atomically


@contextlib.contextmanager
def build_lock(state: Path, pipeline: str, *, wait: bool) -> Iterator[None]:
    """Hold the lock of `pipeline` in the state folder `state`; the system frees it when this process dies.

    Raises `Busy`, naming the holder, when another process has it and `wait` is false.
    """
    path = state / "locks" / f"{pipeline}.lock"
    holder = path.with_suffix(".holder.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise Busy(pipeline, _describe(holder)) from None
    try:
        write_atomically(holder, json.dumps({"pid": os.getpid(), "since": time.time()}).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        found = json.loads(holder.read_bytes())
        return f"process {found['pid']} since {time.strftime('%H:%M:%S', time.localtime(found['since']))}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
