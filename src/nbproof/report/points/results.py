"""Points 7, 8 and 13: how well it does, for whom, and what happens when the world moves."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Entry, Missing
from ..evidence import Evidence, escaped
from .asking import (
    ALERTS,
    DRIFT,
    EXPLANATION,
    FEATURES,
    INTEGRATION,
    METRICS,
    PARITY,
    RECORD,
    SCOPE,
    count,
    drawn,
    fact,
    facts,
    missing,
    names,
    table,
)
from .owed import said

INTERVAL = {"Value": "value", "Low": "low", "High": "high"}


def performance(evidence: Evidence) -> Iterator[Entry]:
    """Measures with intervals on rows that were held out, against limits and a benchmark."""
    for verdict in ("met", "undecided", "failed"):
        yield count(evidence, f"Thresholds {verdict}", METRICS, "thresholds", "verdict", verdict)
    yield drawn("thresholds", "Each measure with its interval, against its limit", table(
        evidence, "Thresholds of the scope, and what training measured", METRICS, "thresholds", {
            "Threshold": "name", "Slice": "slice", "Rule": "direction", "Limit": "limit", "Value": "value",
            "Low": "low", "High": "high", "Rows": "rows", "Why": "why", "Owner": "owner", "Verdict": "verdict",
        }, marks="Verdict",
    ))  # fmt: skip
    yield from facts(evidence, "How a verdict is given", SCOPE, {
        "Confidence of the intervals": "verdict_rule/confidence", "Met": "verdict_rule/met",
        "Failed": "verdict_rule/failed", "Undecided": "verdict_rule/undecided",
    })  # fmt: skip
    for name in names(evidence, METRICS, "metrics"):
        yield table(evidence, f"Measured on {name.replace('_', ' ')}", METRICS, f"metrics/{escaped(name)}",
                    {"Measure": "@key", **INTERVAL})  # fmt: skip
    if not names(evidence, METRICS, "metrics"):
        yield missing("Measures on held-out rows, with intervals", METRICS, "metrics")
    for name in names(evidence, METRICS, "baseline"):
        yield table(evidence, f"The benchmark on {name.replace('_', ' ')}", METRICS, f"baseline/{escaped(name)}",
                    {"Measure": "@key", "Value": "@value"})  # fmt: skip
    if not names(evidence, METRICS, "baseline"):
        yield missing("A benchmark", METRICS, "baseline")
    for task in names(evidence, RECORD, "metrics"):
        yield table(evidence, f"Metrics that {task} logged", RECORD, f"metrics/{escaped(task)}",
                    {"Metric": "@key", "Value": "@value"})  # fmt: skip
    yield from facts(evidence, "The service against the model", PARITY, {
        "Rows that service and model were compared on": "rows", "Largest difference": "largest_difference",
    })  # fmt: skip
    yield from facts(evidence, "The live service", INTEGRATION, {
        "Rows that the live service was asked about": "golden_rows",
        "Largest difference to training": "golden_difference", "Latency budget in ms": "budget_ms",
    })  # fmt: skip


def groups(evidence: Evidence) -> Iterator[Entry]:
    """Measures and explanations for each group, and fairness with intervals."""
    attributes = names(evidence, METRICS, "slices")
    if not attributes:
        yield missing("Performance by group", METRICS, "slices")
    for attribute in attributes:
        spoken = attribute.replace("_", " ")
        yield drawn("groups", f"Out of time, by {spoken}: mean probability against what happened", table(
            evidence, f"Out of time, by {spoken}", METRICS, f"slices/{escaped(attribute)}", {
                "Group": "@key", "Rows": "rows", "Late": "late", "Spared a review": "spared",
                "Mean probability": "mean_probability", "Observed": "observed_rate", "AUC": "auc",
            },
        ))  # fmt: skip
    yield table(evidence, "Fairness, with intervals", METRICS, "fairness", {
        "Attribute": "@key", "Disparate impact": "disparate_impact/value", "DI low": "disparate_impact/low",
        "DI high": "disparate_impact/high", "Equal-opportunity gap": "equal_opportunity_gap/value",
        "Gap low": "equal_opportunity_gap/low", "Gap high": "equal_opportunity_gap/high", "Groups judged": "groups",
    })  # fmt: skip
    yield from _explained_by_group(evidence)
    yield Missing("Performance for combinations of attributes", "a table of slices by two attributes in phase 06")
    yield said(evidence, "unnamed-groups")


def _explained_by_group(evidence: Evidence) -> Iterator[Entry]:
    attributes = names(evidence, EXPLANATION, "mean_abs_shap_by_group")
    features = names(evidence, EXPLANATION, "mean_abs_shap")
    if not attributes:
        yield missing("Explanations by group", EXPLANATION, "mean_abs_shap_by_group")
    for attribute in attributes:
        yield table(evidence, f"Mean size of the shares, by {attribute.replace('_', ' ')}", EXPLANATION,
                    f"mean_abs_shap_by_group/{escaped(attribute)}",
                    {"Group": "@key", "Rows": "rows", **{name: escaped(name) for name in features}})  # fmt: skip


def robustness(evidence: Evidence) -> Iterator[Entry]:
    """Training again, later months, values never seen."""
    yield from facts(evidence, "Trained again on other clients", METRICS,
                     {"Spread of AUC out of time over refits": "stability/spread"})  # fmt: skip
    yield table(evidence, "AUC out of time of each refit", METRICS, "stability/out_of_time_auc",
                {"Refit": "@key", "AUC": "@value"})  # fmt: skip
    yield table(evidence, "What training saw of each feature", FEATURES, "features", {
        "Feature": "name", "Least": "seen_in_training/minimum", "Most": "seen_in_training/maximum",
        "Missing share": "seen_in_training/missing_share", "Least allowed": "minimum", "Most allowed": "maximum",
    })  # fmt: skip
    yield from _drift(evidence)
    yield Missing("The share of later rows outside the range of training", "a count in phase 10")
    yield Missing("Answers to perturbed rows", "a test of perturbations in phase 06")


def _drift(evidence: Evidence) -> Iterator[Entry]:
    windows = names(evidence, DRIFT, "windows")
    if not windows:
        yield missing("Drift since training", DRIFT, "windows")
        return
    for verdict in ("green", "amber", "red"):
        yield count(evidence, f"Later months that are {verdict}", DRIFT, "windows", "verdict", verdict)
    yield drawn("performance", "Performance by month", table(evidence, "Months after training", DRIFT, "windows", {
        "Month": "@key", "Verdict": "verdict", "Rows": "rows", "AUC": "performance/auc",
        "Mean score": "performance/mean_score", "Observed": "performance/observed",
        "Drifted share of columns": "share_of_drifted_columns",
    }, marks="Verdict"))  # fmt: skip
    yield drawn("drift", "How far each column has moved (PSI), by month", *(
        table(evidence, f"{month}: columns against training", DRIFT, f"windows/{escaped(month)}/columns", {
            "Column": "@key", "Verdict": "verdict", "PSI": "psi", "KS": "ks", "Reason": "reason",
        }, marks="Verdict")
        for month in windows
    ))  # fmt: skip
    yield from facts(
        evidence, "Limits", DRIFT, {"PSI: amber from": "limits/psi_warn", "PSI: red from": "limits/psi_alert"}
    )
    for month in windows:
        yield fact(evidence, f"{month} in words", DRIFT, f"windows/{escaped(month)}/story")
    yield table(evidence, "Alerts", ALERTS, "", {
        "Window": "window", "What": "what", "Verdict": "verdict", "Reason": "reason", "Owner": "owner",
    }, marks="Verdict")  # fmt: skip
