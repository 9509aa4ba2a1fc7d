"""Judges whether the features that matter move the model more than others do."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..line import Gauge, Line
from ..metrics import deletion
from .looked import FEWEST, SURE, Looked, comparable, guarded, told_by, too_few

RISE = "Petsiuk, Das and Saenko (2018), RISE, arXiv 1806.07421, with random orders as baseline"


def judge(looked: Looked) -> list[Line]:
    lines = _of(looked, "SHAP", told_by(looked.shap), step=3)
    if looked.lime is None:
        gauges = (_ordering("deletion", "LIME"), _ordering("insertion", "LIME"))
        return lines + [each.unknown("no LIME explanation was handed in") for each in gauges]
    return lines + _of(looked, "LIME", comparable(looked.question, looked.lime), step=3)


def _ordering(what: str, name: str) -> Gauge:
    return Gauge(f"{what} by {name}", RISE, SURE, SURE)


def _of(looked: Looked, name: str, values: NDArray[Any], *, step: int) -> list[Line]:
    question = looked.question
    gauges = (_ordering("deletion", name), _ordering("insertion", name))
    if question.background is None:
        return [each.unknown("there is no background to replace features with") for each in gauges]
    if len(question.rows) < FEWEST:
        return [each.unknown(too_few(len(question.rows))) for each in gauges]
    if question.rows.shape[1] < 2:
        return [each.unknown("one feature has no order") for each in gauges]
    against, rows = question.background, question.rows

    def work() -> list[Line]:
        # Both methods meet the same background rows and the same random orders.
        found = deletion.measure(question.asked, rows, values, against, seed=looked.generator(step))
        told = (
            ("Taking away the features that {0} ranks first moves the answer by {1:.3g} in the mean, a random order by "
             "{2:.3g}", found.deleted),
            ("Bringing in the features that {0} ranks first leaves {1:.3g} of distance to the answer, a random order "
             "{2:.3g}", found.inserted),
        )  # fmt: skip
        return [
            _curve_line(gauge, name, sentence, curve) for gauge, (sentence, curve) in zip(gauges, told, strict=True)
        ]

    return guarded(gauges, work)


def _curve_line(gauge: Gauge, name: str, sentence: str, curve: deletion.Curve) -> Line:
    if curve.sigma is None:
        return gauge.unknown("the order of the features makes no difference to these answers")
    told = sentence.format(name, curve.area, curve.random)
    beyond = f"{curve.sigma:.1f} standard errors better than chance"
    if curve.sigma < SURE:
        beyond = f"it cannot be told from chance ({curve.sigma:+.1f} standard errors)"
    key = f"{name.lower()}_{gauge.name.split()[0]}"
    numbers = {f"{key}_area": curve.area, f"{key}_random": curve.random, f"{key}_sigma": curve.sigma}
    return gauge.line(curve.sigma, f"{told}: {beyond}.", numbers=numbers)
