"""What a job says while it runs: events as lines of JSON in a file of its own, which whoever follows the run reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...records import CellOutput, CellStarted, LoggedEntry, Outcome, TaskFinished, TaskStarted

TaskEvent = TaskStarted | CellStarted | CellOutput | TaskFinished
_KINDS: Mapping[str, type[TaskEvent]] = {
    kind.__name__: kind for kind in (TaskStarted, CellStarted, CellOutput, TaskFinished)
}
_ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word of a job: what became of its task, which no later start changes."""

    outcome: Outcome


def encode(event: TaskEvent | Ended) -> bytes:
    """One line of JSON with its end."""
    line = {"kind": type(event).__name__, **asdict(event)}
    # Half a character, which UTF-8 does not know, is spelled in ASCII as any other.
    return json.dumps(line, default=str).encode() + b"\n"


def decode(line: bytes) -> TaskEvent | Ended:
    """Read what `encode` wrote; raises `ValueError` for anything else, such as the line of a job that was killed."""
    try:
        values: dict[str, Any] = json.loads(line)
        kind = values.pop("kind")
        if kind == _ENDED:
            return Ended(**values)
        if kind == TaskFinished.__name__:
            values["products"] = {key: (path, content) for key, (path, content) in values["products"].items()}
            values["logged"] = tuple(LoggedEntry(**entry) for entry in values["logged"])
        return _KINDS[kind](**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event of a job: {line[:80]!r}") from error


class Reading:
    """A file of events, read on from where it was read to."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def more(self) -> Iterator[TaskEvent | Ended]:
        """The events that have come since; a line that has no end yet waits for it."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            said = file.read()
        whole = said[: said.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            yield decode(line)
