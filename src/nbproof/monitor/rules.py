"""What Prometheus is told: the numbers of a look as metrics in a text file, and the limits as alert rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .look import Limits, Look

# The name of a metric, what it is, and the area and number that it shows; the label says of what.
METRICS: tuple[tuple[str, str, str, str], ...] = (
    ("nbproof_drift_psi", "Population stability index of a column against its reference.", "drift", "psi"),
    ("nbproof_drift_ks_distance", "Kolmogorov-Smirnov distance of a column from its reference.", "drift", "ks"),
    ("nbproof_drift_adjusted_p", "Adjusted p-value of the chi-square test of a column.", "drift", "chi_square_p"),
    ("nbproof_prediction_psi", "Population stability index of the predictions.", "prediction", "psi"),
    ("nbproof_prediction_adjusted_p", "Adjusted p-value of the chi-square test of the predictions.", "prediction",
     "chi_square_p"),
    ("nbproof_quality_share", "Share of rows of a window that a check of quality counts.", "quality", "window_share"),
    ("nbproof_performance_auc", "Area under the ROC curve of predictions against outcomes.", "performance", "auc"),
    ("nbproof_performance_auc_drop", "How far the AUC is below the accepted one.", "performance", "auc_drop"),
    ("nbproof_performance_calibration_gap", "Mean prediction less observed rate.", "performance", "calibration_gap"),
    ("nbproof_performance_labelled_share", "Share of the rows whose outcome has arrived.", "performance",
     "labelled_share"),
    ("nbproof_explanation_ndcg", "Agreement of the order of importance with the reference.", "explanations", "ndcg"),
    ("nbproof_fairness_disparate_impact", "Least ratio of favourable shares between groups.", "fairness",
     "disparate_impact"),
    ("nbproof_fairness_opportunity_gap", "Largest difference of favourable shares among the good.", "fairness",
     "opportunity_gap"),
)  # fmt: skip
VERDICT, ROWS, LOOKED = "nbproof_window_verdict", "nbproof_window_rows", "nbproof_window_looked_timestamp_seconds"
LEVELS = {"green": 0, "not_evaluated": 1, "amber": 2, "red": 3}


def textfile(look: Look, *, model: str, window: str, at: float) -> str:
    """The numbers of a look in Prometheus' text format; `at` is seconds since 1970, `model` says whose window it is.

    A number that could not be computed has no sample: Prometheus then knows nothing, which is not zero.
    """
    lines: list[str] = []
    for name, told, area, number in METRICS:
        samples = [
            (_labels(model=model, window=window, of=each.what), each.numbers[number])
            for each in look.findings
            if each.area == area and each.numbers.get(number) is not None
        ]
        if samples:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
            lines += [f"{name}{labels} {value!r}" for labels, value in samples]
    lines += [f"# HELP {VERDICT} What was found: 0 green, 1 not evaluated, 2 amber, 3 red.", f"# TYPE {VERDICT} gauge"]
    lines += [f"{VERDICT}{_labels(model=model, window=window, area=each.area, of=each.what)} {LEVELS[each.verdict]}"
              for each in look.findings]  # fmt: skip
    labels = _labels(model=model, window=window)
    lines += [f"# HELP {ROWS} Rows of the window.", f"# TYPE {ROWS} gauge", f"{ROWS}{labels} {look.window_rows}"]
    lines += [f"# HELP {LOOKED} When the window was looked at.", f"# TYPE {LOOKED} gauge", f"{LOOKED}{labels} {at!r}"]
    return "\n".join(lines) + "\n"


def rules(limits: Limits, *, owners: Mapping[str, str], stale_after_s: float, latency_s: float | None = None) -> str:
    """The alert rules for what `textfile` writes and what the service tells, as the YAML that Prometheus reads.

    `owners` names who answers for a limit. A window that nobody looked at for `stale_after_s` is an alert as well.
    """
    groups = [{"name": "nbproof-windows", "rules": list(_windows(limits, owners, stale_after_s))}]
    if latency_s is not None:
        groups.append({"name": "nbproof-service", "rules": [_latency(latency_s, owners)]})
    return "# Written by `nbproof monitor rules`.\n" + _yaml({"groups": groups})


def _windows(limits: Limits, owners: Mapping[str, str], stale_after_s: float) -> Iterator[dict[str, Any]]:
    drift, fairness, in_window = limits.drift, limits.fairness, "in {{ $labels.window }}"
    psi = owners.get("psi_red", "")
    for severity, limit, owner in (
        ("amber", drift.psi_warn, owners.get("psi_amber", psi)), ("red", drift.psi_alert, psi),
    ):  # fmt: skip
        for area in ("drift", "prediction"):
            summary = f"{{{{ $labels.of }}}} has PSI {{{{ $value }}}} {in_window}; the limit is {limit:g}"
            name = f"NbproofPsi{area.capitalize()}{severity.capitalize()}"
            yield _rule(name, _found(f"nbproof_{area}_psi >= {limit:g}", area), severity, owner, summary)
    yield _rule(
        "NbproofRankingLost", _found(f"nbproof_performance_auc_drop > {drift.auc_drop:g}", "performance"), "red",
        owners.get("auc_drop", ""), f"ranks worse by {{{{ $value }}}} than when it was accepted, {in_window}",
    )  # fmt: skip
    yield _rule(
        "NbproofLevelOff",
        _found(f"abs(nbproof_performance_calibration_gap) > {drift.calibration_gap:g}", "performance"), "amber",
        owners.get("monitored_calibration_gap", ""), f"score and observed rate are {{{{ $value }}}} apart {in_window}",
    )  # fmt: skip
    quality = f'{VERDICT}{{area="quality"}} >= {LEVELS["amber"]}'
    yield _rule("NbproofQuality", quality, "amber", "", f"{{{{ $labels.of }}}} {in_window}")
    yield _rule(
        "NbproofExplanationsMoved", f"nbproof_explanation_ndcg < {limits.least_ndcg:g}", "red", "",
        f"the order of importance agrees by {{{{ $value }}}} only, {in_window}",
    )  # fmt: skip
    yield _rule(
        "NbproofUnlikeGroups",
        _found(f"nbproof_fairness_disparate_impact < {fairness.disparate_impact:g}", "fairness"), "amber",
        owners.get("disparate_impact_sex", ""), f"groups by {{{{ $labels.of }}}} fare at {{{{ $value }}}} {in_window}",
    )  # fmt: skip
    yield _rule(
        "NbproofUnlikeOpportunity",
        _found(f"nbproof_fairness_opportunity_gap > {fairness.opportunity_gap:g}", "fairness"), "amber",
        owners.get("equal_opportunity_gap_sex", ""),
        f"good groups by {{{{ $labels.of }}}} fare {{{{ $value }}}} apart {in_window}",
    )  # fmt: skip
    yield _rule(
        "NbproofNobodyLooked", f"time() - max by (model) ({LOOKED}) > {stale_after_s:g}", "amber", "",
        "no window was looked at for {{ $value }} seconds",
    )  # fmt: skip


def _found(expression: str, area: str) -> str:
    """The limit, and that the look did not take it for chance: Prometheus then says what `check` says."""
    return f'{expression} and on (model, window, of) {VERDICT}{{area="{area}"}} >= {LEVELS["amber"]}'


def _latency(latency_s: float, owners: Mapping[str, str]) -> dict[str, Any]:
    expression = f"histogram_quantile(0.95, sum by (le) (rate(nbproof_request_seconds_bucket[5m]))) > {latency_s:g}"
    return _rule("NbproofServiceSlow", expression, "amber", owners.get("latency_p95_ms", ""),
                 "95 of 100 requests take up to {{ $value }} seconds", wait="5m")  # fmt: skip


def _rule(name: str, expression: str, severity: str, owner: str, summary: str, *, wait: str = "0s") -> dict[str, Any]:
    labels = {"severity": severity, **({"owner": owner} if owner else {})}
    told = {"summary": f"{{{{ $labels.model }}}}: {summary}" if "service" not in name.lower() else summary}
    return {"alert": name, "expr": expression, "for": wait, "labels": labels, "annotations": told}


def _labels(**named: str) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in named.items()) + "}"


def _yaml(value: Any, indent: int = 0) -> str:
    """Plain YAML of mappings, lists and texts; every text is quoted as JSON, which YAML reads as well."""
    pad = " " * indent
    if isinstance(value, Mapping):
        return "".join(
            f"{pad}{name}:\n{_yaml(each, indent + 2)}" if isinstance(each, Mapping | list)
            else f"{pad}{name}: {json.dumps(each, ensure_ascii=False)}\n"
            for name, each in value.items()
        )  # fmt: skip
    assert isinstance(value, Sequence)
    return "".join(f"{pad}- {_yaml(each, indent + 2).lstrip()}" for each in value)
