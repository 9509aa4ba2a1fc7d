"""One build of a pipeline at a time: the second waits or is refused."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import Busy
from ..files import write_atomically
from ..records import ContentHash


@contextlib.contextmanager
def task_lock(state: Path, pipeline: str, task: str, *, wait: bool) -> Iterator[None]:
    """Hold the lock of one task, beside others who hold those of other tasks; no build of the whole runs meanwhile.

    Raises `Busy` when a build, or another run of the task, is going on and `wait` is false.
    """
    path = state / "locks" / f"{pipeline}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = _locked(path, wait=wait, is_shared=True)
    if shared is None:
        raise Busy(pipeline, _describe(path.with_suffix(".holder.json")))
    try:
        # The name of a task may be longer than that of a file.
        with build_lock(state, f"{pipeline}+{ContentHash.of(task.encode()).short}", wait=wait):
            yield
    finally:
        os.close(shared)


@contextlib.contextmanager
def build_lock(state: Path, pipeline: str, *, wait: bool) -> Iterator[None]:
    """Hold the lock of `pipeline` in the state folder `state`; the system frees it when this process dies.

    Raises `Busy`, naming the holder, when another process has it and `wait` is false.
    """
    path = state / "locks" / f"{pipeline}.lock"
    holder = path.with_suffix(".holder.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(path, wait=wait, is_shared=False)
    if descriptor is None:
        raise Busy(pipeline, _describe(holder))
    try:
        write_atomically(holder, json.dumps({"pid": os.getpid(), "since": time.time()}).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, *, wait: bool, is_shared: bool) -> int | None:
    """The file at `path`, open and locked, by this process alone unless it `is_shared`; None when it is not free."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | (0 if wait else fcntl.LOCK_NB))
            # A lock on a file that was removed meanwhile keeps nobody out.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _describe(holder: Path) -> str:
    try:
        found = json.loads(holder.read_bytes())
        return f"process {found['pid']} since {time.strftime('%H:%M:%S', time.localtime(found['since']))}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
