"""What a kernel wrote about its cells, as values: which cells ran, in which order, how long, and how they ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from ...records import LoggedEntry
from ..journal import is_live

ExecutionOutcome = Literal["running", "ok", "error", "lost", "unlogged"]
SessionOutcome = Literal["running", "done", "killed", "died"]
LATE = "it ran before the recording began"
LONGEST_TEXT = 1000
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Execution:
    """One cell that ran.

    `number` counts the executions of the session in the order in which they began; `count` is what the notebook shows
    beside the cell. `outcome` is `lost` when the kernel ended before the cell did, or began it before it was recorded
    (then `error` says so, and nothing else is known), and `unlogged` for a cell tagged
    `nolog`, of which nothing but that it ran is known. `parent` is the execution that ran this one, if one did.
    """

    exec_id: str
    number: int
    started_at: float
    outcome: ExecutionOutcome = "running"
    cell_id: str | None = None
    code_sha256: str | None = None
    code: str | None = None
    tags: tuple[str, ...] = ()
    parent: str | None = None
    is_quiet: bool = False
    seconds: float | None = None
    count: int | None = None
    error: str | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Around:
    """What a session ran in, as it was at the time `at`: commit, environment, and the notebook's file."""

    at: float
    git_commit: str | None = None
    git_dirty: bool = False
    environment: str | None = None
    digest: str | None = None
    notebook_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """The word that a session has ended: `by` the kernel itself, or the server that ended it or found it dead."""

    by: str
    how: str
    at: float


@dataclass(frozen=True, slots=True)
class NotebookSession:
    """One life of a kernel: what was executed in it, in order.

    `notebook` is the path within the project, where a notebook stands behind the kernel. `level` is how much was
    recorded last. `missed` counts lines that the disk would not take; `damaged` names lines that cannot be read.
    """

    session_id: str
    notebook: str | None
    kernel_id: str
    life: int
    python: str
    level: str
    opened_at: float
    last_at: float
    is_live: bool
    executions: tuple[Execution, ...]
    logged: tuple[tuple[str | None, LoggedEntry], ...] = ()
    around: tuple[Around, ...] = ()
    closings: tuple[Closing, ...] = ()
    missed: int = 0
    damaged: tuple[str, ...] = ()

    @property
    def outcome(self) -> SessionOutcome:
        """How the session ended: by itself, by being killed while a cell ran, or by the death of its kernel."""
        if self.is_live:
            return "running"
        if any(closing.by == "kernel" for closing in self.closings):
            return "done"
        if not self.closings or any(closing.how == "died" for closing in self.closings):
            return "died"
        return "killed" if any(execution.outcome == "lost" for execution in self.executions) else "done"


class Reader:
    """Reads a file of lines from where it stopped the last time.

    `read()` returns the executions that changed since; `session()` is the whole as a value. A line that cannot be read
    is named and passed over: it hides nothing but itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: tuple[int, int] | None = None
        self._lives = False
        self._forget()

    def has_news(self) -> bool:
        """Whether there is something to read."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return False
        return (state.st_dev, state.st_ino) != self._file or state.st_size != self.offset + len(self._rest)

    def read(self) -> tuple[Execution, ...]:
        """Take in what is new; raises `OSError` when the file is not there (yet)."""
        self._changed.clear()
        # Asked before reading: of a kernel that is gone by then, every line is there.
        self._lives = is_live(self.path)
        with self.path.open("rb") as file:
            state = os.fstat(file.fileno())
            if (state.st_dev, state.st_ino) != self._file or state.st_size < self.offset:
                self._forget()
                self._file = (state.st_dev, state.st_ino)
            file.seek(self.offset)
            content = file.read()
        *lines, self._rest = content.split(b"\n")
        for line in lines:
            self._take(line)
            self.offset += len(line) + 1
        return tuple(self._executions[exec_id] for exec_id in self._changed)

    def session(self) -> NotebookSession | None:
        """The session as far as it was read; None while the file does not say which one it is."""
        if self._opened is None:
            return None
        lives = self._lives
        cut = () if lives or not self._rest else (f"line {self._number + 1} was cut short",)
        found = self._executions.values()
        return replace(
            self._opened,
            is_live=lives,
            last_at=max(self._last_at, self._opened.opened_at),
            executions=tuple(found if lives else map(_as_lost, found)),
            logged=tuple(self._logged),
            around=tuple(sorted(self._around, key=lambda around: around.at)),
            closings=tuple(self._closings),
            missed=self._missed,
            damaged=(*self._damaged, *cut),
        )

    def _forget(self) -> None:
        self.offset, self._number, self._rest = 0, 0, b""
        self._opened: NotebookSession | None = None
        self._last_at = 0.0
        self._executions: dict[str, Execution] = {}
        self._logged: list[tuple[str | None, LoggedEntry]] = []
        self._around: list[Around] = []
        self._closings: list[Closing] = []
        self._missed = 0
        self._damaged: list[str] = []
        self._changed: dict[str, None] = {}

    def _take(self, line: bytes) -> None:
        self._number += 1
        try:
            found = json.loads(line)
            self._kinds[found["kind"]](self, found)
            if "at" in found:
                self._last_at = max(self._last_at, _number(found, "at"))
        except (ValueError, KeyError, TypeError, AttributeError):
            if len(self._damaged) < MOST_NAMED:
                self._damaged.append(f"line {self._number} cannot be read")

    def _open(self, found: Mapping[str, Any]) -> None:
        # A file that somebody removed under a running kernel is begun anew; the first word on a session counts.
        if self._opened is not None:
            return
        at = _number(found, "at")
        notebook = _text(found, "notebook")
        self._opened = NotebookSession(
            session_id=str(found["session"]),
            notebook=notebook or None,
            kernel_id=str(found["kernel_id"]),
            life=int(found["life"]),
            python=_text(found, "python") or "",
            level=_text(found, "level") or "metadata",
            opened_at=at,
            last_at=at,
            is_live=False,
            executions=(),
        )

    def _start(self, found: Mapping[str, Any]) -> None:
        execution = Execution(
            exec_id=str(found["exec_id"]),
            number=int(found["number"]),
            started_at=_number(found, "at"),
            cell_id=_text(found, "cell_id"),
            code_sha256=_text(found, "code_sha256"),
            code=found["code"] if isinstance(found.get("code"), str) else None,
            tags=tuple(str(tag)[:LONGEST_TEXT] for tag in found.get("tags", ())),
            parent=_text(found, "parent"),
            is_quiet=bool(found.get("is_quiet", False)),
        )
        if found.get("unlogged"):
            execution = replace(execution, outcome="unlogged")
        if found.get("late"):
            execution = replace(execution, outcome="lost", error=LATE, count=int(found["count"]))
        self._put(execution)

    def _end(self, found: Mapping[str, Any]) -> None:
        execution = self._executions[found["exec_id"]]
        outcome = found["outcome"]
        if outcome not in ("ok", "error"):
            raise ValueError(f"not an outcome: {outcome!r}")
        count = found.get("count")
        self._put(
            replace(
                execution,
                outcome=outcome,
                seconds=_number(found, "seconds"),
                count=count if isinstance(count, int) else None,
                error=_error(found.get("error")),
                runs=tuple(str(run)[:LONGEST_TEXT] for run in found.get("runs", ())),
            )
        )

    def _put(self, execution: Execution) -> None:
        self._executions[execution.exec_id] = execution
        self._changed[execution.exec_id] = None

    def _log(self, found: Mapping[str, Any]) -> None:
        self._logged.append((_text(found, "exec_id"), LoggedEntry.from_json(json.dumps(found["entry"]))))
        self._last_at = max(self._last_at, self._logged[-1][1].at)

    def _set_level(self, found: Mapping[str, Any]) -> None:
        if self._opened is not None:
            self._opened = replace(self._opened, level=str(found["level"]))

    def _rename(self, found: Mapping[str, Any]) -> None:
        if self._opened is not None:
            self._opened = replace(self._opened, notebook=_text(found, "notebook"))

    def _look_around(self, found: Mapping[str, Any]) -> None:
        texts = {name: _text(found, name) for name in ("git_commit", "environment", "digest", "notebook_sha256")}
        self._around.append(Around(_number(found, "at"), git_dirty=bool(found.get("git_dirty")), **texts))

    def _close(self, found: Mapping[str, Any]) -> None:
        self._closings.append(Closing(str(found["by"]), str(found["how"]), _number(found, "at")))

    def _miss(self, found: Mapping[str, Any]) -> None:
        self._missed += int(found["lines"])

    _kinds: Mapping[str, Callable[[Reader, Mapping[str, Any]], None]] = {
        "opened": _open,
        "started": _start,
        "ended": _end,
        "logged": _log,
        "level": _set_level,
        "renamed": _rename,
        "around": _look_around,
        "closed": _close,
        "missed": _miss,
    }


def read_session(path: Path) -> NotebookSession | None:
    """The session in a file; None when it does not even say which one it is."""
    reader = Reader(path)
    reader.read()
    return reader.session()


def as_json(execution: Execution) -> dict[str, Any]:
    """An execution as JSON knows it."""
    return {name: getattr(execution, name) for name in _FIELDS}


def around_line(around: Around) -> dict[str, Any]:
    """What surrounds a session, as a line of its file."""
    return {"kind": "around", **{field.name: getattr(around, field.name) for field in fields(around)}}


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line of the server's to the kernel's file, if there is one; a session without cells has none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, json.dumps(line).encode("ascii") + b"\n")
    finally:
        os.close(descriptor)


_FIELDS = tuple(field.name for field in fields(Execution))


def _as_lost(execution: Execution) -> Execution:
    return replace(execution, outcome="lost") if execution.outcome == "running" else execution


def _error(found: Any) -> str | None:
    if found is None:
        return None
    message = found.get("message")
    return f"{found['type']}: {message}"[:LONGEST_TEXT] if message else str(found["type"])[:LONGEST_TEXT]


def _text(found: Mapping[str, Any], name: str) -> str | None:
    value = found.get(name)
    return None if value is None else str(value)[:LONGEST_TEXT]


def _number(found: Mapping[str, Any], name: str) -> float:
    value = found[name]
    # A number that is none (NaN) would order nothing, and no JSON could carry it on.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(f"not a number: {value!r}")
    return float(value)
