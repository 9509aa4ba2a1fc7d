"""What checks say: findings at a place, and a verdict that may also be that nothing could be said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...notebook.document import Cell, Document
from ...settings import Settings

Severity = Literal["error", "warning", "note"]
Judgement = Literal["passed", "failed", "not evaluated"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is found: `number` counts the notebook's cells from 1, `line` the lines of that cell."""

    message: str
    cell: str | None = None
    number: int | None = None
    line: int | None = None


class NotEvaluated(Exception):
    """A check could not be made; its text says why. That is never the same as having passed."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the checks look at: the notebook as it lies on the disk, and its project.

    `kept` is what one check has looked up and another need not look up again.
    """

    document: Document
    project: Path
    settings: Settings
    kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def code(self) -> Iterator[tuple[int, Cell]]:
        """The code cells with their numbers, counted from 1 among all cells."""
        for number, cell in enumerate(self.document.cells, start=1):
            if cell.kind == "code":
                yield number, cell

    def raw(self, number: int) -> Any:
        """The cell as its file holds it."""
        return self.document.content["cells"][number - 1]


Look = Callable[[Inspected], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """`code` is for machines and never given to another check; `sentence` says what is so when it passes."""

    code: str
    name: str
    sentence: str
    hint: str
    severity: Severity
    is_dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check said. `reason` says why it was not evaluated."""

    check: Check
    severity: Severity
    verdict: Judgement
    findings: tuple[Finding, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks said about a notebook. `bound` is the hash of all that was there when they looked."""

    notebook: str
    outcomes: tuple[Outcome, ...]
    bound: str = ""
    metrics: tuple[tuple[str, float, str, Judgement], ...] = field(default=())

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes that stand in the way."""
        return tuple(held for held in self.outcomes if held.verdict == "failed" and held.severity == "error")

    @property
    def passes(self) -> bool:
        return not self.failed

    def to_json(self) -> dict[str, Any]:
        return {
            "notebook": self.notebook,
            "bound": self.bound,
            "passes": self.passes,
            "checks": [
                {
                    "code": held.check.code,
                    "name": held.check.name,
                    "sentence": held.check.sentence,
                    "hint": held.check.hint,
                    "severity": held.severity,
                    "verdict": held.verdict,
                    "reason": held.reason,
                    "findings": [
                        {"message": one.message, "cell": one.cell, "number": one.number, "line": one.line}
                        for one in held.findings
                    ],
                }
                for held in self.outcomes
            ],
            "metrics": [
                {"name": name, "value": value, "threshold": threshold, "verdict": verdict}
                for name, value, threshold, verdict in self.metrics
            ],
        }
