"""The values that the parts hand to one another: frozen, and checked when made."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["done", "failed", "blocked", "fresh", "stopped"]


@dataclass(frozen=True, slots=True, order=True)
class ContentHash:
    """A SHA-256 of some content, as 64 lower-case hexadecimal digits."""

    hex: str

    def __post_init__(self) -> None:
        if len(self.hex) != 64 or not set(self.hex) <= set("0123456789abcdef"):
            raise ValueError(f"not a SHA-256: {self.hex!r}")

    @classmethod
    def of(cls, content: bytes) -> ContentHash:
        return cls(hashlib.sha256(content).hexdigest())

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one task may run, and how often it is tried again.

    `timeout_s` is wall-clock time for one attempt (None: no limit); before attempt n + 1 the
    executor waits `backoff_s * 2 ** (n - 1)` seconds.
    """

    timeout_s: float | None = None
    retries: int = 0
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ValueError("timeout_s must be above 0")
        if self.retries < 0 or self.backoff_s < 0:
            raise ValueError("retries and backoff_s must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a task, or one element of a job, is given. `memory_mb` and `time_s` None leave it to the engine."""

    cpus: int = 1
    memory_mb: int | None = None
    gpus: int = 0
    gpu_kind: str | None = None
    time_s: int | None = None


@dataclass(frozen=True, slots=True)
class OutputCaps:
    """How many bytes of output are kept of one cell, and of all cells of one notebook."""

    cell_bytes: int = 10_000_000
    notebook_bytes: int = 100_000_000

    def __post_init__(self) -> None:
        if self.cell_bytes < 1 or self.notebook_bytes < 1:
            raise ValueError("the caps on output must be above 0")


@dataclass(frozen=True, slots=True)
class Task:
    """One notebook of a pipeline. Paths are absolute; `products` always holds the key `nb`.

    `is_single` says that the pipeline declares the executed notebook alone, as a path and not as a mapping;
    `gate` is the dotted path (and the arguments) of the function that may still refuse what was made ("": none);
    `resources` are what an engine gives it.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, Any]
    upstream: tuple[str, ...]
    products: Mapping[str, Path]
    limits: Limits = Limits()
    kernel: str = "python3"
    is_single: bool = False
    gate: str = ""
    caps: OutputCaps = OutputCaps()
    resources: Resources = Resources()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Tasks in topological order; notebooks run with `folder` as their working directory."""

    name: str
    file: Path
    folder: Path
    project: Path
    tasks: tuple[Task, ...]
    _of_name: Mapping[str, Task] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of_name", {task.name: task for task in self.tasks})

    def task(self, name: str) -> Task:
        return self._of_name[name]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a run came from: code, environment and machine."""

    git_commit: str | None
    git_dirty: bool
    environment: ContentHash
    python: str
    nbproof: str


# Names the file to which a running notebook appends its `LoggedEntry`s, one line each.
LOG_VARIABLE = "NBPROOF_LOG"


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One thing that a notebook logged about itself through `nbproof.track`.

    `child` names a nested run below the notebook's own (a candidate model, say); None is the notebook itself.
    """

    kind: Literal["parameters", "metrics", "tags", "artifact"]
    values: Mapping[str, Any]
    child: str | None = None
    step: int = 0
    at: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("parameters", "metrics", "tags", "artifact"):
            raise ValueError(f"unknown kind of entry: {self.kind!r}")
        if not isinstance(self.values, Mapping):
            raise ValueError(f"values must be a mapping: {self.values!r}")
        if self.kind == "metrics" and not all(_is_finite_number(value) for value in self.values.values()):
            raise ValueError(f"a metric must be a finite number: {dict(self.values)!r}")

    def to_json(self) -> str:
        """One line of JSON, without its line end."""
        return json.dumps(
            {"kind": self.kind, "values": dict(self.values), "child": self.child, "step": self.step, "at": self.at},
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> LoggedEntry:
        """Read what `to_json` wrote; raises `ValueError` for anything else."""
        try:
            found = json.loads(line)
            return cls(found["kind"], found["values"], found["child"], found["step"], found["at"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a logged entry: {line[:80]!r}") from error


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: str
    at: float
    pipeline: str
    file: str
    tasks: tuple[str, ...]
    parameters: Mapping[str, Any]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class TaskStarted:
    run_id: str
    at: float
    task: str
    attempt: int
    reason: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CellStarted:
    """Code cell `cell` of `cells` (counted from 1) has begun."""

    run_id: str
    at: float
    task: str
    cell: int
    cells: int


@dataclass(frozen=True, slots=True)
class CellOutput:
    """What cell `cell` said since the last time, secrets masked: whole lines, and `line`, which has not ended yet.

    `stream` is stdout, stderr, display or error. Nothing of this is remembered with the run.
    """

    run_id: str
    at: float
    task: str
    cell: int
    stream: str
    text: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """`products` maps each product key to its path (relative to the project) and content hash."""

    run_id: str
    at: float
    task: str
    outcome: Outcome
    attempt: int = 0
    elapsed_s: float = 0.0
    reason: str = ""
    notebook: str | None = None
    products: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    logged: tuple[LoggedEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFinished:
    run_id: str
    at: float
    outcome: Literal["done", "failed", "stopped"]
    elapsed_s: float
    counts: Mapping[str, int]


Event = RunStarted | TaskStarted | CellStarted | CellOutput | TaskFinished | RunFinished
Listener = Callable[[Event], None]
