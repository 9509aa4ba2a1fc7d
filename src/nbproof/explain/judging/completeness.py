"""Judges whether base and shares add up to the answer."""

from __future__ import annotations

from .. import guards
from ..line import Gauge, Line, Verdict
from ..metrics import completeness
from .looked import Looked


def judge(looked: Looked) -> list[Line]:
    shap = looked.shap
    limit = guards.EXACT_GAP if shap.is_exact else guards.NEAR_GAP
    gauge = Gauge(
        "completeness of SHAP",
        "Shapley (1953), efficiency; Lundberg and Lee (2017), local accuracy, arXiv 1705.07874",
        limit,
        limit if shap.is_exact else None,
        rises=False,
    )
    found = completeness.measure(shap.total(), shap.prediction, shap.base)
    told = f"Base and shares miss the model's answer by {found.largest:.3g} ({shap.unit}) at most"
    numbers = {"completeness_max": found.largest, "completeness_mean": found.mean}
    if found.relative is None:
        verdict: Verdict = "fail" if shap.is_exact else "warn"
        return [
            gauge.line(found.largest, f"{told}, though these answers do not vary.", verdict=verdict, numbers=numbers)
        ]
    return [
        gauge.line(
            found.relative,
            f"{told}, {found.relative:.2%} of how much the answers vary.",
            numbers={**numbers, "completeness_relative": found.relative},
        )
    ]
