"""The folder of one run on an engine: what its jobs were told, by which numbers they are known, and what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...files import write_atomically
from ..state import REMOTE, State
from .events import Ended, Reading, TaskEvent, encode
from .order import Order

_RUN, _OVER, _NUMBERS = "run.json", "over", "numbers.jsonl"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a run; its name is the run's id."""

    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    def begin(self, target: str, orders: Mapping[str, Order]) -> None:
        """Write down what will be asked for, before anybody is asked."""
        for name in ("orders", "events", "said"):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        for task, order in orders.items():
            (self.folder / "orders" / f"{task}.json").write_bytes(order.to_json())
        write_atomically(self.folder / _RUN, json.dumps({"target": target, "at": time.time()}).encode())

    @property
    def target(self) -> str:
        """The engine that has the jobs."""
        return str(json.loads((self.folder / _RUN).read_bytes())["target"])

    @property
    def at(self) -> float:
        """When the run began, in seconds since 1970."""
        return float(json.loads((self.folder / _RUN).read_bytes())["at"])

    def tasks(self) -> Iterator[str]:
        """The tasks that there are orders for."""
        for path in sorted((self.folder / "orders").glob("*.json")):
            yield path.name.removesuffix(".json")

    def order(self, task: str) -> Order:
        return Order.from_json((self.folder / "orders" / f"{task}.json").read_bytes())

    def said(self, task: str) -> Path:
        """What the job of a task printed that is no event: a traceback, or why it never started."""
        return self.folder / "said" / f"{task}.log"

    def note_number(self, task: str, number: str) -> None:
        """Remember under which number the engine knows the job of a task."""
        with (self.folder / _NUMBERS).open("a") as file:
            file.write(json.dumps([task, number]) + "\n")

    def numbers(self) -> Mapping[str, str]:
        """The numbers that were noted; those that were not can be asked for by the marks of their jobs."""
        found = {}
        with suppress(FileNotFoundError):
            for line in (self.folder / _NUMBERS).read_text().splitlines():
                with suppress(ValueError):
                    task, number = json.loads(line)
                    found[task] = number
        return found

    def starts(self, task: str) -> Sequence[Path]:
        """The files of events of a task, one for each time that it was started, the latest last."""
        return [path for of, _, path in sorted(self._starts()) if of == task]

    def all_starts(self) -> Mapping[str, Sequence[Path]]:
        """The same of every task, with a single look."""
        found: dict[str, list[Path]] = {}
        for of, _, path in sorted(self._starts()):
            found.setdefault(of, []).append(path)
        return found

    def _starts(self) -> Iterator[tuple[str, int, Path]]:
        for entry in os.scandir(self.folder / "events"):
            match = re.fullmatch(r"(.+)\.(\d+)\.jsonl", entry.name)
            if match is not None:
                yield match[1], int(match[2]), Path(entry.path)

    def start(self, task: str) -> Start:
        """Begin one more start of a task: from here on no earlier one may publish anything."""
        number = len(self.starts(task)) + 1
        while True:
            path = self.folder / "events" / f"{task}.{number}.jsonl"
            with suppress(FileExistsError):
                return Start(self, task, number, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            number += 1

    def close(self) -> None:
        """Say that no job of this run is left; only those that failed have left something to look at."""
        (self.folder / _OVER).touch()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a task, where it runs. What it says is there for all who share the file system."""

    place: Place
    task: str
    number: int
    file: int

    def tell(self, event: TaskEvent | Ended) -> None:
        os.write(self.file, encode(event))

    def before(self) -> Iterator[TaskEvent | Ended]:
        """What all earlier starts have said; the last line of one that was killed may be missing."""
        for path in self.place.starts(self.task)[: self.number - 1]:
            with suppress(ValueError):
                yield from Reading(path).more()

    def is_latest(self) -> bool:
        return not (self.place.folder / "events" / f"{self.task}.{self.number + 1}.jsonl").exists()


def place_of(state: State, run_id: str) -> Place:
    """Where a run of this pipeline on an engine keeps what it must not forget; nothing is made."""
    return Place(_folder(state) / run_id)


def unfinished(state: State) -> tuple[Place, ...]:
    """The runs whose jobs nobody has seen to their end."""
    return tuple(Place(path.parent) for path in _all(state) if not (path.parent / _OVER).exists())


def forget_finished(state: State, *, but: Place) -> None:
    """Remove what earlier runs left to look at."""
    for path in _all(state):
        if path.parent != but.folder and (path.parent / _OVER).exists():
            Place(path.parent).remove()


def _all(state: State) -> Iterator[Path]:
    yield from sorted(_folder(state).glob(f"*/{_RUN}"))


def _folder(state: State) -> Path:
    return state.root / REMOTE / state.pipeline
