"""What a notebook was seen to import when it ran: what no look at its code tells, since it happens in functions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from ...files import write_atomically
from ...records import ContentHash


def recall(file: Path, sources: Sequence[str]) -> tuple[str, ...]:
    """The packages that the very same code was seen to import; none when nothing (or nothing whole) is remembered."""
    try:
        found = json.loads(file.read_bytes())
        return tuple(found["modules"]) if found["code"] == _code(sources) else ()
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def remember(file: Path, sources: Sequence[str], modules: Sequence[str]) -> None:
    """Remember what the code was seen to import, beside what it was seen to import before."""
    known = recall(file, sources)
    if set(modules) <= set(known):
        return
    content = {"code": _code(sources), "modules": sorted({*known, *modules})}
    # Where it cannot be written, the next run is no faster; that is no reason for this one to fail.
    with contextlib.suppress(OSError):
        write_atomically(file, json.dumps(content).encode())


def _code(sources: Sequence[str]) -> str:
    return ContentHash.of(json.dumps(list(sources)).encode()).hex
