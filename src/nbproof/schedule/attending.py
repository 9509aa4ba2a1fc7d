"""The daemon's look: which ticks are due, what becomes of them, which of them starts, and which were lost."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import NbproofError
from . import arrival
from .definition import Schedule, following, tick_name
from .holding import held, is_held
from .ledger import Book, Entry, Ledger, Scheduled
from .policy import OPEN, OVERTAKEN, Decision, Due, Standing, after_failure, decide, to_start

LOOK_S, TROUBLE_S = 0.5, 2.0
# So many ticks are decided in one look, so that a clock that jumps by years does not keep others from the ledger.
AT_ONCE = 500
# A process that never begins, however often it is started, is lost like one that was killed.
FALSE_STARTS = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A tick that is ours: whoever holds the lock `descriptor` runs it, or tells of its end where it has ended."""

    ledger: Ledger
    entry: Entry
    descriptor: int


Start = Callable[[Claim], None]


def look(
    ledger: Ledger, now: float, start: Start, stillness: arrival.Stillness, *, names: Sequence[str] | None = None
) -> None:
    """Look once at each schedule: decide what is due, and start what may start."""
    with ledger.reading() as book:
        found = [each for each in book.schedules() if names is None or each.schedule.name in names]
        asks = [each for each in found if _asks(ledger, book, each, now, stillness)]
    for scheduled in asks:
        with _claimed(ledger) as (token, descriptor):
            with ledger.writing() as book:
                entry = _attend(ledger, book, scheduled.schedule.name, now, stillness, token)
            if entry is not None:
                start(Claim(ledger, entry, descriptor))


def next_due(ledger: Ledger, now: float) -> float | None:
    """When a clock starts the next tick of any schedule."""
    with ledger.reading() as book:
        moments = [following(each.schedule.trigger, now) for each in book.schedules()]
    return min((each for each in moments if each is not None), default=None)


@contextlib.contextmanager
def _claimed(ledger: Ledger) -> Iterator[tuple[str, int]]:
    """A token whose lock is held before anybody reads of it: nobody takes what we claim for lost."""
    token = secrets.token_hex(8)
    path = ledger.lock(token)
    with held(path) as descriptor:
        yield token, descriptor
    # A process that was started holds it on, and removes the file when it ends.
    if not is_held(path):
        path.unlink(missing_ok=True)


def _asks(ledger: Ledger, book: Book, scheduled: Scheduled, now: float, stillness: arrival.Stillness) -> bool:
    """Whether anything is to be done for a schedule; it is only read, so that idle daemons disturb nobody."""
    due = following(scheduled.schedule.trigger, scheduled.handled_to)
    if now < scheduled.handled_to or (due is not None and due <= now):
        return True
    if stillness.changed(ledger.project, scheduled) is not None:
        return True
    unfinished = book.unfinished(scheduled.schedule.name)
    if any(_is_left(ledger, entry) for entry in unfinished):
        return True
    return to_start(scheduled.schedule.policy, _standing(unfinished), now) is not None


def _standing(entries: Sequence[Entry]) -> list[Standing]:
    return [entry.standing() for entry in entries if entry.state in OPEN]


def _is_left(ledger: Ledger, entry: Entry) -> bool:
    """Whether a tick runs that nobody runs, or has ended and nobody tells of it."""
    if entry.state == "running" or (entry.state not in OPEN and entry.told is None):
        return entry.token is None or not is_held(ledger.lock(entry.token))
    return False


def _attend(
    ledger: Ledger, book: Book, name: str, now: float, stillness: arrival.Stillness, token: str
) -> Entry | None:
    """Bring the ticks of a schedule up to now; the one that is to be started, or told of, is claimed."""
    known = {each.schedule.name: each for each in book.schedules()}
    if name not in known:
        return None
    scheduled = known[name]
    for entry in book.unfinished(name):
        if _is_left(ledger, entry) and entry.state == "running":
            _lose(book, scheduled.schedule, entry, now)
    _decide(ledger, book, scheduled, now, stillness)
    return _claim(ledger, book, scheduled.schedule, now, token)


def _lose(book: Book, schedule: Schedule, entry: Entry, now: float) -> None:
    """Note that whoever ran a tick is gone, and whether it is tried again."""
    if entry.began_at is None and entry.wants_end is None and entry.starts - entry.attempt < FALSE_STARTS:
        # Nothing of it has run: the daemon ended between claiming it and starting a process.
        book.change(entry, state="waiting", token=None)
        return
    why = "the process that ran it was killed, or the machine ended"
    end(book, schedule, entry, "lost", why, entry.run, now)


def end(book: Book, schedule: Schedule, entry: Entry, state: str, reason: str, run: str | None, now: float) -> str:
    """Write down how an attempt at a tick ended; the state that the tick has by it comes back."""
    again = after_failure(schedule.policy, max(entry.attempt, 1), now) if state in ("failed", "lost") else None
    if entry.wants_end is not None and state != "done":
        state, reason, again = "cancelled", entry.wants_end, None
    if again is not None:
        book.change(entry, state="retrying", reason=f"{state}: {reason}", token=None, next_try_at=again, run=run)
        return "retrying"
    told = None if hooks_for(schedule, state) else ""
    book.change(entry, state=state, reason=reason, ended_at=now, run=run, told=told)
    return state


def hooks_for(schedule: Schedule, state: str) -> tuple[str, ...]:
    """Who is told that a tick has ended so."""
    of = "success" if state == "done" else "failure" if state in ("failed", "refused", "lost") else None
    return tuple(hook.to for hook in schedule.hooks if hook.of == of)


def _decide(ledger: Ledger, book: Book, scheduled: Scheduled, now: float, stillness: arrival.Stillness) -> None:
    schedule = scheduled.schedule
    if now < scheduled.handled_to:
        # What has run in a future that was none does not run again; what was only missed comes again.
        book.forget_missed_after(schedule.name, now)
        scheduled = replace(scheduled, handled_to=now)
        book.handled(schedule.name, now, scheduled.seen)
    due, has_more, handled_to = _due(book, scheduled, now)
    changed = stillness.changed(ledger.project, scheduled)
    if changed is not None and changed.is_there:
        due.append(Due(f"change-{changed.signature[:16]}", now))
    if not due and changed is None:
        return
    decided = decide(schedule.policy, due, now, _standing(book.unfinished(schedule.name)), has_more=has_more)
    cause = "" if changed is None else f"{schedule.trigger.path} changed"
    _write(book, schedule.name, decided.decisions, decided.ended, now, cause)
    book.handled(schedule.name, handled_to, scheduled.seen if changed is None else changed.signature)


def _due(book: Book, scheduled: Scheduled, now: float) -> tuple[list[Due], bool, float]:
    """The ticks of a clock that are due and that the ledger does not have, whether there are more, and up to where."""
    due: list[Due] = []
    handled_to = scheduled.handled_to
    at = following(scheduled.schedule.trigger, handled_to)
    while at is not None and at <= now and len(due) < AT_ONCE:
        if not book.has(scheduled.schedule.name, tick_name(at)):
            due.append(Due(tick_name(at), at))
        handled_to = at
        at = following(scheduled.schedule.trigger, at)
    return due, at is not None and at <= now, handled_to


def ask(book: Book, name: str, tick: str, now: float, cause: str) -> bool:
    """Put a tick in line that somebody asks for; False where one of that name was asked for before."""
    scheduled = book.find(name)
    if book.has(name, tick):
        return False
    decided = decide(scheduled.schedule.policy, [Due(tick, now)], now, _standing(book.unfinished(name)))
    _write(book, name, decided.decisions, decided.ended, now, cause)
    return True


def _write(book: Book, name: str, decisions: Sequence[Decision], ended: Sequence[str], now: float, cause: str) -> None:
    for decision in decisions:
        # Of what never starts nobody is told: it is shown.
        book.note(name, decision, now, cause, is_told=decision.state not in OPEN)
    for tick in ended:
        entry = book.entry(name, tick)
        if entry is None:
            continue
        if entry.state == "running":
            book.change(entry, wants_end=OVERTAKEN)
        else:
            book.change(entry, state="cancelled", reason=OVERTAKEN, ended_at=now, told="")


def _claim(ledger: Ledger, book: Book, schedule: Schedule, now: float, token: str) -> Entry | None:
    unfinished = book.unfinished(schedule.name)
    untold = [entry for entry in unfinished if _is_left(ledger, entry) and entry.state not in OPEN]
    if untold:
        first = untold[0]
        if first.starts - first.attempt >= 2 * FALSE_STARTS:
            book.change(first, told="nobody could be told: the process that tells ended before it had")
            return None
        book.change(first, token=token, starts=first.starts + 1)
        return book.entry(schedule.name, first.tick)
    tick = to_start(schedule.policy, _standing(unfinished), now)
    if tick is None:
        return None
    entry = next(each for each in unfinished if each.tick == tick)
    book.change(entry, state="running", token=token, starts=entry.starts + 1, began_at=None, next_try_at=None)
    return book.entry(schedule.name, tick)


def attend(
    ledger: Ledger,
    start: Start,
    *,
    names: Sequence[str] | None = None,
    is_over: Callable[[], bool] = lambda: False,
    trouble: Callable[[Exception], None],
) -> None:
    """Look again and again until it is over, at the moment of each tick and at least twice a second.

    A disk that is full, or a machine that starts no further process, is told to `trouble` and waited for.
    """
    stillness = arrival.Stillness()
    while not is_over():
        now = time.time()
        try:
            look(ledger, now, start, stillness, names=names)
            due = next_due(ledger, now)
        except (NbproofError, OSError) as error:
            trouble(error)
            time.sleep(TROUBLE_S)
            continue
        time.sleep(LOOK_S if due is None else min(LOOK_S, max(0.01, due - time.time())))


@contextlib.contextmanager
def registered(ledger: Ledger) -> Iterator[None]:
    """Be known as a daemon while the block lasts."""
    path = ledger.lock(f"daemon-{secrets.token_hex(8)}")
    with held(path):
        path.write_text(str(os.getpid()))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def daemons(ledger: Ledger) -> tuple[int, ...]:
    """The processes that attend to the schedules of a project now."""
    found = []
    for path in sorted(Path(ledger.lock("")).glob("daemon-*")):
        if is_held(path):
            text = path.read_text().strip()
            found.append(int(text) if text.isdigit() else 0)
        else:
            path.unlink(missing_ok=True)
    return tuple(found)
