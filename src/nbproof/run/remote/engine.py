"""What a run asks of an engine: to take one job for each task, and to say how its jobs stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ...records import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One task as an engine is asked to run it.

    No two jobs of one `name` may run at the same time, whoever submitted them. By its `mark` a job is found again when
    the answer to its submission was never heard. It starts once all jobs `after` have ended well, and is taken away
    when one of them has not. What it says goes to the end of the file `log`.
    """

    name: str
    mark: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    resources: Resources
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """How an engine says that a job stands, in its own words; `mark` is the one that it was submitted with."""

    state: Literal["waiting", "running", "ended"]
    mark: str
    reason: str = ""


class Engine(Protocol):
    """An engine that runs the tasks of pipelines. All of it raises `EngineUnreachable` when nobody answers."""

    @property
    def name(self) -> str:
        """By which it is asked for."""
        ...

    def check(self, wanted: Iterable[Resources]) -> None:
        """Raise `JobRefused` unless it could give a job each of what is wanted; nothing is queued."""
        ...

    def submit(self, asked: Asked, environ: Mapping[str, str]) -> str:
        """Queue a job that runs with `environ`; its number. Raises `JobRefused`."""
        ...

    def look(self) -> Mapping[str, Seen]:
        """The jobs of this user that it knows of, by their numbers."""
        ...

    def cancel(self, numbers: Iterable[str]) -> None:
        """End these jobs, those that wait and those that run; what has ended already is no error."""
        ...
