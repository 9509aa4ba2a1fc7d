"""One retraining, in a process of its own: it runs the pipeline to its end, which is a candidate and never a champion.

It holds a lock, and so does the run that it starts, so that no second one begins while anything of the first lives. A
retraining that was killed goes on when the watcher looks again: what the pipeline had finished is fresh.

    python -m nbproof.monitor.retraining STATE NUMBER
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from .deciding import ended, retrainings
from .events import FILE, Event, Events

LOCK = "retraining.lock"
SAID_LINES = 3


def main(state: Path, number: int) -> int:
    """Carry out the retraining, unless it is under way or over; return the exit code."""
    lock = _taken(state)
    if lock is None:
        return 0
    try:
        return _carried_out(state, number, lock)
    finally:
        os.close(lock)


def is_running(state: Path) -> bool:
    """Whether a retraining, or a run that it left behind, holds the lock."""
    lock = _taken(state)
    if lock is None:
        return True
    os.close(lock)
    return False


def _carried_out(state: Path, number: int, lock: int) -> int:
    events = Events(state / FILE)
    found = next((each for each in retrainings(events.read()) if each.number == number), None)
    if found is None or found.outcome:
        return 0
    attempt = found.attempts + 1
    _add(events, Event(f"retraining-started:{number}:{attempt}", "retraining-started", "", "", f"attempt {attempt}",
                       {"number": number, "attempt": attempt, "pid": os.getpid()}))  # fmt: skip
    order = json.loads((state / f"retraining-{number}.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "nbproof", "run", order["pipeline"], "--wait", "--json"]
    for parameter in order["parameters"]:
        command += ["-p", parameter]
    # The run inherits the lock: were this process killed, the run would still keep a second one out.
    ran = subprocess.run(
        command, cwd=Path(order["pipeline"]).parent, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, pass_fds=(lock,),
    )  # fmt: skip
    print(ran.stdout, ran.stderr, sep="\n", flush=True)  # noqa: T201  # the log of the retraining
    outcome = "done" if ran.returncode == 0 else "failed"
    last = [line for line in ran.stderr.splitlines() if line.strip()][-SAID_LINES:]
    reason = "a candidate is there for review" if outcome == "done" else " / ".join(last) or "it said nothing"
    _add(events, ended(number, outcome, reason, run_id=_run_id(ran.stdout), code=ran.returncode))
    return 0 if outcome == "done" else 1


def _add(events: Events, event: Event) -> None:
    with events.held() as held:
        held.add([event])


def _run_id(said: str) -> str:
    try:
        return str(json.loads(said)["run_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _taken(state: Path) -> int | None:
    """A descriptor that holds the lock; None when somebody else does."""
    descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
