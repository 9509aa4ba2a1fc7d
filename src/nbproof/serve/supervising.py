"""A service of some processes at one socket: started, watched, and exchanged without a lost request."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ..errors import ServiceFailed
from .options import Options
from .process import STOP_S
from .telling import tell

READY_S = 120.0
# A process that ends so soon again and again will not get better by itself.
SOON_S, TRIES = 10.0, 3
# What a process may take to let its connections end, and the requests in them.
LEAVE_S = 40.0
HANDLED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD}


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A process that answers, since when, and what it said of its model when it became ready (JSON)."""

    process: subprocess.Popen[bytes]
    began: float
    said: bytes


def supervise(options: Options, bound: socket.socket, *, processes: int, ready: Callable[[bytes], None]) -> int:
    """Serve at `bound` until SIGTERM or SIGINT; `ready` hears what the first process says of its model.

    SIGHUP loads what is there now, in every process. SIGUSR2 exchanges the processes one after the other: the next one
    is ready before the last one takes no further connection. The socket stays open all the while, so that whoever
    connects waits at worst. Returns the exit code: that of a process which may not serve, if it is the first.
    """
    with _heard() as heard, _lease() as lease:
        workers: list[Worker] = []
        try:
            for _ in range(processes):
                started = _start(options, bound, lease)
                if isinstance(started, int):
                    return started
                workers.append(started)
                if len(workers) == 1:
                    ready(started.said)
            return _until_told(options, bound, lease, workers, heard)
        finally:
            _end(workers)


def _until_told(
    options: Options, bound: socket.socket, lease: int, workers: list[Worker], heard: Callable[[float], int | None]
) -> int:
    early = 0
    while True:
        number = heard(1.0)
        if number in (signal.SIGTERM, signal.SIGINT):
            return 0
        if number == signal.SIGHUP:
            for worker in workers:
                worker.process.send_signal(signal.SIGHUP)
        elif number == signal.SIGUSR2:
            _roll(options, bound, lease, workers)
        for at, worker in enumerate(workers):
            if worker.process.poll() is None:
                continue
            tell("ended", f"process {worker.process.pid} ended with code {worker.process.returncode}")
            early = early + 1 if time.monotonic() - worker.began < SOON_S else 1
            if early > TRIES:
                raise ServiceFailed(f"it ended {early} times", f"code {worker.process.returncode}")
            started = _start(options, bound, lease)
            if isinstance(started, int):
                return started
            workers[at] = started


def _roll(options: Options, bound: socket.socket, lease: int, workers: list[Worker]) -> None:
    for at, worker in enumerate(workers):
        started = _start(options, bound, lease)
        if isinstance(started, int):
            # What cannot be served now takes nobody's place.
            tell("not restarted", f"the next process ended with code {started}; the one before goes on")
            return
        workers[at] = started
        worker.process.send_signal(signal.SIGUSR1)
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(LEAVE_S)
        _end([worker])
        tell("restarted", f"process {started.process.pid} has taken the place of {worker.process.pid}")


def _start(options: Options, bound: socket.socket, lease: int) -> Worker | int:
    """A process that is ready, or the exit code of one that never was."""
    reading, writing = os.pipe()
    # -P keeps the working directory off the import path: a stray numpy.py there must not be loaded.
    command = [sys.executable, "-P", "-m", f"{__package__}", options.model, "--options", options.written()]
    command += ["--socket-fd", str(bound.fileno()), "--lease-fd", str(lease), "--ready-fd", str(writing)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(bound.fileno(), lease, writing),
            start_new_session=True,
            # Small batches are slower on many OpenMP threads than on one.
            env={"OMP_NUM_THREADS": "1", **os.environ},
        )
    finally:
        os.close(writing)
    try:
        said = _line(reading, time.monotonic() + READY_S)
    finally:
        os.close(reading)
    worker = Worker(process, time.monotonic(), said)
    if said:
        return worker
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    _end([worker])
    return process.returncode or 1


def _line(reading: int, deadline: float) -> bytes:
    """What is written before the other end is closed; nothing when the time is over first."""
    found = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            break
        part = os.read(reading, 65536)
        if not part:
            return found
        found += part
        if found.endswith(b"\n"):
            return found
    return b""


def _end(workers: list[Worker]) -> None:
    """End processes, first kindly; whatever is left after that is killed."""
    for worker in workers:
        with suppress(ProcessLookupError):
            worker.process.terminate()
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()


@contextmanager
def _heard() -> Iterator[Callable[[float], int | None]]:
    """Signals wait until they are asked for, so that none comes between two steps; None: none came in so many seconds.

    They have a handler and are not blocked: a thread that a library has started before would not block them, and the
    one that comes while this thread is at work would end the process there.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in HANDLED}
    # More of them than a pipe holds are told once as well.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def heard(within_s: float) -> int | None:
        return os.read(reading, 1)[0] if select.select([reading], [], [], within_s)[0] else None

    try:
        yield heard
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


@contextmanager
def _lease() -> Iterator[int]:
    """The reading end of a pipe whose writing end lives here only: a process that holds it sees this one die."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)
