"""One element of a job, where it runs: the package is verified again, the command runs, results appear whole or not."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ..errors import NbproofError, Refused
from ..files import sync_folder
from .job import Job
from .place import Place, Started
from .watching import Interruption

REFUSED = Refused.exit_code
CHECKPOINT_VARIABLE = "NBPROOF_CHECKPOINT"
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_ENDING = (signal.SIGTERM, signal.SIGINT)


def carry_out(
    place: Place,
    index: int,
    verify: Callable[[], None],
    interruption: Interruption | None = None,
    *,
    is_once: bool = False,
) -> int:
    """Run the element until it ends well or has been tried often enough; its exit code comes back.

    An engine may run it again, after a node was lost: what has ended well is not done twice, and what has not begins
    with an empty folder, beside the checkpoint that the last attempt has written. With `is_once` the engine is who
    tries again.
    """
    job = place.job()
    interruption = interruption or Interruption()
    if (place.results / str(index)).exists():
        _say(f"element {index} has ended well before; nothing is done again")
        return 0
    before = place.started(index)
    attempt = before.attempt if before is not None else 0
    # What the engine has interrupted is none of the tries that the job was given.
    for left in reversed(range(1 if is_once else job.retries + 1)):
        attempt += 1
        running = Started("running", attempt, socket.gethostname(), time.time())
        place.tell(index, running)
        code, told = _attempt(place, job, index, attempt, verify, interruption)
        if code == 0:
            place.tell(index, replace(running, state="done", ended=time.time()))
            return 0
        _say(f"attempt {attempt} failed: {told}")
        is_last = not left or code == REFUSED or bool(interruption.reason)
        # The engine that tries again is who knows whether it will.
        if is_last and not (is_once and attempt <= job.retries and code != REFUSED):
            place.tell(index, replace(running, state="failed", ended=time.time(), told=told))
        if is_last:
            break
    return code


def _attempt(
    place: Place, job: Job, index: int, attempt: int, verify: Callable[[], None], interruption: Interruption
) -> tuple[int, str]:
    """The exit code of one try, and why it failed."""
    work = place.work(index, attempt)
    try:
        work.mkdir(parents=True)
        place.checkpoint(index).mkdir(parents=True, exist_ok=True)
        verify()
        code = _run(job, index, work, place.checkpoint(index), interruption)
        told = f"it ended with {_ending(code)}" if code else _missing(job, work)
        if told:
            return abs(code) or 1, interruption.reason or told
        _keep(work, place.results / str(index))
    except (NbproofError, OSError) as error:
        return getattr(error, "exit_code", 1), str(error)
    for left in (*place.works(index), place.checkpoint(index)):
        shutil.rmtree(left, ignore_errors=True)
    return 0, ""


def _run(job: Job, index: int, work: Path, checkpoint: Path, interruption: Interruption) -> int:
    """Run the command; signals that the engine sends reach it, and it outlives none of them unnoticed."""
    environment = {**os.environ, **job.environment, CHECKPOINT_VARIABLE: str(checkpoint)}
    process = subprocess.Popen(
        job.command_of(index, str(work)), cwd=job.folder, env=environment, stdin=subprocess.DEVNULL
    )

    def forward(number: int, _frame: FrameType | None) -> None:
        if number in _ENDING:
            interruption.reason = interruption.reason or f"it ended with signal {signal.Signals(number).name}"
        if process.poll() is None:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(words: str) -> None:
    """Into the element's log, in the order of what the command says."""
    sys.stdout.write(f"nbproof: {words}\n")
    sys.stdout.flush()


def _ending(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _missing(job: Job, work: Path) -> str:
    gone = [name for name in job.outputs if not (work / name).exists()]
    return f"it left no {', '.join(gone)}" if gone else ""


def _keep(work: Path, results: Path) -> None:
    """Make the folder that was worked in the results, in one step."""
    for path in work.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    try:
        work.rename(results)
    except OSError:
        # A node that was taken for lost has lived, and was faster: there is one set of results, and it is whole.
        if not results.exists():
            raise
    sync_folder(results.parent)
