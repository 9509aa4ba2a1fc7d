"""A whole pipeline in the words of an engine: a file that the engine's own tools take.

Each task is `nbproof run PIPELINE --only TASK` there: what is fresh does nothing, and what would read something stale
is refused, whoever starts it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from ...errors import AskedWrongly, SettingsInvalid, UnknownName, Unwritable
from ...files import write_atomically
from ...records import Pipeline, Resources
from ...run.remote.resources import whole

# By this line a file of ours is known from one that somebody wrote.
MARK = "Written by `nbproof pipeline export`"
_MODULES = {"airflow": "airflow", "argo": "argo", "prefect": "prefect", "slurm": "slurm_script"}


@dataclass(frozen=True, slots=True)
class Step:
    """One task as an engine runs it: what is typed for it, behind a Python, and by what it is preceded."""

    name: str
    arguments: tuple[str, ...]
    above: tuple[str, ...]
    resources: Resources


@dataclass(frozen=True, slots=True)
class Steps:
    """A pipeline as an engine runs it. Paths are absolute; `python` is the one that exports."""

    name: str
    project: Path
    python: str
    steps: tuple[Step, ...]


class Export(Protocol):
    """A way to spell a pipeline; it is made with its options, which are the fields of its dataclass."""

    @property
    def suffix(self) -> str:
        """How the name of the file ends, behind that of the pipeline."""
        ...

    @property
    def hint(self) -> str:
        """What to type next, about a `{file}`."""
        ...

    def spell(self, pipeline: Steps) -> str:
        """The whole file. Raises `JobRefused` and `SettingsInvalid` for what the engine would not do."""
        ...


def steps_of(pipeline: Pipeline, parameters: Sequence[str]) -> Steps:
    """The steps of a pipeline, each with the `name=value` that somebody typed."""
    given = [part for text in parameters for part in ("-p", text)]
    made = [
        Step(
            task.name,
            ("-m", "nbproof", "run", str(pipeline.file), "--only", task.name, "--wait", *given),
            task.upstream,
            whole(task),
        )
        for task in pipeline.tasks
    ]
    return Steps(pipeline.name, pipeline.project.resolve(), sys.executable, tuple(made))


def load(name: str, options: Mapping[str, str], settings: Mapping[str, Mapping[str, str]]) -> Export:
    """The export called `name` with its options, over those that the project gives its jobs on that engine.

    Raises `UnknownName`, and `SettingsInvalid` for an option that it does not know.
    """
    if name not in _MODULES:
        raise UnknownName("engine to export to", name, sorted(_MODULES), hint="nbproof pipeline export --help")
    offered: Any = import_module(f".{_MODULES[name]}", __package__).Exported
    known = [field.name for field in fields(offered)]
    for option in options:
        if option not in known:
            raise SettingsInvalid(f"`{option}` of the export to {name}", "an unknown option", ", ".join(sorted(known)))
    standard = settings.get(offered.settings_of, {})
    made: Export = offered(**{**{key: value for key, value in standard.items() if key in known}, **options})
    return made


def write(path: Path, text: str) -> None:
    """Write the file, over an earlier one of ours alone. Raises `AskedWrongly` and `Unwritable`."""
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else MARK
        if MARK not in before:
            raise AskedWrongly(
                f"`{path}` is there, and nbproof did not write it; expected none, or one of ours",
                hint="name another: --out FILE",
            )
        write_atomically(path, text.encode())
    except (OSError, UnicodeDecodeError) as error:
        raise Unwritable(path, str(getattr(error, "strerror", None) or error)) from None


def identifiers(names: Sequence[str], spell: Callable[[str], str]) -> dict[str, str]:
    """A name that the engine takes for each of `names`; two never become one."""
    found: dict[str, str] = {}
    for name in names:
        spelled, number = spell(name), 2
        while spelled in found.values():
            spelled, number = f"{spell(name)}-{number}", number + 1
        found[name] = spelled
    return found


def dashed(name: str) -> str:
    """A name of letters, digits and dashes, as Kubernetes wants it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "task"
