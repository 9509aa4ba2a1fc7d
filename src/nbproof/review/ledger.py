"""The ledger: every request and decision as lines that are only added, each chained to those before it by their hashes.

Branches of git that both add lines are joined by putting the lines of one behind those of the other: each line still
follows the one that it followed, and the next names the last line of either. Lines are told in an order of their own,
whatever order the file has them in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import LedgerBroken, ReviewRefused, Unwritable
from ..files import sync_folder, write_atomically
from ..records import ContentHash
from .places import place_of
from .plainly import spelled, understood

FILE = "approvals/ledger.jsonl"
# Git joins two branches that both added lines by keeping the lines of both.
ATTRIBUTES = "approvals/.gitattributes"
_JOINED = "ledger.jsonl merge=union\n"
LOCK_S = 60.0

EntryKind = Literal["requested", "approved", "approved-with-conditions", "rejected", "unsafe-bypass"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line. `bound` is the hash of all that was asked about, `digest` that of the notebook alone.

    `previous` holds the hashes of the lines that it follows: none for the first, several after a merge; `number` is
    one more than the highest of theirs. `files` names what is bound besides by its kind; `file` is what was signed,
    with the hash of its bytes.
    """

    number: int
    at: str
    kind: EntryKind
    notebook: str
    digest: str
    bound: str
    by: str
    previous: tuple[str, ...]
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
        self.project, self.path = project, project / FILE

    def read(self) -> tuple[Entry, ...]:
        """Return every entry in order; raises `LedgerBroken`, naming the first line that is not what was written."""
        try:
            content = place_of(self.project, FILE).read_bytes()
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
        # Numbers grow along every chain; lines of two branches are told by their times.
        return tuple(sorted(entries, key=lambda entry: (entry.number, entry.at, entry.hash)))

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
        heads = head(entries)
        number = 1 + max((entry.number for entry in entries if entry.hash in heads), default=0)
        added = Entry(number=number, previous=heads, **facts)
        is_new = not self.path.exists()
        if not (self.project / ATTRIBUTES).exists():
            write_atomically(self.project / ATTRIBUTES, _JOINED.encode())
        with self.path.open("ab") as file:
            file.write(added.written())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)
        return added

    def _chained(self, lines: list[bytes]) -> Iterator[Entry]:
        numbers: dict[str, int] = {}
        for place, line in enumerate(lines, start=1):
            entry = self._entry(place, line)
            if entry.hash in numbers:
                raise self._broken(place, "an entry that stands above already", "each once")
            if not all(before in numbers for before in entry.previous):
                raise self._broken(place, "an entry whose predecessor does not stand above it", "the lines in between")
            number = 1 + max((numbers[before] for before in entry.previous), default=0)
            if entry.number != number:
                raise self._broken(place, f"the number {entry.number}", f"{number}")
            numbers[entry.hash] = number
            yield entry

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            found = understood(line)
            said = found.pop("hash")
            entry = Entry(**{**found, "previous": tuple(found["previous"])})
            if entry.kind not in get_args(EntryKind):
                raise ValueError("an unknown kind")
            if list(entry.previous) != sorted(set(entry.previous)):
                raise ValueError("predecessors in another order")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._broken(number, "no entry", "one entry as JSON") from None
        if said != entry.hash or entry.written() != line + b"\n":
            raise self._broken(number, "an entry that was changed", f"one whose hash is {said!s:.12}")
        return entry

    def _broken(self, line: int, found: str, expected: str) -> LedgerBroken:
        return LedgerBroken(FILE, line, found, expected)


def head(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The hashes of the last lines: of one, or of one a branch that was merged."""
    followed = {before for entry in entries for before in entry.previous}
    return tuple(sorted(entry.hash for entry in entries if entry.hash not in followed))


def is_before(earlier: Entry, later: Entry, entries: Sequence[Entry]) -> bool:
    """Whether who wrote `later` had `earlier` before them; lines of two branches are neither before the other."""
    known = {entry.hash: entry for entry in entries}
    reached, waiting = set(), list(later.previous)
    while waiting:
        one = waiting.pop()
        if one == earlier.hash:
            return True
        if one not in reached and one in known and known[one].number > earlier.number:
            reached.add(one)
            waiting.extend(known[one].previous)
    return False
