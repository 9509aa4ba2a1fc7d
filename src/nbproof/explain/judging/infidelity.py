"""Judges whether shares foretell more than saying nothing."""

from __future__ import annotations

from ..line import Gauge, Line, Verdict
from ..metrics import infidelity
from .looked import FEWEST, SURE, Looked, guarded, too_few


def judge(looked: Looked) -> list[Line]:
    question = looked.question
    gauge = Gauge(
        "infidelity of SHAP against saying nothing",
        "Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, arXiv 1901.09392",
        0.8,
        1.0,
        rises=False,
    )
    if question.background is None:
        return [gauge.unknown("there is no background to replace features with")]
    if len(question.rows) < FEWEST:
        return [gauge.unknown(too_few(len(question.rows)))]
    against = question.background

    def work() -> list[Line]:
        found = infidelity.measure(question.asked, question.rows, looked.shap.values, against, seed=looked.generator(4))
        if found.ratio is None:
            return [gauge.unknown("replacing features never changes these answers")]
        # A ratio below 1 may be luck.
        verdict: Verdict | None = "fail" if (found.sigma or 0.0) < SURE else None
        told = (
            f"Foretelling by the shares what happens when features are replaced has {found.ratio:.0%} of the error of "
            "an explanation that says nothing"
        )
        close = "." if verdict is None else ": it cannot be told from saying nothing, or is worse."
        numbers = {"infidelity": found.value, "infidelity_empty": found.empty, "infidelity_ratio": found.ratio}
        return [gauge.line(found.ratio, told + close, verdict=verdict, numbers=numbers)]

    return guarded([gauge], work)
