"""The folder of one job: what was asked, what the engine was told, what each element said and left."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import UnknownName
from ..files import write_atomically
from . import job as jobs
from .job import Job

FOLDER = Path(".nbproof/jobs")
_ID = re.compile(r"[a-z0-9-]{1,40}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Started:
    """What an element says of itself: how it stands, its attempt (from 1), where and when it began and ended.

    `told` is why it failed, and `failures` how many of its attempts have: none of those that were interrupted.
    Times are seconds since 1970.
    """

    state: Literal["running", "done", "failed"]
    attempt: int
    host: str
    began: float
    ended: float | None = None
    told: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """To which target a job was handed, under which number it is known there (None: not yet), and when.

    `cancelled_at` is when somebody ended it; `options` are those of the target, by which it is found again.
    """

    target: str
    number: str | None
    at: float
    cancelled_at: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a job; its name is the job's id."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def results(self) -> Path:
        """Where each element's results lie, whole, once it has ended well."""
        return self.folder / "results"

    def log(self, index: int) -> Path:
        return self.folder / "logs" / f"{index}.log"

    def work(self, index: int, attempt: int) -> Path:
        """A new folder for an element to work in; what it holds counts for nothing until the element has ended well."""
        return self.folder / "work" / f"{index}.{attempt}.{secrets.token_hex(3)}"

    def works(self, index: int) -> Iterator[Path]:
        """The folders that the attempts of an element have worked in."""
        yield from (self.folder / "work").glob(f"{index}.*")

    def checkpoint(self, index: int) -> Path:
        """Where an element may keep what its next attempt goes on from."""
        return self.folder / "checkpoints" / str(index)

    def job(self) -> Job:
        return jobs.from_json(self._read("job.json")["job"])

    def package(self) -> Mapping[str, Any]:
        """Which package it runs, and what was verified of it when the job was submitted; empty: none."""
        found: Mapping[str, Any] = self._read("job.json")["package"]
        return found

    def submitted(self) -> Submitted:
        return Submitted(**self._read("submitted.json"))

    def submit(self, submitted: Submitted) -> None:
        self._write("submitted.json", asdict(submitted))

    def started(self, index: int) -> Started | None:
        """What an element last said of itself; None: nothing yet."""
        try:
            return Started(**self._read(f"state/{index}.json"))
        except FileNotFoundError:
            return None

    def tell(self, index: int, started: Started) -> None:
        self._write(f"state/{index}.json", asdict(started))

    def refuse(self, index: int, told: str) -> None:
        """Say of an element that cannot speak for itself why it failed."""
        before, now = self.started(index), time.time()
        attempt, host, began = (before.attempt, before.host, before.began) if before is not None else (0, "", now)
        self.tell(index, Started("failed", attempt, host, began, now, told))

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        write_atomically(self.folder / name, json.dumps(content, indent=1).encode())


def make(
    folder: Path,
    job: Job,
    package: Mapping[str, Any],
    target: str,
    rendered: Mapping[str, str],
    *,
    options: Mapping[str, str] | None = None,
) -> Place:
    """The folder of a new job, with all that is known of it before anybody is asked to run it."""
    folder.mkdir(parents=True)
    place = Place(folder)
    for name in ("logs", "state", "work", "results"):
        (folder / name).mkdir()
    place._write("job.json", {"job": jobs.to_json(job), "package": dict(package)})
    for name, text in rendered.items():
        write_atomically(folder / name, text.encode())
    place.submit(Submitted(target, None, time.time(), options=dict(options or {})))
    return place


def folder_of(project: Path, job: Job) -> Path:
    """A folder for a job that no other has; it is not made."""
    return (project / FOLDER / f"{job.name[:33].rstrip('-')}-{secrets.token_hex(3)}").resolve()


def all_of(project: Path) -> Iterator[Place]:
    """The jobs of a project, the newest first."""
    places = [Place(path.parent) for path in (project / FOLDER).glob("*/submitted.json")]
    yield from sorted(places, key=lambda place: place.submitted().at, reverse=True)


def find(project: Path, name: str) -> Place:
    """The job with an id, or the only one whose id begins so. Raises `UnknownName`."""
    known = [place.id for place in all_of(project)]
    fitting = [id_ for id_ in known if id_ == name] or [id_ for id_ in known if name and id_.startswith(name)]
    if len(fitting) != 1 or _ID.fullmatch(fitting[0]) is None:
        raise UnknownName("job", name, known[:10], hint="nbproof jobs list")
    return Place((project / FOLDER / fitting[0]).resolve())
