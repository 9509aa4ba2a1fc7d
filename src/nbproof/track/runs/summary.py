"""One tracked run in a list of thousands: what is shown of it, and what it can be found by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..notebook import RESERVED

Kind = Literal["pipeline", "task", "child", "session", "own"]
Status = Literal["running", "done", "failed", "stopped", "interrupted"]

KINDS: tuple[Kind, ...] = ("pipeline", "task", "child", "session", "own")
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
STATUS: Mapping[str, Status] = {
    "RUNNING": "running", "SCHEDULED": "running", "FINISHED": "done", "FAILED": "failed", "KILLED": "stopped"
}  # fmt: skip
# A store in SQL has no infinity: MLflow writes the largest number there is.
LARGEST = 1.7976931348623157e308


@dataclass(frozen=True, slots=True)
class Summary:
    """One run. Times are milliseconds since the epoch, `end_ms` None while it runs.

    `kind` says who began it: nbproof (a pipeline's run, an attempt at a task, a nested run, a notebook session), or
    the user's own code. `notebook` and `source` are as recorded, `parent` is the run that it is nested in, and
    `metrics` holds the last value of each, which need not be a number that exists. `tags` are the user's own.
    """

    run_id: str
    name: str
    kind: Kind
    status: Status
    start_ms: int
    end_ms: int | None
    notebook: str = ""
    task: str = ""
    parent: str = ""
    source: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def summarise(run: Any) -> Summary:
    """The summary of a run as MLflow holds it."""
    tags = dict(run.data.tags)
    kind = tags.get("nbproof.kind", "own")
    status = STATUS.get(run.info.status, "stopped")
    return Summary(
        run_id=run.info.run_id,
        name=run.info.run_name or tags.get("mlflow.runName") or run.info.run_id,
        kind=kind if kind in KINDS else "own",
        status="interrupted" if tags.get("nbproof.outcome") == "interrupted" else status,
        start_ms=run.info.start_time or 0,
        end_ms=run.info.end_time or None,
        notebook=tags.get("nbproof.notebook", ""),
        task=tags.get("nbproof.task", ""),
        parent=tags.get(PARENT, ""),
        source=tags.get("mlflow.source.name", ""),
        metrics={name: true_number(value) for name, value in run.data.metrics.items()},
        parameters=dict(run.data.params),
        tags=own_tags(tags),
    )


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that neither nbproof nor MLflow gave."""
    return {name: value for name, value in tags.items() if not name.startswith(RESERVED)}


def true_number(value: float) -> float:
    """The number that was logged: what a store holds in place of infinity is infinity again."""
    return math.copysign(math.inf, value) if abs(value) >= LARGEST else value


def text_of(run: Summary) -> str:
    """What a search looks through, in small letters: names, parameters and tags, each with its value."""
    pairs = (f"{name}={value}" for held in (run.parameters, run.tags) for name, value in held.items())
    return "\n".join((run.name, run.run_id, run.notebook, run.task, run.source, *pairs)).lower()


def is_found(run: Summary, words: Sequence[str]) -> bool:
    """Whether every one of the words, in small letters, is somewhere in the run."""
    if not words:
        return True
    text = text_of(run)
    return all(word in text for word in words)


def words_of(search: str) -> tuple[str, ...]:
    """The words of a search as they are typed; those within double quotes are one."""
    parts: Iterable[str] = search.lower().split('"')
    return tuple(
        word.strip()
        for number, part in enumerate(parts)
        for word in ([part] if number % 2 else part.split())
        if word.strip()
    )
