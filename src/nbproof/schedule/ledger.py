"""The ledger of schedules: one SQLite file that several daemons read and write, and that outlives all of them."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import LedgerUnusable, UnknownName, Unwritable
from .definition import Schedule, from_json, to_json
from .policy import OPEN, Decision, Standing, State

FOLDER = Path(".nbproof/schedule")
BUSY_S = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY, definition TEXT NOT NULL, added_at REAL NOT NULL, handled_to REAL NOT NULL, seen TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ticks (
    schedule TEXT NOT NULL, tick TEXT NOT NULL, at REAL NOT NULL, is_late INTEGER NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL, cause TEXT NOT NULL, noted_at REAL NOT NULL, token TEXT, starts INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0, began_at REAL, ended_at REAL, next_try_at REAL, wants_end TEXT, run TEXT,
    told TEXT, PRIMARY KEY (schedule, tick)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open ON ticks (schedule) WHERE state IN ('waiting', 'running', 'retrying') OR told IS NULL;
"""
_OPEN = "state IN ('waiting', 'running', 'retrying')"


@dataclass(frozen=True, slots=True)
class Entry:
    """One tick as the ledger has it.

    Times are seconds since 1970: `at` is the moment that it stands for, `noted_at` when it was first seen. `cause` is
    why it came where no clock says so. `token` names who runs it, `starts` how often a process was started for it and
    `attempt` how many of these began. `wants_end` says why it shall end. `run` is the id of the run or job. `told` is
    what became of the word to whoever wants to hear of its end: None while it is still to be sent.
    """

    schedule: str
    tick: str
    at: float
    is_late: bool
    state: State
    reason: str
    cause: str
    noted_at: float
    token: str | None
    starts: int
    attempt: int
    began_at: float | None
    ended_at: float | None
    next_try_at: float | None
    wants_end: str | None
    run: str | None
    told: str | None

    def standing(self) -> Standing:
        return Standing(self.tick, self.at, self.state, self.is_late, self.next_try_at)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule as the ledger has it: every tick up to `handled_to` was decided; `seen` is the last state of its data
    that was."""

    schedule: Schedule
    added_at: float
    handled_to: float
    seen: str | None


_NAMES = tuple(spec.name for spec in fields(Entry))
_COLUMNS = ", ".join(_NAMES)


class Book:
    """The ledger, open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def schedules(self) -> tuple[Scheduled, ...]:
        rows = self._sql.execute("SELECT definition, added_at, handled_to, seen FROM schedules ORDER BY name")
        return tuple(Scheduled(from_json(json.loads(row[0])), row[1], row[2], row[3]) for row in rows)

    def find(self, name: str) -> Scheduled:
        """The schedule of a name. Raises `UnknownName`."""
        known = {each.schedule.name: each for each in self.schedules()}
        if name not in known:
            raise UnknownName("schedule", name, known, hint="nbproof schedule list")
        return known[name]

    def add(self, schedule: Schedule, now: float, seen: str | None) -> None:
        """Add a schedule, or put another in the place of one: its ticks begin now."""
        self._sql.execute(
            "INSERT INTO schedules VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
            "definition = excluded.definition, added_at = excluded.added_at, handled_to = excluded.handled_to, "
            "seen = excluded.seen",
            (schedule.name, json.dumps(to_json(schedule)), now, now, seen),
        )

    def remove(self, name: str, now: float) -> None:
        """Remove a schedule; what runs goes on to its end, what waits does not start."""
        self._sql.execute("DELETE FROM schedules WHERE name = ?", (name,))
        self._sql.execute(
            "UPDATE ticks SET state = 'cancelled', reason = 'the schedule was removed', ended_at = ?, told = '' "
            "WHERE schedule = ? AND state IN ('waiting', 'retrying')",
            (now, name),
        )

    def handled(self, name: str, to: float, seen: str | None) -> None:
        self._sql.execute("UPDATE schedules SET handled_to = ?, seen = ? WHERE name = ?", (to, seen, name))

    def note(self, name: str, decision: Decision, now: float, cause: str, *, is_told: bool) -> bool:
        """Write down what becomes of a tick; False where the ledger has it already, whoever wrote it."""
        ended_at = None if decision.state in OPEN else now
        told = "" if is_told else None
        written = self._sql.execute(
            "INSERT OR IGNORE INTO ticks (schedule, tick, at, is_late, state, reason, cause, noted_at, ended_at, told) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (name, decision.tick, decision.at, decision.is_late, decision.state, decision.reason, cause, now, ended_at,
             told),
        )  # fmt: skip
        return written.rowcount == 1

    def has(self, name: str, tick: str) -> bool:
        found = self._sql.execute("SELECT 1 FROM ticks WHERE schedule = ? AND tick = ?", (name, tick))
        return found.fetchone() is not None

    def forget_missed_after(self, name: str, now: float) -> None:
        """Forget that ticks were missed whose time is still to come: the clock had been wrong, and was put back."""
        self._sql.execute("DELETE FROM ticks WHERE schedule = ? AND at > ? AND state = 'missed'", (name, now))

    def unfinished(self, name: str) -> tuple[Entry, ...]:
        """The ticks that are not over, or of whose end nobody was told yet, the oldest first."""
        return self._entries(f"schedule = ? AND ({_OPEN} OR told IS NULL) ORDER BY at, tick", (name,))

    def entries(self, name: str, most: int = 20) -> tuple[Entry, ...]:
        """The latest ticks, the newest first."""
        return self._entries("schedule = ? ORDER BY at DESC, tick DESC LIMIT ?", (name, most))

    def entry(self, name: str, tick: str) -> Entry | None:
        found = self._entries("schedule = ? AND tick = ?", (name, tick))
        return found[0] if found else None

    def before(self, entry: Entry) -> float | None:
        """The moment of the tick before one."""
        (at,) = self._sql.execute(
            "SELECT max(at) FROM ticks WHERE schedule = ? AND at < ?", (entry.schedule, entry.at)
        ).fetchone()
        return None if at is None else float(at)

    def counted(self, name: str) -> dict[str, int]:
        rows = self._sql.execute("SELECT state, count(*) FROM ticks WHERE schedule = ? GROUP BY state", (name,))
        return dict(rows.fetchall())

    def change(self, entry: Entry, **values: Any) -> bool:
        """Change a tick that nobody has changed since it was read as `entry`; False where somebody has."""
        sets = ", ".join(f"{name} = ?" for name in values)
        changed = self._sql.execute(
            f"UPDATE ticks SET {sets} WHERE schedule = ? AND tick = ? AND state = ? AND token IS ?",  # noqa: S608
            (*values.values(), entry.schedule, entry.tick, entry.state, entry.token),
        )
        return changed.rowcount == 1

    def _entries(self, where: str, values: Sequence[Any]) -> tuple[Entry, ...]:
        rows = self._sql.execute(f"SELECT {_COLUMNS} FROM ticks WHERE {where}", values)  # noqa: S608
        return tuple(_entry(row) for row in rows)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger of a project; nothing is open between two uses."""

    project: Path

    @property
    def folder(self) -> Path:
        return self.project / FOLDER

    @property
    def file(self) -> Path:
        return self.folder / "ledger.sqlite"

    def lock(self, token: str) -> Path:
        """The file whose lock is held by whoever runs a tick, or is a daemon, under a token."""
        return self.folder / "held" / token

    def log(self, entry: Entry) -> Path:
        """Where the attempts at a tick are told."""
        return self.folder / "logs" / entry.schedule / f"{entry.tick.replace(':', '').replace('/', '-')}.log"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Book]:
        """The ledger to look at; where there is none, an empty one, and nothing is written."""
        with self._open() if self.file.exists() else _empty() as connection:
            yield Book(connection)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Book]:
        """The ledger while nobody else writes; what was changed is there as a whole once the block ends well."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Book(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        is_new = not self.file.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if is_new:
                # It may hold the address of a hook.
                os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise Unwritable(self.project, error.strerror or str(error)) from None
        try:
            connection = sqlite3.connect(self.file, timeout=BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            raise LedgerUnusable(self.file, str(error)) from None
        try:
            if is_new or not _has_tables(connection):
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            yield connection
        except sqlite3.Error as error:
            raise LedgerUnusable(self.file, str(error)) from error
        finally:
            connection.close()


@contextlib.contextmanager
def _empty() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript(_TABLES)
        yield connection
    finally:
        connection.close()


def _entry(row: Sequence[Any]) -> Entry:
    values = dict(zip(_NAMES, row, strict=True))
    return Entry(**{**values, "is_late": bool(values["is_late"])})


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'open'").fetchone() is not None
