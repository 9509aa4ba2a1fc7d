"""A year of a schedule in a few seconds: its clock, its daemons and its runs are simulated, its ledger is not."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nbproof.schedule.arrival import Stillness
from nbproof.schedule.attending import Claim, end, look
from nbproof.schedule.definition import Schedule, following, tick_name
from nbproof.schedule.ledger import Entry, Ledger
from nbproof.schedule.policy import OPEN

DAY_S, HOUR_S = 86400.0, 3600.0
YEAR_S = 365 * DAY_S


@dataclass(slots=True)
class Run:
    """A process that keeps a tick: it lives as long as it holds the lock."""

    tick: str
    token: str
    lock: int


@dataclass(slots=True)
class Year:
    """What happens by chance, and what must hold whatever happens."""

    schedule: Schedule
    ledger: Ledger
    now: float
    chance: random.Random
    runs: list[Run] = field(default_factory=list)
    begun: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    rows: dict[str, Entry] = field(default_factory=dict)
    added: float = 0.0
    expected: list[float] = field(default_factory=list)

    def begin(self) -> None:
        self.added = self.now
        with self.ledger.writing() as book:
            book.add(self.schedule, self.now, None)

    def live(self, until: float, *, has_jumps: bool) -> None:
        """Let time pass until a moment: ticks come, machines are off, clocks jump, runs end, fail and are killed."""
        daemons = (Stillness(), Stillness())
        while self.now < until:
            self._let_runs_end()
            self._let_time_pass(has_jumps=has_jumps)
            for daemon in daemons if self.chance.random() < 0.5 else daemons[:1]:
                self.look(daemon)

    def settle(self) -> None:
        """Let everything that is open come to its end, with nothing new."""
        daemon = Stillness()
        for _ in range(2_000):
            for run in list(self.runs):
                self._end(run, "done")
            self.look(daemon)
            if not self.runs and not self._open():
                return
            if not self.runs:
                # What is tried again waits for its time.
                self.now += self.schedule.policy.retry_wait_s / 2
        raise AssertionError(f"it does not come to an end: {self._open()}")

    def look(self, daemon: Stillness) -> None:
        """One daemon looks; every promise that concerns a moment is held against what it has done."""
        before = {entry.tick: entry for entry in self._unfinished()}
        look(self.ledger, self.now, self._start, daemon)
        with self.ledger.reading() as book:
            after = {entry.tick: entry for entry in book.entries(self.schedule.name, 100_000)}
        new = sorted((entry for tick, entry in after.items() if tick not in self.rows), key=lambda entry: entry.at)
        for tick in self.rows.keys() - after.keys():
            assert self.rows[tick].state == "missed", f"{tick} was forgotten"
            assert self.rows[tick].at > self.now, f"{tick} was forgotten"
            self.happened["unmissed"] += 1
        self._judge(new, before)
        self.rows = after
        self._judge_all()

    def _start(self, claim: Claim) -> None:
        if self.chance.random() < 0.05:
            # The daemon is killed between its claim and the start of the process.
            self.happened["daemon killed"] += 1
            return
        entry = claim.entry
        assert not self.runs, f"{entry.tick} starts while {self.runs[0].tick} runs"
        run = Run(entry.tick, entry.token or "", os.dup(claim.descriptor))
        if self.chance.random() < 0.05:
            self.happened["killed before it began"] += 1
            os.close(run.lock)
            return
        with self.ledger.writing() as book:
            assert book.change(entry, began_at=self.now, attempt=entry.attempt + 1)
        self.begun[entry.tick] += 1
        self.runs.append(run)

    def _let_runs_end(self) -> None:
        for run in list(self.runs):
            what = self.chance.choices(["done", "failed", "killed", "goes on"], [60, 15, 10, 15])[0]
            with self.ledger.reading() as book:
                entry = book.entry(self.schedule.name, run.tick)
            if entry is not None and entry.wants_end is not None and what == "goes on":
                what = "failed"
            if what != "goes on":
                self._end(run, what)

    def _end(self, run: Run, what: str) -> None:
        self.happened[what] += 1
        if what != "killed":
            with self.ledger.writing() as book:
                entry = book.entry(self.schedule.name, run.tick)
                assert entry is not None
                assert (entry.state, entry.token) == ("running", run.token), "two have run it"
                end(book, self.schedule, entry, what, "by chance", "run-1", self.now)
        os.close(run.lock)
        self.runs.remove(run)

    def _let_time_pass(self, *, has_jumps: bool) -> None:
        grace_s = self.schedule.policy.grace_s
        what = self.chance.choices(
            ["tick", "off", "soon", "forward", "back"], [60, 12, 20, 4, 4] if has_jumps else [60, 15, 25, 0, 0]
        )[0]
        self.happened[what] += 1
        due = following(self.schedule.trigger, self.now)
        assert due is not None
        if what == "tick":
            self.now = due + self.chance.uniform(0, grace_s)
        elif what == "off":
            self.now = due + self.chance.uniform(0, 4) * (due - self.now + DAY_S)
        elif what == "soon":
            self.now += self.chance.uniform(0, 2 * self.schedule.policy.retry_wait_s)
        elif what == "forward":
            self.now += self.chance.uniform(HOUR_S, 20 * DAY_S)
        else:
            self.now = max(self.added, self.now - self.chance.choice([1.0, HOUR_S, 5 * DAY_S]))

    def _judge(self, new: list[Entry], before: dict[str, Entry]) -> None:
        """What became of ticks that are new, by the words of the policy."""
        policy = self.schedule.policy
        late = [entry for entry in new if self.now - entry.at > policy.grace_s]
        in_time = [entry for entry in new if entry not in late]
        # One that ends, or is lost for good, while the daemon looks stands in nobody's way any more.
        still = [entry for tick, entry in before.items() if (now := self._entry(tick)) and now.state in OPEN]
        is_catching_up = policy.catch_up == "all" and any(entry.is_late for entry in (*still, *late))
        for entry in late:
            is_missed = policy.catch_up == "none" or (
                policy.catch_up == "last" and (entry is not late[-1] or bool(in_time))
            )
            assert (entry.state == "missed") == is_missed, entry
        stands = bool(still)
        for entry in [each for each in new if each.state != "missed"]:
            if policy.overlap == "skip" and not is_catching_up:
                assert (entry.state == "skipped") == stands, (entry, still)
            else:
                assert entry.state != "skipped", entry
            if policy.overlap != "cancel" or is_catching_up:
                assert entry.state != "cancelled", entry
            stands = True
        for entry in in_time:
            assert entry.state != "missed", entry

    def _judge_all(self) -> None:
        """Each tick of the clock up to now is there once; nothing was tried more often than allowed."""
        at = self.expected[-1] if self.expected else self.added
        while (due := following(self.schedule.trigger, at)) is not None and due <= self.now:
            self.expected.append(due)
            at = due
        assert all(tick_name(at) in self.rows for at in self.expected if at <= self.now)
        for tick, count in self.begun.items():
            assert count <= self.schedule.policy.retries + 1, f"{tick} ran {count} times"
            assert self.rows[tick].attempt == count
        for entry in self.rows.values():
            assert entry.state != "missed" or entry.at <= self.now, f"{entry.tick} is missed before its time"
            if entry.state in ("missed", "skipped"):
                assert self.begun[entry.tick] == 0, entry

    def _entry(self, tick: str) -> Entry | None:
        with self.ledger.reading() as book:
            return book.entry(self.schedule.name, tick)

    def _unfinished(self) -> tuple[Entry, ...]:
        with self.ledger.reading() as book:
            return book.unfinished(self.schedule.name)

    def _open(self) -> list[Entry]:
        return [entry for entry in self._unfinished() if entry.state in OPEN]


def lived(schedule: Schedule, folder: Path, start: float, seed: int, *, has_jumps: bool = True) -> Year:
    """A whole year of a schedule, and what is left of it brought to its end."""
    year = Year(schedule, Ledger(folder), start, random.Random(seed))
    year.begin()
    try:
        year.live(start + YEAR_S, has_jumps=has_jumps)
        year.settle()
    finally:
        for run in year.runs:
            os.close(run.lock)
    return year
