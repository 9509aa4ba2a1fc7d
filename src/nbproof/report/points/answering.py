"""Each point with what answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..document import Entry, Section
from ..evidence import Evidence
from . import deciding, reasoning, results, subject
from .catalogue import point

Answer = Callable[[Evidence], Iterator[Entry]]

ANSWERS: Mapping[str, Answer] = {
    "identity": subject.identity,
    "purpose": subject.purpose,
    "materiality": subject.materiality,
    "provenance": subject.provenance,
    "data": subject.data,
    "method": subject.method,
    "performance": results.performance,
    "groups": results.groups,
    "global-explanation": reasoning.global_explanation,
    "cases": reasoning.cases,
    "explanation-audit": reasoning.explanation_audit,
    "reasons": reasoning.reasons,
    "robustness": results.robustness,
    "limitations": deciding.limitations,
    "oversight": deciding.oversight,
    "monitoring": deciding.monitoring,
    "changes": subject.changes,
    "findings": deciding.findings,
    "sign-off": deciding.sign_off,
    "reproduce": subject.reproduce,
}


def answered(name: str, evidence: Evidence) -> Section:
    """The point called `name` with all that the evidence holds about it."""
    asked = point(name)
    return Section(asked.title, tuple(ANSWERS[name](evidence)), asked.asks, asked.number)
