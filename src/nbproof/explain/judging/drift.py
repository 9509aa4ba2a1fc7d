"""Judges whether the features that matter are still those of the approved explanation."""

from __future__ import annotations

from ..line import Gauge, Line
from ..metrics import drift, ranking
from .looked import Looked


def judge(looked: Looked) -> list[Line]:
    shap, approved = looked.whole, looked.approved
    gauge = Gauge(
        "drift from the approved explanation (nDCG)",
        "Järvelin and Kekäläinen (2002); alarm below 0.9: Amazon SageMaker Clarify, Feature attribution drift",
        0.9,
        0.9,
    )
    if approved is None:
        return [gauge.unknown("there is no approved explanation to compare with")]
    if approved.feature_names != shap.feature_names or approved.output_names != shap.output_names:
        return [gauge.unknown("the approved explanation is of other features or outputs")]
    if approved.unit != shap.unit:
        return [gauge.unknown(f"the approved explanation is in {approved.unit}, this one in {shap.unit}")]
    k, now, before = ranking.depth(shap.shape[1]), shap.importance(), approved.importance()
    found = [drift.measure(before[:, at], now[:, at], k=k) for at in range(now.shape[1])]
    known = [each for each in found if each is not None]
    if len(known) < len(found) or shap.shape[1] < 2:
        return [gauge.unknown("one of the explanations gives no feature any weight, or there is only one feature")]
    worst = min(known, key=lambda each: each.ndcg)
    told = (
        f"The order of importance has an nDCG of {worst.ndcg:.2f} to the approved one, and {worst.top:.0%} of the top "
        f"{k} are the same; most moved {shap.feature_names[worst.moved]}, by {worst.change:+.0%} of all importance."
    )
    return [gauge.line(worst.ndcg, told, numbers={"drift_ndcg": worst.ndcg, "drift_top": worst.top})]
