"""Points 14 to 16, 18 and 19: limits, oversight, monitoring, what is open, and who decides."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Entry, Missing, Owed, Words
from ..evidence import Evidence
from .asking import (
    ALERTS,
    CATALOG,
    DRIFT,
    EXPLANATION,
    METRICS,
    PROFILE,
    QUALITY,
    RETRAINING,
    REVIEW,
    SCOPE,
    count,
    fact,
    facts,
    missing,
    names,
    table,
)
from .owed import said

# The phases that judge themselves, and the product in which they do.
CHECKED = {
    "01_scoping": "requirements",
    "02_data_audit": "quality",
    "03_environment": "environment",
    "04_features": "features",
    "05_tracking": "tracking",
    "06_training": "metrics",
    "07_registration": "registration",
    "08_serving": "parity",
    "09_integration": "integration",
    "10_monitoring": "drift",
}


def limitations(evidence: Evidence) -> Iterator[Entry]:
    """What is known of where it stops."""
    yield fact(evidence, "The label of the last month", CATALOG, "label/last_month")
    yield table(evidence, "Known peculiarities of the data", QUALITY, "findings",
                {"Finding": "finding", "Share": "share", "Treatment": "treatment"})  # fmt: skip
    if names(evidence, EXPLANATION, "beside/notes"):
        yield table(evidence, "Where explanations guess", EXPLANATION, "beside/notes", {"Caution": "@value"})
    yield fact(evidence, "What is traded for what", SCOPE, "risk_tolerance")
    yield said(evidence, "residual-risk")
    yield said(evidence, "impact")


def oversight(evidence: Evidence) -> Iterator[Entry]:
    """Who stands between the answer and the person."""
    yield from facts(evidence, "The decision and who takes it", SCOPE, {
        "Decision": "decision/action", "Favourable outcome": "decision/favourable_outcome",
    })  # fmt: skip
    yield table(evidence, "Users", SCOPE, "users", {"User": "@value"})
    yield said(evidence, "override")
    yield said(evidence, "disengage")


def monitoring(evidence: Evidence) -> Iterator[Entry]:
    """Limits with their owners, and what a breach sets off."""
    yield table(evidence, "Limits by phase, with their owners (those of phase 10 are monitored)", SCOPE, "thresholds", {
        "Phase": "phase", "Limit of": "name", "Slice": "slice", "Rule": "direction", "Limit": "limit", "Why": "why",
        "Owner": "owner",
    })  # fmt: skip
    yield from facts(evidence, "The trigger of a retraining", RETRAINING, {
        "Rule for retraining": "rule", "Asked for now": "triggered", "Owner": "owner",
    })  # fmt: skip
    yield from facts(evidence, "What is compared with what", DRIFT, {
        "As of": "as_of", "Label delay in months": "label_delay_months", "Rows of reference": "reference/rows",
        "AUC when accepted": "reference/auc",
    })  # fmt: skip
    if evidence.has(*RETRAINING, "triggered") and evidence.value(*RETRAINING, "triggered"):
        yield Owed("the decision on the retraining that is asked for", str(evidence.value(*RETRAINING, "owner")))
    yield Missing(
        "A stored baseline for drift of explanations", "an approved explanation that later ones are held against"
    )
    yield said(evidence, "cadence")


def findings(evidence: Evidence) -> Iterator[Entry]:
    """Everything that is not as it should be, wherever it was found."""
    yield count(evidence, "Thresholds that failed", METRICS, "thresholds", "verdict", "failed")
    yield count(evidence, "Thresholds that are undecided", METRICS, "thresholds", "verdict", "undecided")
    for place, what in (("audit", "of the whole explanation"), ("beside/audit", "of SHAP beside LIME")):
        yield count(evidence, f"Lines of the audit {what} that failed or warn", EXPLANATION, place, "verdict", "fail",
                    "warn")  # fmt: skip
    yield count(evidence, "Alerts that are red", ALERTS, "", "verdict", "red")
    for phase, key in CHECKED.items():
        if evidence.has(phase, key, "checks"):
            yield table(evidence, f"Checks of {phase}", (phase, key), "checks",
                        {"Check": "@key", "Passed": "passed", "Found": "found"}, marks="Passed")  # fmt: skip
    if evidence.has(*REVIEW, "findings") and names(evidence, REVIEW, "findings"):
        yield table(evidence, "What the review's checks found", REVIEW, "findings", {
            "Notebook": "notebook", "Check": "code", "Weighs": "severity", "Verdict": "verdict", "Cell": "cell",
            "Found": "message",
        }, marks="Verdict")  # fmt: skip
    elif evidence.has(*REVIEW, "checked"):
        yield Words("The review's checks, as far as they were made, found nothing.")
    yield table(evidence, "The review's checks by notebook", REVIEW, "checked", {
        "Notebook": "notebook", "Passed": "passed", "Failed": "failed", "Not evaluated": "unknown",
    })  # fmt: skip
    yield table(evidence, "Profile after the NIST AI RMF, current and target", PROFILE, "subcategories", {
        "Subcategory": "subcategory", "Outcome": "outcome", "Current": "current", "Target": "target",
        "Owner": "owner",
    })  # fmt: skip
    yield said(evidence, "challenge")


def sign_off(evidence: Evidence) -> Iterator[Entry]:
    """Decisions with their conditions, and the ledger."""
    if not evidence.has(*REVIEW):
        yield missing("Requests, decisions and the ledger", REVIEW)
    else:
        yield table(evidence, "How each notebook stands", REVIEW, "notebooks", {
            "Notebook": "notebook", "State": "state", "In words": "sentence", "Digest": "digest",
            "All that is bound (SHA-256)": "bound",
        })  # fmt: skip
        for place, caption, columns in (
            ("decisions", "Decisions about what is there now", {
                "Notebook": "notebook", "Decision": "decision", "Reviewer": "reviewer", "Role": "role", "At": "at",
                "Expires": "expires", "Counts": "counts", "Conditions": "conditions", "Remark": "comment",
                "File": "file",
            }),
            ("ledger", "The ledger: every request and decision, in one chain", {
                "Number": "number", "At": "at", "What": "kind", "By": "by", "Notebook": "notebook",
                "Digest": "digest", "Remark": "comment", "Hash of the line": "hash",
            }),
        ):  # fmt: skip
            if names(evidence, REVIEW, place):
                yield table(evidence, caption, REVIEW, place, columns)
            else:
                yield Missing(caption, "`nbproof review request` and `nbproof review approve`: nobody has done so")
    yield Words(
        "The hash of this file is bound by asking for a review with `nbproof review request NOTEBOOK --report FILE`; a "
        "decision then names it, and any change of it ends the decision."
    )
    yield Owed("the decision: approve, approve with conditions, or reject", "the reviewer")
