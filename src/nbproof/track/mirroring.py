"""Runs told once more, to another tracker, from their journals; what the first one was told is left as it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..records import ContentHash, RunFinished
from . import kept
from .journal import entries, is_live, path_of
from .tracker import Tracker


def mirror(project: Path, run_ids: Iterable[str], tracker: Tracker) -> tuple[str, ...]:
    """Tell `tracker` every event of these runs; returns those that still go on, of which nothing is told.

    Raises `JournalDamaged`, and what the tracker raises.
    """
    waiting = []
    for run_id in run_ids:
        journal = path_of(project, run_id)
        # Asked before reading: a runner that ends in between is told the next time.
        if is_live(journal):
            waiting.append(run_id)
            continue
        last = None
        for entry, _ in entries(journal):
            tracker.deliver(entry, lambda content, original: _find(project, content, original))
            last = entry
        if last is not None and not isinstance(last.event, RunFinished):
            tracker.interrupt(run_id, last.event.at)
    return tuple(waiting)


def _find(project: Path, content: ContentHash, original: Path) -> Path | None:
    return kept.find(project, content, project / original)
