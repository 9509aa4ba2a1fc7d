"""Where recordings lie: one file of lines for each life of a kernel, and which notebooks are recorded how."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ...errors import SettingsInvalid
from ...files import write_atomically

Level = Literal["off", "metadata", "full"]
LEVELS: tuple[Level, ...] = get_args(Level)

SUFFIX = ".jsonl"
CONTROL_SUFFIX = ".control"


def folder(project: Path) -> Path:
    """Where the sessions of `project` lie, one file for each life of a kernel; it is the spool, too."""
    return project / ".nbproof" / "sessions"


@dataclass(frozen=True, slots=True)
class Place:
    """The two files of a session: what the kernel writes, and what the server writes for the kernel to look at."""

    project: Path
    session_id: str

    def __post_init__(self) -> None:
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", self.session_id) is None:
            raise ValueError(f"not the id of a session: {self.session_id!r}")

    @property
    def lines(self) -> Path:
        return folder(self.project) / f"{self.session_id}{SUFFIX}"

    @property
    def control(self) -> Path:
        return folder(self.project) / f"{self.session_id}{CONTROL_SUFFIX}"


def new_place(project: Path, kernel_id: str, life: int, at: float) -> Place:
    """The place of a session that begins at the time `at`. Of the kernel's id no more than is harmless is taken."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(at))
    kernel = re.sub(r"[^A-Za-z0-9]", "", kernel_id)[:12] or "kernel"
    return Place(project.resolve(), f"{moment}-{kernel}-{life}")


def sessions(project: Path) -> list[Path]:
    """The files of all sessions of `project`, the oldest first."""
    return sorted(folder(project).glob(f"*{SUFFIX}"))


def tell_kernel(place: Place, level: Level, notebook: str | None) -> None:
    """Leave word for the kernel: it looks before each cell."""
    content = json.dumps({"level": level, "notebook": notebook})
    _private(place.project)
    write_atomically(place.control, content.encode())


def chosen(project: Path, notebook: str) -> Level | None:
    """What the user chose for this notebook, if anything; raises `SettingsInvalid` when that cannot be read."""
    return _choices(project).get(notebook)


def choose(project: Path, notebook: str, level: Level) -> None:
    """Remember how the user wants this notebook to be recorded, for this and all later kernels."""
    _private(project)
    found = {**_choices(project), notebook: level}
    write_atomically(_choices_file(project), json.dumps(found, indent=1, sort_keys=True).encode())


def _choices(project: Path) -> dict[str, Level]:
    try:
        found = json.loads(_choices_file(project).read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(level in LEVELS for level in found.values()):
        raise SettingsInvalid(str(_choices_file(project)), "something else", "a recording level for each notebook")
    return found


def _choices_file(project: Path) -> Path:
    return folder(project) / "choices.json"


def _private(project: Path) -> None:
    """Make the folder, for its owner's eyes only."""
    folder(project).parent.mkdir(exist_ok=True)
    folder(project).mkdir(mode=0o700, exist_ok=True)
