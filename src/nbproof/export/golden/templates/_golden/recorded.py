"""What was recorded of the package: which steps there are, and what each of them did."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .comparing import Difference, counted, differences
from .files import Folder
from .state import Absent, furnish
from .steps import Package

__all__ = ["Absent", "Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The folder of recorded values.

    `steps` are the functions that a run with `parameters` calls, `gives` the names of what each gives on. `absent` are
    files that the notebook reads and that do not travel with the package, by their SHA-256. `alone` names the calls
    that can be made by themselves, each with its function; `loose` says for each call where runs differ by themselves,
    and by how much; `not_covered` says of what nothing is known, and why.
    """

    folder: Path
    package: str
    libraries: tuple[str, ...]
    steps: tuple[str, ...]
    gives: dict[str, list[str]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    alone: dict[str, str] = field(default_factory=dict)
    loose: dict[str, dict[str, float | None]] = field(default_factory=dict)
    not_covered: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Recorded:
        told = json.loads((folder / "steps.json").read_text(encoding="utf-8"))
        return cls(folder, **{**told, "libraries": tuple(told["libraries"]), "steps": tuple(told["steps"])})

    def write(self) -> None:
        told = {name: getattr(self, name) for name in self.__slots__ if name != "folder"}
        text = json.dumps(told, indent=1, ensure_ascii=False)
        (self.folder / "steps.json").write_text(text + "\n", encoding="utf-8")

    def made(self) -> Package:
        return Package(self.package, self.libraries, self.gives)

    def furnished(self, folder: Path) -> Path:
        """Make a folder to run in, with the notebook's data. Raises `Absent` where some did not travel."""
        lay_out = importlib.import_module(f"{self.package}._surroundings").lay_out
        return furnish(lay_out, folder, self.absent, os.environ.get(f"{self.package.upper()}_DATA"))

    def whole(self, here: Path) -> list[Difference]:
        """Compare a whole run with what was recorded of each of its steps."""
        found = self.made().run(here, self.steps, self.parameters)
        wrong: list[Difference] = []
        for step in (*self.steps, "results"):
            name = label(step)
            if step not in found:
                wrong.append(Difference(name, "not called", "one call"))
                continue
            wrong += self.counted(step, found[step])
            if "raises" in found[step]:
                # Nothing came after it.
                break
        return wrong

    def called(self, call: str, here: Path) -> list[Difference]:
        """Make one call again, and compare it with what was recorded of it."""
        folder = Folder(self.folder)
        found = self.made().replay(self.alone[call], folder.load(f"{file(call)}.takes"), here)
        return self.counted(call, found)

    def counted(self, call: str, found: Any) -> list[Difference]:
        """List what differs from the record of a call, and counts."""
        expected = Folder(self.folder).load(file(call))
        if found.get("raises") != expected.get("raises"):
            return [
                Difference(f"{label(call)}.raises", found.get("raises", "nothing"), expected.get("raises", "nothing"))
            ]
        return counted(differences(expected, found, label(call)), self.loose.get(call, {}))


def label(call: str) -> str:
    """Name a call as people do: `steps:fit` is `fit`."""
    return call.rpartition(":")[2]


def file(call: str) -> str:
    """Name the file that holds a call."""
    return call.replace(":", ".")
