"""What builds that were killed left behind in a project: notes of theirs, and processes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path


def held_by(project: Path) -> dict[str, int | None]:
    """The process noted as the builder of each pipeline."""
    found: dict[str, int | None] = {}
    for note in sorted((project / ".nbproof" / "locks").glob("*.holder.json")):
        name = note.name.removesuffix(".holder.json")
        found[name] = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found[name] = int(json.loads(note.read_bytes())["pid"])
    return found


def leases_in(project: Path) -> dict[int, str]:
    """The processes of builds that work inside `project`, with their leases."""
    import psutil

    from ..run.processes import LEASE_VARIABLE, holders

    found: dict[int, str] = {}
    for process in holders(lambda lease: True):
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(project.resolve()):
                found[process.pid] = process.environ()[LEASE_VARIABLE]
    return found
