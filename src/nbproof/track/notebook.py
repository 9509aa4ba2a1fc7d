"""What a notebook logs about itself: metrics, parameters, tags and files, as lines in the file that the runner named.

Nothing here talks to a tracker. In a kernel that somebody uses by hand, the lines go to the recording of its session;
where nothing is recorded, the calls check their arguments, warn once and do nothing else.
"""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import os
import posixpath
import re
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import EntryInvalid
from ..records import LOG_VARIABLE, LoggedEntry
from ..settings import find_project, load
from . import kept
from .lines import as_text
from .store import store_uri

Kind = Literal["parameters", "metrics", "tags", "artifact"]

# The module that records a kernel; see capture/bootstrap.py.
RECORDING = "_nbproof_capture"
LONGEST_NAME = 250
NAME = re.compile(r"[\w.\- /:]+")
# Names that nbproof and MLflow give themselves; a notebook that took one could pass for another run.
RESERVED = ("nbproof.", "mlflow.")


@dataclass(frozen=True, slots=True)
class Recorder:
    """Logs for one tracked run: the notebook's own (`child` None) or one nested below it."""

    child: str | None = None

    def metrics(self, values: Mapping[str, Any] | None = None, /, *, step: int = 0, **named: Any) -> None:
        """Log finite numbers, all of them at `step`.

        Raises `EntryInvalid` for anything else, not a number (NaN) and infinity included.
        """
        found = {name: _number(name, value) for name, value in _joined(values, named).items()}
        if not isinstance(step, int) or isinstance(step, bool):
            raise EntryInvalid("`step` of the metrics", repr(step), "a whole number")
        self._log("metrics", found, step)

    def parameters(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Log what was chosen; each value is recorded as its text and cannot be changed afterwards."""
        found = {name: as_text(value) for name, value in _joined(values, named).items()}
        if LOG_VARIABLE in os.environ:
            for name, value in found.items():
                _refuse_change((os.environ[LOG_VARIABLE], self.child, name), value)
        self._log("parameters", found)

    def tags(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Log words about this run; the last value of a tag counts."""
        found = {name: as_text(value) for name, value in _joined(values, named).items()}
        for name in found:
            if name.startswith(RESERVED):
                raise EntryInvalid(f"tag `{name}`", "a reserved name", "a name that begins otherwise")
        self._log("tags", found)

    def artifact(self, path: str | os.PathLike[str]) -> None:
        """Log a file as it is now; what is written to `path` later does not change the record."""
        file = Path(path).absolute()
        if not file.is_file():
            raise EntryInvalid(f"artifact `{path}`", "a folder" if file.is_dir() else "nothing there", "a file")
        if LOG_VARIABLE not in os.environ and _recorded_project() is None:
            return _warn_once()
        values = {"name": file.name, "path": str(file), **_keep(file)}
        return self._log("artifact", values)

    def _log(self, kind: Kind, values: Mapping[str, Any], step: int = 0) -> None:
        if LOG_VARIABLE not in os.environ and _recorded_project() is None:
            return _warn_once()
        if not values:
            return None
        spelt = LoggedEntry(kind, values, self.child, step, _now()).to_json()
        if LOG_VARIABLE not in os.environ:
            # Only the recording knows which cell is running.
            sys.modules[RECORDING].logged(json.loads(spelt))
            return None
        line = spelt.encode() + b"\n"
        # One write in append mode: lines of processes that the notebook starts do not mix.
        descriptor = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        return None


def metrics(values: Mapping[str, Any] | None = None, /, *, step: int = 0, **named: Any) -> None:
    """Log finite numbers about this notebook's run: `track.metrics(auc=0.91)`.

    Raises `EntryInvalid` for anything else, not a number (NaN) and infinity included.
    """
    Recorder().metrics(values, step=step, **named)


def parameters(values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
    """Log what this notebook chose: `track.parameters(depth=4)`. A value cannot be changed afterwards."""
    Recorder().parameters(values, **named)


def tags(values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
    """Log words about this notebook's run: `track.tags(gate="passed")`. The last value of a tag counts."""
    Recorder().tags(values, **named)


def artifact(path: str | os.PathLike[str]) -> None:
    """Log a file of this notebook as it is now; what is written to `path` later does not change the record."""
    Recorder().artifact(path)


@contextlib.contextmanager
def child(name: str) -> Iterator[Recorder]:
    """Log for a run nested below this notebook's own, one candidate model say.

    `with track.child("gradient_boosting") as run: run.metrics(auc=0.91)`. The same name means the same run.
    """
    yield Recorder(_name("child run", name))


def tracking_uri() -> str:
    """The tracking URI in force: the runner's, or that of the project which the working directory belongs to."""
    told = os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    project = find_project(Path.cwd())
    return told or store_uri(project, load(project, os.environ))


def _joined(values: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    return {_name("name", name): value for name, value in {**(values or {}), **named}.items()}


def _name(what: str, name: Any) -> str:
    """`name`, if a tracker can hold it."""
    is_fit = (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and NAME.fullmatch(name) is not None
        and posixpath.normpath(name) == name
        and not name.startswith(("/", ".."))
        and name != "."
    )
    if not is_fit:
        raise EntryInvalid(what, repr(name), f"letters, digits and `_-. :/`, at most {LONGEST_NAME} of them")
    return str(name)


def _number(name: str, value: Any) -> float:
    """`value` as a float: any real number, or an array or tensor that holds one."""
    single = value
    if hasattr(value, "item"):
        # Several numbers are no number; the message below says so.
        with contextlib.suppress(ValueError, RuntimeError, TypeError):
            single = value.item()
    if isinstance(single, bool) or not isinstance(single, numbers.Real):
        hint = "track.tags() takes words and truth values" if isinstance(single, str | bool) else None
        raise EntryInvalid(f"metric `{name}`", f"{single!r} ({type(value).__name__})", "a finite number", hint=hint)
    try:
        number = float(single)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EntryInvalid(f"metric `{name}`", str(number), "a finite number")
    return number


def _keep(file: Path) -> dict[str, str]:
    project = _recorded_project()
    into = os.environ.get(kept.KEEP_VARIABLE) or (str(kept.folder(Path(project))) if project else None)
    if into is None:
        return {"sha256": kept.content_hash(file).hex}
    content = kept.keep(file, Path(into)).hex
    return {"sha256": content, "kept": str(Path(into) / content)}


@dataclass(slots=True)
class _Memory:
    """What this process has logged so far."""

    parameters: dict[tuple[str, str | None, str], str] = field(default_factory=dict)
    last_at: float = 0.0
    has_warned: bool = False


_memory = _Memory()


def _recorded_project() -> str | None:
    """The project whose recording takes down what this kernel does, if one does."""
    recording = sys.modules.get(RECORDING)
    return recording.project() if recording is not None else None


def _refuse_change(parameter: tuple[str, str | None, str], value: str) -> None:
    earlier = _memory.parameters.setdefault(parameter, value)
    if earlier != value:
        raise EntryInvalid(f"parameter `{parameter[2]}`", repr(value), f"{earlier!r}, as logged before")


def _now() -> float:
    """The time, at least one millisecond after the last call: trackers tell values of one metric apart by it."""
    _memory.last_at = max(time.time(), _memory.last_at + 0.001)
    return _memory.last_at


def _warn_once() -> None:
    if not _memory.has_warned:
        _memory.has_warned = True
        warnings.warn(
            "no run is being recorded: this notebook runs neither under `nbproof run` nor in a recorded kernel, "
            "so nothing is logged",
            UserWarning,
            stacklevel=5,
        )
