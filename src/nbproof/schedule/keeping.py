"""One tick, in a process of its own that outlives the daemon: carried out, written down, and told of."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import LedgerUnusable, NbproofError, UnknownName
from . import telling, working
from .attending import Claim, end, hooks_for
from .definition import Schedule, Tick, values
from .ledger import Entry, Ledger
from .policy import OPEN

T = TypeVar("T")
POLL_S = 0.5
# So long a disk that is full, or a ledger that is busy, may keep a result from being written down.
STUBBORN_S = 120.0


class Keepers:
    """Starts a process for each claim, and buries those that have ended."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, claim: Claim) -> None:
        self._started = [process for process in self._started if process.poll() is None]
        log = claim.ledger.log(claim.entry)
        log.parent.mkdir(parents=True, exist_ok=True)
        entry = claim.entry
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "nbproof.schedule", str(claim.ledger.project), entry.schedule, entry.tick,
                 entry.token or ""],
                cwd=claim.ledger.project,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # It is no part of the daemon's terminal, and holds the lock on when the daemon has ended.
                start_new_session=True,
                pass_fds=(claim.descriptor,),
            )  # fmt: skip
        self._started.append(process)

    def close(self) -> None:
        """Leave those that run to themselves; they need nobody."""
        for process in self._started:
            if process.poll() is None:
                process.returncode = 0


def keep(ledger: Ledger, name: str, tick: str, token: str) -> None:
    """Carry out one tick that was claimed, or tell of its end."""
    try:
        begun = _begin(ledger, name, tick, token)
        if begun is not None:
            schedule, entry, at = begun
            if entry.state == "running":
                entry = _carry_out(ledger, schedule, entry, at)
            if entry.state not in OPEN and entry.told is None:
                _tell(ledger, schedule, entry)
    finally:
        ledger.lock(token).unlink(missing_ok=True)


def _begin(ledger: Ledger, name: str, tick: str, token: str) -> tuple[Schedule, Entry, Tick] | None:
    """The schedule, the tick as it is written down by now, and what it stands for; None where it is not ours."""
    with ledger.writing() as book:
        entry = book.entry(name, tick)
        if entry is None or entry.token != token:
            return None
        now = time.time()
        try:
            schedule = book.find(name).schedule
        except UnknownName:
            book.change(entry, state="cancelled", reason="the schedule was removed", ended_at=now, told="")
            return None
        if entry.state == "running":
            book.change(entry, began_at=now, attempt=entry.attempt + 1)
        begun = book.entry(name, tick)
        assert begun is not None
        return schedule, begun, Tick(tick, entry.at, entry.cause)


def _carry_out(ledger: Ledger, schedule: Schedule, entry: Entry, tick: Tick) -> Entry:
    with ledger.reading() as book:
        held = values(schedule, tick, book.before(entry))
    _say(f"{schedule.name} at {entry.tick}, attempt {entry.attempt}")
    limit_s = schedule.policy.timeout_s
    began = time.monotonic()

    def note(run: str) -> None:
        with ledger.writing() as book:
            book.change(entry, run=run)

    def why_end() -> str | None:
        if limit_s is not None and time.monotonic() - began >= limit_s:
            return f"its time of {limit_s:g} s was over"
        with contextlib.suppress(LedgerUnusable), ledger.reading() as book:
            now = book.entry(entry.schedule, entry.tick)
            return now.wants_end if now is not None else None
        return None

    try:
        ended = working.carry_out(ledger.project, schedule, entry, held, note=note, why_end=why_end)
    except NbproofError as error:
        state = "refused" if error.exit_code == 3 else "failed"
        ended = working.Ended(state, str(error), entry.run, is_final=error.exit_code in (2, 3))
    except Exception as error:
        # Whatever it was, the ledger must not go on saying that it runs.
        ended = working.Ended("failed", f"{type(error).__name__}: {error}", entry.run)
    _say(f"{ended.state} {ended.reason}".strip())
    return _insist(lambda: _write(ledger, schedule, entry, ended))


def _write(ledger: Ledger, schedule: Schedule, entry: Entry, ended: working.Ended) -> Entry:
    with ledger.writing() as book:
        now = book.entry(entry.schedule, entry.tick)
        if now is None or now.token != entry.token:
            return entry
        if ended.is_final and now.wants_end is None:
            told = None if hooks_for(schedule, ended.state) else ""
            book.change(now, state=ended.state, reason=ended.reason, ended_at=time.time(), run=ended.run, told=told)
        else:
            end(book, schedule, now, ended.state, ended.reason, ended.run or now.run, time.time())
        return book.entry(entry.schedule, entry.tick) or entry


def _tell(ledger: Ledger, schedule: Schedule, entry: Entry) -> None:
    told = telling.tell(ledger, schedule, entry, hooks_for(schedule, entry.state))
    _say(f"told: {told}")

    def write() -> None:
        with ledger.writing() as book:
            book.change(entry, told=told)

    _insist(write)


def _insist(write: Callable[[], T]) -> T:
    """Write, and try again for a while where the ledger does not take it."""
    give_up = time.monotonic() + STUBBORN_S
    while True:
        try:
            return write()
        except LedgerUnusable as error:
            if time.monotonic() >= give_up:
                raise
            _say(str(error))
            time.sleep(POLL_S)


def _say(words: str) -> None:
    sys.stdout.write(f"nbproof: {time.strftime('%Y-%m-%d %H:%M:%S')} {words}\n")
    sys.stdout.flush()
