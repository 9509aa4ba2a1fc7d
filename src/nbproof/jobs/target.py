"""A target is an engine that jobs run on; it is found by its name, as an entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol

from ..errors import UnknownName
from .job import Job

GROUP = "nbproof.targets"

State = Literal["waiting", "running", "done", "failed", "cancelled", "lost", "unknown"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "lost")


@dataclass(frozen=True, slots=True)
class Seen:
    """How an engine says that an element stands; `reason` in its own words."""

    state: State
    reason: str = ""


class Target(Protocol):
    """An engine. Nothing but `render` is pure; the rest raises `EngineUnreachable` when nobody answers."""

    def render(self, job: Job, place: str) -> Mapping[str, str]:
        """The files that tell the engine what to do, by their names; `place` is the folder that they will lie in."""
        ...

    def submit(self, job: Job, place: Path) -> str:
        """Hand over what lies rendered in `place`; the engine's own name for the job. Raises `JobRefused`."""
        ...

    def look(self, number: str, size: int) -> Sequence[Seen]:
        """How each of the elements stands, as far as the engine still knows."""
        ...

    def recall(self, name: str) -> str | None:
        """The engine's number for the job with an id of ours, whose submission was never answered; None: no such."""
        ...

    def cancel(self, number: str) -> None:
        """End what runs, and take what waits away."""
        ...


def names() -> tuple[str, ...]:
    """The targets that are installed."""
    return tuple(sorted(entry_points(group=GROUP).names))


def load(name: str) -> Target:
    """The target called `name`; only that one is imported. Raises `UnknownName`."""
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise UnknownName("target", name, found.names, hint="nbproof submit PACKAGE --on TARGET")
    made: Target = found[name].load()()
    return made
