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
from .worker import Order

READ_BYTES = 1 << 16


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
        self._reader, writer = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nbproof.run.worker", str(writer)],
                cwd=folder,
                env={**environ, LEASE_VARIABLE: self.lease, "JUPYTER_RUNTIME_DIR": str(runtime)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        # A worker that died at once breaks this pipe; its end is seen at the reader.
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(order.to_json().encode() + b"\n")
            self._process.stdin.flush()

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
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        end_lease(self.lease)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        os.close(self._reader)
        return self._process.wait()
