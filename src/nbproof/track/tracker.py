"""What a tracker must be able to do; MLflow is the one we bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..records import ContentHash
from .capture.session import NotebookSession
from .lines import Entry

# Finds a local file with this content, given where it once was; None when no such file is left.
Files = Callable[[ContentHash, Path], Path | None]


class Tracker(Protocol):
    """Holds the records of runs and sessions. A method called again with the same entry changes nothing.

    They raise `TrackerUnavailable` when the tracker does not take the record; it is offered again later.
    """

    def deliver(self, entry: Entry, files: Files) -> None:
        """Record one event of a run."""
        ...

    def interrupt(self, run_id: str, at: float) -> None:
        """Record that the runner of `run_id` died; its last sign of life was at the time `at`."""
        ...

    def deliver_session(self, session: NotebookSession, files: Files) -> None:
        """Record a session of a notebook as far as it is known by now."""
        ...
