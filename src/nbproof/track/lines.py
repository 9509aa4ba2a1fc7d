"""Events as lines of JSON, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..records import (
    CellStarted,
    ContentHash,
    Event,
    LoggedEntry,
    Provenance,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
)

KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (RunStarted, TaskStarted, CellStarted, TaskFinished, RunFinished)
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a journal. `notebook` is the content hash of the executed notebook that a `TaskFinished` names."""

    event: Event
    notebook: ContentHash | None = None


def encode(entry: Entry) -> str:
    """One line of JSON, without its line end. A parameter that JSON cannot hold is written as its text."""
    event = entry.event
    line: dict[str, Any] = {"kind": type(event).__name__}
    line |= {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    if entry.notebook is not None:
        line["notebook_sha256"] = entry.notebook.hex
    return json.dumps(line, ensure_ascii=False, allow_nan=False)


def decode(line: str | bytes) -> Entry:
    """Read what `encode` wrote; raises `ValueError` for anything else."""
    try:
        found = json.loads(line)
        kind = KINDS[found["kind"]]
        values = {field.name: found[field.name] for field in fields(kind)}
        notebook = ContentHash(found["notebook_sha256"]) if "notebook_sha256" in found else None
        return Entry(_event(kind, values), notebook)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event: {line[:80]!r}") from error


def as_text(value: Any) -> str:
    """A parameter's value as its text: JSON for what JSON knows, so that `true` has one spelling, else `str`."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float | list | tuple | Mapping):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return str(value)


def _event(kind: type[Event], values: dict[str, Any]) -> Event:
    if kind is RunStarted:
        values["tasks"] = tuple(values["tasks"])
        provenance = values["provenance"]
        values["provenance"] = Provenance(**provenance | {"environment": ContentHash(provenance["environment"])})
    if kind is TaskFinished:
        values["products"] = {key: (path, content) for key, (path, content) in values["products"].items()}
        values["logged"] = tuple(LoggedEntry(**entry) for entry in values["logged"])
    return kind(**values)


def _plain(value: Any) -> Any:
    """`value` as JSON knows it."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            # JSON has no infinity; a record that other programs cannot read would be no record.
            return float(value) if math.isfinite(value) else str(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case set() | frozenset():
            return sorted((_plain(item) for item in value), key=str)
        case ContentHash():
            return value.hex
        case Provenance() | LoggedEntry():
            return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return str(value)
