"""The ledger: every request and decision in one chain of lines, to which lines are only added."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import LedgerBroken, ReviewRefused, Unwritable
from ..files import sync_folder
from ..records import ContentHash
from .plainly import spelled, understood

FILE = "approvals/ledger.jsonl"
START = "0" * 64
LOCK_S = 60.0

EntryKind = Literal["requested", "approved", "approved-with-conditions", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line. `bound` is the hash of all that was asked about, `digest` that of the notebook alone.

    `files` names what is bound besides by its kind; `file` is the signed decision with the hash of its bytes.
    """

    number: int
    at: str
    kind: EntryKind
    notebook: str
    digest: str
    bound: str
    by: str
    previous: str
    files: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    sha256: str = ""
    comment: str = ""

    @property
    def hash(self) -> str:
        """The hash that the next line names."""
        return ContentHash.of(spelled(asdict(self))).hex

    def written(self) -> bytes:
        """The line, with its own hash: an error in the last line shows, too."""
        return spelled({**asdict(self), "hash": self.hash}) + b"\n"


class Ledger:
    """The ledger of one project."""

    def __init__(self, project: Path) -> None:
        self.path = project / FILE

    def read(self) -> tuple[Entry, ...]:
        """Return every entry in order; raises `LedgerBroken`, naming the first line that is not what was written."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._broken(1, f"a file that cannot be read ({error.strerror})", "the ledger") from None
        entries: list[Entry] = []
        lines = content.split(b"\n")
        if lines[-1]:
            list(self._chained(lines[:-1]))
            raise self._broken(len(lines), "a line that was cut short", "its end")
        entries.extend(self._chained(lines[:-1]))
        return tuple(entries)

    @contextmanager
    def held(self) -> Iterator[tuple[Entry, ...]]:
        """Keep every other writer out, and read it."""
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_name(".ledger.lock"), timeout=LOCK_S)
            lock.acquire()
        except Timeout:
            raise ReviewRefused(f"`{FILE}`", ["somebody else is writing it"], hint="try again") from None
        except OSError as error:
            raise Unwritable(self.path.parent, error.strerror or str(error)) from None
        try:
            yield self.read()
        finally:
            lock.release()

    def append(self, entries: tuple[Entry, ...], **facts: Any) -> Entry:
        """Add a line behind `entries`, which `held` gave; it is on the disk when this returns."""
        added = Entry(number=len(entries) + 1, previous=head(entries), **facts)
        is_new = not self.path.exists()
        with self.path.open("ab") as file:
            file.write(added.written())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)
        return added

    def _chained(self, lines: list[bytes]) -> Iterator[Entry]:
        previous = START
        for number, line in enumerate(lines, start=1):
            entry = self._entry(number, line)
            if entry.number != number:
                raise self._broken(number, f"the entry {entry.number}", f"the entry {number}")
            if entry.previous != previous:
                found = "an entry that does not follow the one before it"
                raise self._broken(number, found, f"one that names {previous[:12]}")
            previous = entry.hash
            yield entry

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            found = understood(line)
            said = found.pop("hash")
            entry = Entry(**found)
            if entry.kind not in get_args(EntryKind):
                raise ValueError("an unknown kind")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._broken(number, "no entry", "one entry as JSON") from None
        if said != entry.hash or entry.written() != line + b"\n":
            raise self._broken(number, "an entry that was changed", f"one whose hash is {said!s:.12}")
        return entry

    def _broken(self, line: int, found: str, expected: str) -> LedgerBroken:
        return LedgerBroken(FILE, line, found, expected)


def head(entries: tuple[Entry, ...]) -> str:
    """The hash of the last entry."""
    return entries[-1].hash if entries else START
