"""What was seen and done, as lines that are only added: each once, whatever dies in between."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import EventsDamaged
from ..files import sync_folder

Kind = Literal["window", "alarm", "unusable", "changed", "retraining-asked", "retraining-started", "retraining-ended"]


FILE = "events.jsonl"


@dataclass(frozen=True, slots=True)
class Event:
    """One line. `key` says what it is about: no two lines have the same. `at` is UTC.

    `window` names the window ("" for a retraining), `verdict` how it was found, `reason` why in words; `facts` are
    plain values for machines.
    """

    key: str
    kind: Kind
    window: str = ""
    verdict: str = ""
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""

    def written(self) -> bytes:
        """The event as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True).encode() + b"\n"


class Events:
    """The events of one watch, in a file that several processes add to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Event, ...]:
        """Every event, in order; a last line that was cut short is not there yet. Raises `EventsDamaged`."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        *lines, _ = content.split(b"\n")
        return tuple(self._event(number, line) for number, line in enumerate(lines, start=1))

    @contextmanager
    def held(self) -> Iterator[Held]:
        """Keep every other writer out, read what is there, and add to it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._cut_unfinished()
            yield Held(self, self.read())
        finally:
            os.close(descriptor)

    def _cut_unfinished(self) -> None:
        """Remove the line that a killed writer began: whoever was to hear of it will write it again."""
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                file.truncate(whole)
                os.fsync(file.fileno())

    def _event(self, number: int, line: bytes) -> Event:
        try:
            event = Event(**json.loads(line))
            if event.kind not in get_args(Kind):
                raise ValueError(f"the unknown kind {event.kind!r}")
        except (ValueError, TypeError) as error:
            raise EventsDamaged(self.path, number, str(error)) from None
        return event


class Held:
    """The events while nobody else may write."""

    def __init__(self, events: Events, known: Sequence[Event]) -> None:
        self._events, self._known = events, list(known)
        self._keys = {event.key for event in known}

    @property
    def known(self) -> tuple[Event, ...]:
        return tuple(self._known)

    def add(self, events: Sequence[Event]) -> tuple[Event, ...]:
        """Add those whose key is not there yet, and return them; they are on the disk when this returns."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        new: dict[str, Event] = {}
        for event in events:
            if event.key not in self._keys and event.key not in new:
                new[event.key] = event if event.at else _at(event, at)
        if not new:
            return ()
        is_first = not self._events.path.exists()
        with self._events.path.open("ab") as file:
            file.write(b"".join(event.written() for event in new.values()))
            file.flush()
            os.fsync(file.fileno())
        if is_first:
            sync_folder(self._events.path.parent)
        self._keys |= set(new)
        self._known += new.values()
        return tuple(new.values())


def _at(event: Event, at: str) -> Event:
    return Event(event.key, event.kind, event.window, event.verdict, event.reason, event.facts, at)
