"""Points 1 to 6: what is looked at, where it came from, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Entry, Missing, Words
from ..evidence import Evidence, escaped
from .asking import (
    CANDIDATES,
    CATALOG,
    CHAMPION,
    ENVIRONMENT,
    EXPLANATION,
    FEATURES,
    QUALITY,
    RECORD,
    REGISTRATION,
    REVIEW,
    RULES,
    SCOPE,
    TRACKING,
    fact,
    facts,
    missing,
    names,
    table,
)
from .owed import said


def identity(evidence: Evidence) -> Iterator[Entry]:
    """Model, version, relation to earlier ones, owners."""
    yield from facts(evidence, "The registration of the model", REGISTRATION, {
        "Name": "name", "Version": "semver", "Change": "change", "Alias": "alias", "Kind": "champion",
        "SHA-256 of the model": "hashes/model_sha256",
    })  # fmt: skip
    yield table(evidence, "Who answers for which measure", SCOPE, "owners", {"Measure": "@key", "Owner": "@value"})
    yield said(evidence, "provider")
    yield said(evidence, "licence")


def purpose(evidence: Evidence) -> Iterator[Entry]:
    """What it is for and what not."""
    yield from facts(evidence, "The scope of the model", SCOPE, {
        "Intended use": "intended_use", "Purpose": "purpose", "Problem": "problem_type", "Decision": "decision/action",
        "Cutoff": "decision/cutoff", "Favourable outcome": "decision/favourable_outcome",
    })  # fmt: skip
    yield table(evidence, "Users", SCOPE, "users", {"User": "@value"})
    yield table(evidence, "Out of scope", SCOPE, "out_of_scope", {"Use": "@value"})
    yield said(evidence, "misuse")


def materiality(evidence: Evidence) -> Iterator[Entry]:
    """Tier and rules."""
    yield from facts(evidence, "The tier of the model", SCOPE, {
        "Tier": "materiality/tier", "Exposure": "materiality/exposure", "Purpose": "materiality/purpose",
        "Risk tolerance": "risk_tolerance",
    })  # fmt: skip
    yield said(evidence, "materiality")
    yield table(evidence, "Rules by jurisdiction, as scoping resolved them", RULES, "rules", {
        "Rule": "rule", "Jurisdiction": "jurisdiction", "Status": "status", "Since": "since", "Reason": "reason",
    })  # fmt: skip
    yield said(evidence, "rules")


def provenance(evidence: Evidence) -> Iterator[Entry]:
    """Notebooks, cells, parameters, data, environment, seeds, run."""
    if not evidence.has(*RECORD):
        yield missing("The record of the run: notebooks, parameters, seeds, data and environment", RECORD)
    else:
        yield from _recorded(evidence)
    yield from facts(evidence, "The locked environment", ENVIRONMENT, {
        "Python": "python", "Implementation": "implementation", "System": "platform/system",
        "Machine": "platform/machine",
    })  # fmt: skip
    yield fact(evidence, "SHA-256 of the lock", TRACKING, "tags/lock_sha256/value")
    yield Missing("The processor, memory and accelerator of the run", "a recorder of hardware; no run records it yet")


def _recorded(evidence: Evidence) -> Iterator[Entry]:
    yield from facts(evidence, "The pipeline", RECORD, {
        "Pipeline": "pipeline/name", "File": "pipeline/file", "Notebooks": "pipeline/notebooks",
    })  # fmt: skip
    yield table(evidence, "Runs that made the products", RECORD, "runs", {
        "Run": "@key", "Started": "started", "Outcome": "outcome", "Seconds": "elapsed_s", "Commit": "git_commit",
        "Changed since the commit": "git_dirty", "Python": "python", "nbproof": "nbproof",
        "Environment (SHA-256)": "environment_sha256",
    })  # fmt: skip
    yield table(evidence, "Notebooks, in the order of the pipeline", RECORD, "tasks", {
        "Task": "@key", "Notebook": "notebook", "After": "upstream", "Run": "run_id", "Finished": "finished",
        "Attempt": "attempt", "Seconds": "elapsed_s", "Seed": "seed",
    })  # fmt: skip
    yield table(evidence, "Content of each notebook (its digest), and of its executed copy", RECORD, "tasks", {
        "Task": "@key", "Digest (SHA-256)": "digest", "Executed copy (SHA-256)": "executed_sha256",
    })  # fmt: skip
    for task in names(evidence, RECORD, "tasks"):
        place = f"tasks/{escaped(task)}/parameters"
        if names(evidence, RECORD, place):
            yield table(evidence, f"Parameters of {task}", RECORD, place, {"Parameter": "@key", "Value": "@value"})
    yield table(evidence, "Data that was read, by content", RECORD, "data", {
        "File": "file", "Read by": "task", "SHA-256": "sha256",
    })  # fmt: skip


def data(evidence: Evidence) -> Iterator[Entry]:
    """The heads of a data sheet, as far as machines can fill them."""
    yield from facts(evidence, "The catalogue of the data", CATALOG, {
        "Title": "title", "Rows": "rows", "Units": "clients", "Entity": "entity", "Time": "event_time",
        "Label": "label/meaning", "Label of the last month": "label/last_month", "Residency": "residency",
    })  # fmt: skip
    yield table(evidence, "Sources", CATALOG, "sources", {
        "File": "file", "Rows": "rows", "Licence": "licence", "Modified": "modified", "Citation": "citation",
        "SHA-256": "sha256",
    })  # fmt: skip
    yield table(evidence, "Columns", CATALOG, "columns", {"Column": "@key", "Type": "@value"})
    yield table(evidence, "Personal data", CATALOG, "personal_data", {"Kind": "@key", "Columns": "@value"})
    yield table(evidence, "Tables of rows", FEATURES, "splits", {
        "Table": "@key", "Months": "months", "Clients": "clients", "Rows": "rows", "Label rate": "label_rate",
    })  # fmt: skip
    yield table(evidence, "Label rate by month", QUALITY, "label_rate", {"Month": "@key", "Rate": "@value"})
    for attribute in names(evidence, QUALITY, "representation"):
        yield table(evidence, f"Clients by {attribute}", QUALITY, f"representation/{escaped(attribute)}",
                    {"Group": "@key", "Clients": "@value"})  # fmt: skip
    yield table(evidence, "What the audit found, and what was done", QUALITY, "findings", {
        "Finding": "finding", "Count": "count", "Of": "of", "Share": "share", "Treatment": "treatment",
    })  # fmt: skip
    yield table(evidence, "Checks of the data", QUALITY, "checks", {
        "Check": "@key", "Passed": "passed", "Found": "found",
    }, marks="Passed")  # fmt: skip
    yield table(evidence, "Features", FEATURES, "features", {
        "Feature": "name", "Type": "type", "May be missing": "nullable", "Made of": "sources", "Rule": "rule",
    })  # fmt: skip
    yield table(evidence, "Protected attributes: they judge the model and never reach it", SCOPE,
                "protected_attributes", {"Attribute": "@value"})  # fmt: skip
    for code in ("data-origin", "data-consent", "data-maintenance"):
        yield said(evidence, code)


def method(evidence: Evidence) -> Iterator[Entry]:
    """What was chosen, why, and instead of what."""
    yield from facts(evidence, "The chosen model", CHAMPION, {
        "Model": "name", "Why it was chosen": "reason", "Calibration": "calibration", "Cutoff": "cutoff",
    })  # fmt: skip
    yield table(evidence, "Parameters of the chosen model", CHAMPION, "parameters",
                {"Parameter": "@key", "Value": "@value"})  # fmt: skip
    yield table(evidence, "How the choice is made", SCOPE, "selection_rule", {"Rule": "@key", "Says": "@value"})
    yield table(evidence, "The alternatives that were tried", CANDIDATES, "candidates", {
        "Candidate": "@key", "AUC in training": "train_auc", "AUC on validation": "metrics/validation/auc/value",
        "Low": "metrics/validation/auc/low", "High": "metrics/validation/auc/high",
        "AUC out of time": "metrics/out_of_time/auc/value", "Brier out of time": "metrics/out_of_time/brier/value",
        "Calibration": "calibration/method", "Breaks": "breaks",
    })  # fmt: skip
    yield table(evidence, "How far behind the best, in AUC on validation", CANDIDATES, "differences_to_best",
                {"Candidate": "@key", "Behind": "value", "Low": "low", "High": "high"})  # fmt: skip
    yield said(evidence, "assumptions")


def changes(evidence: Evidence) -> Iterator[Entry]:
    """What is different from what was approved last."""
    yield from facts(evidence, "The version against the registry", REGISTRATION,
                     {"Change of the version": "change", "Version": "semver"})  # fmt: skip
    if not evidence.has(*REVIEW):
        yield missing("The difference to the version that was approved last", REVIEW)
        return
    compared = names(evidence, REVIEW, "changes")
    yield table(evidence, "Against which approval each notebook is compared", REVIEW, "notebooks", {
        "Notebook": "notebook", "Last approved": "last/at", "By": "last/reviewer", "Standing now": "state",
    })  # fmt: skip
    if not compared:
        yield Missing("A difference to an approved version", "an earlier approval: no notebook has one")
    for name in compared:
        yield from _changed(evidence, name)
    yield from _explanations_changed(evidence)


def _changed(evidence: Evidence, name: str) -> Iterator[Entry]:
    place = f"changes/{escaped(name)}"
    notebook = str(evidence.value(*REVIEW, f"{place}/notebook"))
    yield fact(evidence, f"{notebook}: same as approved", REVIEW, f"{place}/same", is_verdict=True)
    for part, columns in (
        (
            "cells",
            {"Cell": "id", "Before": "before", "Now": "after", "What": "fate", "Words": "words", "Lines": "text"},
        ),
        ("parameters", {"Parameter": "name", "Before": "before", "Now": "after"}),
        ("metrics", {"Metric": "name", "Before": "before", "Now": "after"}),
        ("things", {"Data, modules, environment, files": "@value"}),
    ):
        if names(evidence, REVIEW, f"{place}/{part}"):
            yield table(evidence, f"{notebook}: {part}", REVIEW, f"{place}/{part}", columns)


def _explanations_changed(evidence: Evidence) -> Iterator[Entry]:
    lines = evidence.value(*EXPLANATION, "audit") if evidence.has(*EXPLANATION, "audit") else []
    for at, line in enumerate(lines):
        if "nDCG" in str(line.get("name")):
            yield fact(evidence, "Explanations against the approved ones (nDCG)", EXPLANATION, f"audit/{at}/sentence")
            return
    yield Missing("Explanations against the approved ones (nDCG)", "an audit with an approved explanation at hand")


def reproduce(evidence: Evidence) -> Iterator[Entry]:
    """The commands, and what they compare."""
    yield Words(
        "`nbproof run PIPELINE --force` carries out every notebook again; `nbproof report PIPELINE` refuses where a "
        "product is not what its run left, and writes this report anew; `nbproof report --verify FILE` reads every "
        "number of this file again from the source that it names, and says which are found."
    )
    yield fact(evidence, "The file to run", RECORD, "pipeline/file")
    yield fact(evidence, "The command that the tracker keeps", TRACKING, "reproduce")
    yield table(evidence, "What phase 05 compared when it ran again", TRACKING, "checks", {
        "Check": "@key", "Passed": "passed", "Found": "found",
    }, marks="Passed")  # fmt: skip
