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
from dataclasses import dataclass, replace
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
    if is_once and before is not None and before.state == "failed":
        _say(f"element {index} has failed for good: {before.told}")
        return REFUSED
    attempt, failures = (before.attempt, before.failures) if before is not None else (0, 0)
    if is_once:
        return _try(place, job, index, Tries(attempt + 1, failures, is_once), verify, interruption)
    # What the engine has interrupted is none of the tries that the job was given.
    for failed in range(job.retries + 1):
        attempt += 1
        code = _try(place, job, index, Tries(attempt, failed, is_once), verify, interruption)
        if code in (0, REFUSED) or interruption.reason:
            break
    return code


@dataclass(frozen=True, slots=True)
class Tries:
    """Which attempt it is, how many have failed before, and whether an engine is who tries again."""

    attempt: int
    failures: int
    is_once: bool


def _try(
    place: Place, job: Job, index: int, tries: Tries, verify: Callable[[], None], interruption: Interruption
) -> int:
    """One attempt, and what is told of it."""
    running = Started("running", tries.attempt, socket.gethostname(), time.time(), failures=tries.failures)
    place.tell(index, running)
    code, told = _attempt(place, job, index, tries.attempt, verify, interruption)
    if code == 0:
        place.tell(index, replace(running, state="done", ended=time.time()))
        return 0
    _say(f"attempt {tries.attempt} failed: {told}")
    if tries.is_once and interruption.is_by_engine:
        return code
    failed = replace(running, failures=tries.failures + 1, told=told)
    is_last = tries.failures >= job.retries or code == REFUSED or bool(interruption.reason)
    place.tell(index, replace(failed, state="failed", ended=time.time()) if is_last else failed)
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
            interruption.is_by_engine = not interruption.reason
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
