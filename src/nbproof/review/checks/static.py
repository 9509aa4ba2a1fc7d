"""The checks that read and start nothing: which there are, and all of them made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...errors import NbproofError
from ...notebook.document import read
from ...settings import Settings
from . import catalogue, evidence, safety, source, stored
from .findings import Check, Finding, Inspected, Look, NotEvaluated, Outcome, Severity

LOOKS: Mapping[Check, Look] = {
    catalogue.CONTRACT: source.contract,
    catalogue.SYNTAX: source.syntax,
    catalogue.ORDER: stored.order,
    catalogue.PATHS: source.paths,
    catalogue.INSTALLS: source.installs,
    catalogue.SECRETS: stored.secrets,
    catalogue.LINT: stored.lint,
    catalogue.OWED: stored.owed,
    catalogue.NAMES: source.names,
    catalogue.LOCK: stored.lock,
    catalogue.SAFETY: safety.scanned,
    catalogue.ADVISORIES: safety.vulnerable,
    catalogue.FINGERPRINTS: evidence.fingerprints,
    catalogue.VALIDATION: evidence.validation,
    catalogue.REQUIREMENTS: evidence.metrics,
    catalogue.EXPLANATION: evidence.explanation,
    catalogue.FAIRNESS: evidence.fairness,
}
MOST_FINDINGS = 200


def static_outcomes(notebook: Path, project: Path, settings: Settings) -> tuple[Outcome, ...]:
    """Make every static check; raises `NotebookInvalid` when the file is no notebook at all."""
    inspected = Inspected(read(notebook), project, settings)
    return tuple(
        outcome(check, look, inspected)
        for check, look in LOOKS.items()
        if settings.review_severity.get(check.code) != "off"
    )


def outcome(check: Check, look: Look, inspected: Inspected) -> Outcome:
    """Make one check. What keeps it from being made is its reason, and no verdict on the notebook."""
    severity = severity_of(check, inspected.settings)
    try:
        findings: tuple[Finding, ...] = tuple(look(inspected))[:MOST_FINDINGS]
    except NotEvaluated as reason:
        return Outcome(check, severity, "not evaluated", reason=str(reason))
    except (NbproofError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Outcome(check, severity, "not evaluated", reason=str(error)[:200])
    return Outcome(check, severity, "failed" if findings else "passed", findings)


def severity_of(check: Check, settings: Settings) -> Severity:
    """How much a check weighs in this project."""
    chosen = settings.review_severity.get(check.code, check.severity)
    return "error" if chosen == "error" else "warning" if chosen == "warning" else "note"
