"""Judges whether SHAP and LIME tell the same story."""

from __future__ import annotations

from ..line import Gauge, Line
from ..metrics import agreement, ranking
from .looked import Looked, comparable, told_by

KRISHNA = "Krishna et al. (2022), The Disagreement Problem in Explainable Machine Learning, arXiv 2202.01602"


def judge(looked: Looked) -> list[Line]:
    shap, lime, k = looked.shap, looked.lime, looked.k
    features = shap.shape[1]
    chance = k / features
    gauges = [
        # A third of the way from chance to perfect: on clean data three of five shared features are usual.
        Gauge(f"SHAP–LIME agreement: top {k}", KRISHNA, chance + (1 - chance) / 3, chance),
        Gauge("SHAP–LIME agreement: signs", KRISHNA, 0.8, 0.5),
        Gauge("SHAP–LIME agreement: rank correlation", "Kendall (1945), tau-b", 0.3, 0.0),
    ]
    if lime is None:
        return [each.unknown("no LIME explanation was handed in") for each in gauges]
    if features < 2:
        return [each.unknown("one feature has no ranking") for each in gauges]
    found = agreement.measure(ranking.flat(told_by(shap)), ranking.flat(comparable(looked.question, lime)), k=k)
    tops, signs, ranks = gauges
    if found.features is None:
        return [each.unknown("neither names a feature") for each in gauges]
    note = "LIME speaks of being in a bin, SHAP of a value against the background, so full agreement is not expected"
    return [
        tops.line(
            found.features,
            f"Of the {k} features that matter most SHAP and LIME share {found.features:.0%}, of {chance:.0%} by chance "
            f"alone. {note}.",
            numbers={
                f"agreement_top{k}": found.features,
                "agreement_ranks": found.ranks,
                "agreement_signs": found.signs,
                "agreement_signed_ranks": found.signed_ranks,
            },
        ),
        signs.unknown("they share no feature")
        if found.shared_signs is None
        else signs.line(
            found.shared_signs,
            f"Where both name a feature they agree in {found.shared_signs:.0%} of the cases whether it speaks for or "
            "against.",
            numbers={"agreement_shared_signs": found.shared_signs},
        ),
        ranks.unknown("one of them gives every feature the same weight")
        if found.kendall is None
        else ranks.line(
            found.kendall,
            f"Over all features their orders correlate with {found.kendall:.2f} (1: the same, 0: unrelated).",
            numbers={"agreement_kendall": found.kendall},
        ),
    ]
