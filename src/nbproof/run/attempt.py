"""One attempt at a task, seen from the runner: a worker process on a lease, its messages and its deadline."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..records import Task
from .processes import LEASE_VARIABLE, end_lease
from .warm import pool
from .warm.pool import Forked, NotWarm, Wanted
from .worker import Order

READ_BYTES = 1 << 16
COMMAND = ("-m", "nbproof.run.worker")
# A worker is forked from a process that has imported what every worker needs.
WARM_WORKER = Wanted("worker", sys.executable, imports=("nbproof.run.worker:load",))


class Attempt:
    """A running worker. `fileno()` makes it something a selector can wait for."""

    def __init__(self, task: Task, number: int, reason: str) -> None:
        self.task, self.number, self.reason = task, number, reason
        self.began = time.monotonic()
        self.deadline = None if task.limits.timeout_s is None else self.began + task.limits.timeout_s
        self.is_over = False
        self.status = 0
        self.heard: dict[str, Mapping[str, Any]] = {}
        self._unread = b""

    def start(self, order: Order, *, folder: Path, scope: str, runtime: Path, environ: Mapping[str, str]) -> None:
        """Start the worker in `folder`; every process it leads to carries the lease `<scope>/<token>`."""
        self.lease = f"{scope}/{uuid.uuid4().hex}"
        runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
        environ = {**environ, LEASE_VARIABLE: self.lease, "JUPYTER_RUNTIME_DIR": str(runtime)}
        with contextlib.ExitStack() as theirs:
            self._reader, events = _pipe(theirs, theirs_is_writer=True)
            self._writer, orders = _pipe(theirs, theirs_is_writer=False)
            self._process = _start(order, folder=folder, environ=environ, files=(orders, events))
        # A worker that died at once breaks this pipe; its end is seen at the reader.
        with contextlib.suppress(BrokenPipeError), os.fdopen(os.dup(self._writer), "wb") as file:
            file.write(order.to_json().encode() + b"\n")

    def fileno(self) -> int:
        return self._reader

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    def messages(self) -> Iterator[dict[str, Any]]:
        """The messages that have come; after the last one `is_over` is true."""
        received = os.read(self._reader, READ_BYTES)
        if not received:
            self.is_over = True
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def end(self) -> int:
        """End the worker and everything it started; return the worker's exit status."""
        if self.is_over:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        os.close(self._writer)
        end_lease(self.lease)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        os.close(self._reader)
        status = self._process.wait()
        if isinstance(self._process, Forked):
            self._process.close()
        return status


def _pipe(theirs: contextlib.ExitStack, *, theirs_is_writer: bool) -> tuple[int, int]:
    """Our end of a pipe and the worker's, which is closed here once the worker has it."""
    reading, writing = os.pipe()
    ours, other = (reading, writing) if theirs_is_writer else (writing, reading)
    theirs.callback(os.close, other)
    return ours, other


def _start(
    order: Order, *, folder: Path, environ: Mapping[str, str], files: tuple[int, int]
) -> subprocess.Popen[bytes] | Forked:
    """Start a worker that reads its order from the first of `files` and tells its events to the second."""
    if order.is_warm:
        request = {
            "argv": ["nbproof.run.worker"],
            "title": COMMAND,
            "call": "nbproof.run.worker:main",
            "tidies_up": True,
        }
        with contextlib.suppress(NotWarm):
            return pool.fork(WARM_WORKER, request, environ, folder, files)
    return subprocess.Popen(
        [sys.executable, *COMMAND],
        cwd=folder,
        env=environ,
        stdin=files[0],
        stdout=files[1],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
