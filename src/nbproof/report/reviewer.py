"""What the notebook of the reviewer's report calls: its head and its points, each as an output that is a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ReportRefused
from . import spelling
from .document import Entry, Section
from .evidence import Evidence
from .points import owed
from .points.answering import answered
from .points.asking import (
    ALERTS,
    CHAMPION,
    DRIFT,
    EXPLANATION,
    METRICS,
    RECORD,
    REGISTRATION,
    REVIEW,
    SCOPE,
    count,
    fact,
)

GLANCE = "At a glance"


@dataclass(frozen=True, slots=True)
class Shown:
    """A section as the output of a cell: values for the converter, words for who opens the notebook."""

    section: Section

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {spelling.MIME: spelling.written(self.section), "text/plain": repr(self)}

    def __repr__(self) -> str:
        kinds = [type(entry).__name__.lower() for entry in self.section.entries]
        counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"{self.section.title}: {counted or 'nothing'}"


class Report:
    """The report over products by phase and key; `head` and `point` are what its cells show."""

    def __init__(self, products: Mapping[str, Mapping[str, str]]) -> None:
        self.evidence = Evidence(products)
        if unknown := owed.unknown(self.evidence):
            raise ReportRefused("the answers", [f"`{code}` is nothing that is owed" for code in unknown])

    def head(self) -> Shown:
        """What a reviewer sees first."""
        return Shown(Section(GLANCE, tuple(self._glance())))

    def point(self, name: str) -> Shown:
        """One of the twenty points."""
        return Shown(answered(name, self.evidence))

    def _glance(self) -> Iterator[Entry]:
        found = self.evidence
        yield fact(found, "Model", REGISTRATION, "name")
        yield fact(found, "Version", REGISTRATION, "semver")
        yield fact(found, "Intended use", SCOPE, "intended_use")
        yield fact(found, "Why this model", CHAMPION, "reason")
        yield fact(found, "Pipeline", RECORD, "pipeline/name")
        for verdict in ("met", "undecided", "failed"):
            yield count(found, f"Thresholds {verdict}", METRICS, "thresholds", "verdict", verdict)
        for place, what in (("audit", "of the whole explanation"), ("beside/audit", "of SHAP beside LIME")):
            yield count(found, f"Lines of the audit {what} that failed", EXPLANATION, place, "verdict", "fail")
        for verdict in ("green", "amber", "red"):
            yield count(found, f"Later months that are {verdict}", DRIFT, "windows", "verdict", verdict)
        yield count(found, "Alerts that are red", ALERTS, "", "verdict", "red")
        yield count(found, "Notebooks that are approved as they are now", REVIEW, "notebooks", "state", "approved",
                    "approved with conditions")  # fmt: skip
        yield count(found, "Findings of the review's checks that weigh as errors", REVIEW, "findings", "severity",
                    "error")  # fmt: skip
