"""A target is an engine that jobs run on; it is found by its name, as an entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, Protocol

from ..errors import SettingsInvalid, UnknownName
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
    """An engine. Nothing but `render` is pure; the rest raises `EngineUnreachable` when nobody answers.

    A target is made with its options, texts by their names: the fields of its dataclass.
    """

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


def load(name: str, options: Mapping[str, str] | None = None) -> Target:
    """The target called `name`, with its options; only that one is imported.

    Raises `UnknownName`, and `SettingsInvalid` for an option that it does not know.
    """
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise UnknownName("target", name, found.names, hint="nbproof submit PACKAGE --on TARGET")
    offered = found[name].load()
    known = [field.name for field in fields(offered)] if is_dataclass(offered) else []
    for option in options or {}:
        if option not in known:
            expected = f"one of {', '.join(sorted(known))}" if known else "none, since it takes no options"
            raise SettingsInvalid(f"`{option}` of the target {name}", "an unknown option", expected)
    made: Target = offered(**(options or {}))
    return made


def element_command(python: str, place: str, index: str, *flags: str) -> tuple[str, ...]:
    """What every engine starts for one element of the job in a folder; `nbproof.jobs` says what the flags mean."""
    return (python, "-m", "nbproof.jobs", place, index, *flags)
