"""Judges whether explanations can be had again, and stay what they are under other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..explanation import Explanation
from ..line import Gauge, Line
from ..metrics import ranking, stability
from .looked import FEW_AGAIN, OURS, ROWS, Explain, Looked, guarded, spread, taken, told_by

LIME_SEEDS, SHAP_SEEDS = 10, 3
VISANI = "Visani et al. (2020), Statistical stability indices for LIME, arXiv 2001.11757"


def judge(looked: Looked) -> list[Line]:
    return _of_shap(looked) + _of_lime(looked)


def _of_shap(looked: Looked) -> list[Line]:
    features, k = looked.question.rows.shape[1], looked.k
    chance = k / features
    repeating = _repeating("SHAP")
    gauge = Gauge(f"stability of SHAP: same top {k}", VISANI, 0.8, min(0.8, chance + (1 - chance) / 3))
    exact = Gauge("stability of SHAP: exact", OURS, 1e-6, 1e-6, rises=False)
    judged = exact if looked.shap.is_exact else gauge

    def work() -> list[Line]:
        base = looked.generator(2)
        found = _again(
            looked, looked.explain_shap, FEW_AGAIN, [base, base, *(base + at for at in range(1, SHAP_SEEDS))]
        )
        repeated = repeating.line(*_repeated(found[0], found[1], "SHAP"), numbers=None)
        values = _stacked(found[1:])
        apart = float(np.ptp(values, axis=0).max(initial=0.0))
        if looked.shap.is_exact:
            parts = apart / (float(np.abs(values).max(initial=0.0)) or 1.0)
            told = f"Another seed changes an exact value by {parts:.2g} of the largest share at most."
            return [repeated, exact.line(parts, told)]
        if features < 2:
            return [repeated, gauge.unknown("one feature has no ranking")]
        measured = stability.measure(values, k=k)
        if apart == 0 and looked.shap.seed is not None:
            return [repeated, gauge.unknown(f"{SHAP_SEEDS} seeds gave the same numbers: the seed is ignored")]
        sentence = (
            f"Under {SHAP_SEEDS} seeds two explanations of a row share {measured.vsi:.0%} of their top {k}, of the "
            f"least stable row {measured.worst:.0%}."
            if apart
            else "The method draws nothing at random: every seed gives the same numbers."
        )
        numbers = {"shap_vsi": measured.vsi, "shap_vsi_worst": measured.worst, "shap_sign_flips": measured.flips}
        return [repeated, gauge.line(measured.vsi, sentence, numbers=numbers)]

    return guarded([repeating, judged], work)


def _of_lime(looked: Looked) -> list[Line]:
    features, k = looked.question.rows.shape[1], looked.k
    chance = k / features
    gauges = [
        _repeating("LIME"),
        Gauge(f"stability of LIME: same top {k} (VSI)", VISANI, 0.8, min(0.8, chance + (1 - chance) / 3)),
        Gauge("stability of LIME: same coefficients (CSI)", VISANI, 0.9, 0.5),
        Gauge("stability of LIME: sign flips", OURS, 0.05, 0.25, rises=False),
    ]
    if looked.lime is None or looked.explain_lime is None:
        return [each.unknown("no LIME explainer was handed in") for each in gauges]
    explain = looked.explain_lime

    def work() -> list[Line]:
        base = looked.generator(1)
        found = _again(looked, explain, ROWS, [base + at for at in range(LIME_SEEDS)])
        twice = _again(looked, explain, ROWS, [base])
        repeated = gauges[0].line(*_repeated(found[0], twice[0], "LIME"), numbers=None)
        if features < 2:
            return [repeated, *(each.unknown("one feature has no ranking") for each in gauges[1:])]
        measured = stability.measure(_stacked(found), k=k, errors=_errors(found))
        if measured.apart == 0:
            same = f"{LIME_SEEDS} seeds gave the same numbers: the seed is ignored, or the model does not vary"
            return [repeated, *(each.unknown(same) for each in gauges[1:])]
        return [repeated, *_stable_lines(gauges[1:], measured)]

    return guarded(gauges, work)


def _stable_lines(gauges: Sequence[Gauge], found: stability.Stability) -> list[Line]:
    tops, coefficients, flips = gauges
    return [
        tops.line(
            found.vsi,
            f"Under {found.seeds} seeds two explanations of a row share {found.vsi:.0%} of their top {found.k}, of the "
            f"least stable row {found.worst:.0%}.",
            numbers={"lime_vsi": found.vsi, "lime_vsi_worst": found.worst, "lime_vsi_below": found.below},
        ),
        coefficients.unknown("these explanations carry no standard errors of their coefficients")
        if found.csi is None
        else coefficients.line(
            found.csi,
            f"In {found.csi:.0%} of the cases the 95 % intervals of a coefficient meet under two seeds.",
            numbers={"lime_csi": found.csi},
        ),
        flips.unknown("no feature matters")
        if found.flips is None
        else flips.line(
            found.flips,
            f"Of the features that matter most {found.flips:.0%} change between for and against with the seed.",
            numbers={"lime_sign_flips": found.flips},
        ),
    ]


def _repeating(name: str) -> Gauge:
    return Gauge(f"repeatability of {name}", OURS, 0.0, 0.0, rises=False)


def _repeated(one: Explanation, other: Explanation, name: str) -> tuple[float, str]:
    """How far the same question with the same seed lies apart, and the sentence that says so."""
    apart = float(np.abs(one.values.astype(np.float64) - other.values).max(initial=0.0))
    apart = max(apart, float(np.abs(one.base - other.base).max(initial=0.0)))
    if apart == 0:
        return 0.0, f"{name} with the same seed gives the same numbers, bit for bit."
    return apart, f"{name} with the same seed gives numbers that differ by up to {apart:.3g}: it cannot be reproduced."


def _again(looked: Looked, explain: Explain, rows: int, seeds: Sequence[int]) -> list[Explanation]:
    question = taken(looked.question, spread(len(looked.question.rows), rows))
    return [explain(question, seed) for seed in seeds]


def _stacked(found: Sequence[Explanation]) -> NDArray[np.float64]:
    return np.stack([ranking.flat(told_by(each)) for each in found])


def _errors(found: Sequence[Explanation]) -> NDArray[np.float64] | None:
    held = [each.error for each in found if each.error is not None]
    return np.stack([ranking.flat(each) for each in held]) if len(held) == len(found) else None
