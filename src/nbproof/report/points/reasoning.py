"""Points 9 to 12: why the model answers as it does, in whole and for single rows, and how far that can be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Entry, Missing
from ..evidence import Evidence, escaped
from .asking import EXPLANATION, count, drawn, fact, facts, missing, names, table
from .owed import said

AUDIT = {
    "Line": "name", "Verdict": "verdict", "Value": "value", "In words": "sentence", "Limit": "threshold",
    "Defined by": "source",
}  # fmt: skip


def global_explanation(evidence: Evidence) -> Iterator[Entry]:
    """What weighs most, with error bars; direction and dependence."""
    yield from facts(evidence, "The explanation", EXPLANATION, {
        "Method": "method", "Exact": "is_exact", "Unit": "unit", "Base": "base_value", "Rows": "rows", "Seed": "seed",
        "Largest gap between shares and answer": "additivity_error",
    })  # fmt: skip
    yield drawn("importance", "Mean size of each feature's shares, with its interval", table(
        evidence, "Mean absolute SHAP value, with its 95 % interval", EXPLANATION, "mean_abs_shap_interval",
        {"Feature": "@key", "Value": "value", "Low": "low", "High": "high"},
    ))  # fmt: skip
    yield table(evidence, "Direction: rank correlation of a feature's value with its share", EXPLANATION, "direction",
                {"Feature": "@key", "Rank correlation": "@value"})  # fmt: skip
    yield said(evidence, "directions")
    features = names(evidence, EXPLANATION, "dependence")
    if not features:
        yield missing("How the share depends on the value", EXPLANATION, "dependence")
    for feature in features:
        yield drawn("dependence", f"Mean share by the value of {feature}", table(
            evidence, f"Mean share by the value of {feature}", EXPLANATION, f"dependence/{escaped(feature)}",
            {"Above": "above", "Up to": "up_to", "Rows": "rows", "Mean share": "mean_share"},
        ))  # fmt: skip
    yield Missing("Interactions of features", "interaction values in phase 06")


def cases(evidence: Evidence) -> Iterator[Entry]:
    """Single rows: SHAP beside LIME, in one unit."""
    chosen = names(evidence, EXPLANATION, "beside/cases")
    if not chosen:
        yield missing("Chosen cases with SHAP beside LIME", EXPLANATION, "beside/cases")
    else:
        yield from facts(evidence, "SHAP beside LIME", EXPLANATION, {
            "Unit of both": "beside/unit", "SHAP by": "beside/shap_method", "Samples of LIME": "beside/lime_samples",
            "Rows compared with": "beside/background_rows",
        })  # fmt: skip
    for at in chosen:
        place = f"beside/cases/{at}"
        why = str(evidence.value(*EXPLANATION, f"{place}/chosen_as"))
        yield from facts(evidence, f"The case {why}", EXPLANATION, {
            f"Case “{why}”: client": f"{place}/client_id", "Probability": f"{place}/score",
            "Answer in the unit above": f"{place}/answer", "Base": f"{place}/base",
            "What LIME's line says": f"{place}/lime_says", "R² of LIME": f"{place}/r_squared",
        })  # fmt: skip
        yield drawn("beside", f"Case “{why}”: SHAP beside LIME", table(
            evidence, f"Case “{why}”: value, share by SHAP, coefficient by LIME", EXPLANATION, f"{place}/features",
            {"Feature": "@key", "Value": "value", "SHAP": "shap", "LIME": "lime"},
        ))  # fmt: skip
    yield said(evidence, "cases")


def explanation_audit(evidence: Evidence) -> Iterator[Entry]:
    """Every line of the audits, with the baselines of chance and of saying nothing."""
    for place, what in (("audit", "of the whole explanation"), ("beside/audit", "of SHAP beside LIME")):
        if not names(evidence, EXPLANATION, place):
            yield missing(f"The audit {what}", EXPLANATION, place)
            continue
        for verdict in ("pass", "warn", "fail", "not evaluated"):
            yield count(evidence, f"Lines {what}: {verdict}", EXPLANATION, place, "verdict", verdict)
        yield table(evidence, f"The audit {what}", EXPLANATION, place, AUDIT, marks="Verdict")
        yield from _baselines(evidence, place, what)
    for place in ("notes", "beside/notes"):
        if names(evidence, EXPLANATION, place):
            yield table(evidence, "Cautions of the guards", EXPLANATION, place, {"Caution": "@value"})


def _baselines(evidence: Evidence, place: str, what: str) -> Iterator[Entry]:
    """What chance, and an explanation that says nothing, would have reached."""
    lines = evidence.value(*EXPLANATION, place)
    for at, line in enumerate(lines):
        numbers = line.get("numbers") or {}
        for key, words in (("random", "features in a random order"), ("empty", "an explanation that says nothing")):
            for name in sorted(numbers):
                if name.endswith(f"_{key}"):
                    ours = next((each for each in (name.replace(f"_{key}", "_area"), name.removesuffix(f"_{key}"))
                                 if each in numbers), None)  # fmt: skip
                    if ours is not None:
                        label = f"{line['name']} ({what.removeprefix('of ')})"
                        yield fact(evidence, f"{label}: this explanation", EXPLANATION,
                                   f"{place}/{at}/numbers/{escaped(ours)}")  # fmt: skip
                    yield fact(evidence, f"{line['name']}: baseline, {words}", EXPLANATION,
                               f"{place}/{at}/numbers/{escaped(name)}")  # fmt: skip


def reasons(evidence: Evidence) -> Iterator[Entry]:
    """Up to four reasons of each chosen case."""
    found = False
    for at in names(evidence, EXPLANATION, "beside/cases"):
        place = f"beside/cases/{at}/reasons"
        why = str(evidence.value(*EXPLANATION, f"beside/cases/{at}/chosen_as"))
        if names(evidence, EXPLANATION, place):
            found = True
            yield table(evidence, f"Case “{why}”: what pushed it most toward a review", EXPLANATION, place,
                        {"Reason": "text", "Push, in the unit of the explanation": "push"})  # fmt: skip
    if not found:
        yield missing("Reason codes of the chosen cases", EXPLANATION, "beside/cases/…/reasons")
    yield said(evidence, "reason-texts")
