"""Daemons in processes of their own, whose ticks take no time: each writes one line."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nbproof.schedule.definition import Schedule, Trigger, Work
from nbproof.schedule.ledger import Entry, Ledger
from nbproof.schedule.policy import Policy

# The loop, the claims and the ledger are the daemon's own; only what a tick runs is done at once.
DAEMON = """
import os, sys, time
from pathlib import Path
from nbproof.schedule.attending import attend, end, registered
from nbproof.schedule.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
lines = os.open(ledger.project / "lines", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def start(claim):
    entry = claim.entry
    with ledger.writing() as book:
        schedule = book.find(entry.schedule).schedule
        if not book.change(entry, began_at=time.time(), attempt=entry.attempt + 1):
            return
    os.write(lines, f"{entry.tick} {os.getpid()}\\n".encode())
    with ledger.writing() as book:
        end(book, schedule, book.entry(entry.schedule, entry.tick), "done", "", None, time.time())

with registered(ledger):
    attend(ledger, start, trouble=lambda error: print(error, file=sys.stderr))
"""
NAME = "seconds"


def every_second(project: Path) -> Ledger:
    """A ledger with one schedule that ticks every second, made good whatever happens, lost ones tried again."""
    ledger = Ledger(project)
    policy = Policy(catch_up="all", overlap="wait", retries=5, retry_wait_s=0.1)
    schedule = Schedule(name=NAME, work=Work(kind="pipeline", path="p"), trigger=Trigger(every_s=1), policy=policy)
    with ledger.writing() as book:
        book.add(schedule, time.time(), None)
    return ledger


@contextlib.contextmanager
def daemon(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is ended with the block, if it has not ended before."""
    process = subprocess.Popen([sys.executable, "-c", DAEMON, str(project)])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not so: {what}"
        time.sleep(0.05)


def lines(project: Path) -> list[tuple[str, int]]:
    """Which tick ran in which process, in that order."""
    file = project / "lines"
    words = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return [(tick, int(pid)) for tick, pid in words]


def ran(project: Path) -> int:
    """How many ticks have run."""
    return len({tick for tick, _ in lines(project)})


def entries(ledger: Ledger) -> list[Entry]:
    """The ticks of the ledger, the oldest first."""
    with ledger.reading() as book:
        return sorted(book.entries(NAME, 100_000), key=lambda entry: entry.at)


def two_with_one_killed(project: Path, ticks: int) -> tuple[list[Entry], list[tuple[str, int]], int]:
    """Two daemons at work for so many ticks; after a third of them one is killed, and one comes in its place later.

    The ticks as the ledger has them, what ran, and the number of the process that was killed.
    """
    ledger = every_second(project)
    with daemon(project) as first, daemon(project):
        wait_until(lambda: ran(project) >= ticks // 3, "a third has run", 30 + 2 * ticks)
        first.kill()
        first.wait()
        wait_until(lambda: ran(project) >= 2 * ticks // 3, "two thirds have run", 30 + 2 * ticks)
        with daemon(project):
            wait_until(lambda: ran(project) >= ticks, "all have run", 30 + 2 * ticks)
            wait_until(lambda: all(each.state == "done" for each in entries(ledger)), "all are done")
            return entries(ledger), lines(project), first.pid
