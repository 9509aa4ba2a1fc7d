"""Judges whether an explainer could be fooled, by listening to what it asks the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..line import Gauge, Line
from ..metrics import manipulation
from ..model import Asked
from ..question import Question
from .looked import FEW_AGAIN, Looked, guarded, spread, taken

# Real rows and probes without which they cannot be told apart for lack of them.
KNOWN_ROWS = 100
# Made-up rows kept of one call and of all.
HEARD_EACH, HEARD_MOST = 2_000, 20_000
# Methods that read a model's own parts and ask it about no row; a pipeline's last step is read in the same way.
READING = {
    "native": "the trees and how many training rows went where",
    "trees": "the trees and how many training rows went where",
    "linear": "the coefficients",
    "pipeline": "the parts of the last step",
}
# Rows made up of each explained row where a method weighs such rows without asking about them.
MIXED_EACH = 200


def judge(looked: Looked) -> list[Line]:
    lines = _of_shap(looked)
    if looked.lime is None or looked.explain_lime is None:
        return [*lines, _gaming("LIME").unknown("no LIME explainer was handed in")]
    return lines + _of(looked, "LIME", looked.lime.method, looked.explain_lime)


def _of_shap(looked: Looked) -> list[Line]:
    method = looked.shap.method
    return _of(looked, "SHAP", method, _mixed if method == "interventional" else looked.explain_shap)


def _mixed(question: Question, seed: int) -> None:
    """Ask the model about what interventional values are made of: a row with some of its values from the background.

    They are computed from the trees, but it is the answers to these rows that they weigh.
    """
    background, random = question.needs_background("interventional values"), np.random.default_rng(seed)
    for row in question.rows:
        against = background[random.integers(len(background), size=MIXED_EACH)]
        question.asked(np.where(random.random(against.shape) < 0.5, row, against))


def _gaming(name: str) -> Gauge:
    return Gauge(
        f"could {name} be gamed", "Slack et al. (2020), Fooling LIME and SHAP, arXiv 1911.02508", 0.9, None, False
    )


def _of(looked: Looked, name: str, method: str, explain: Callable[[Question, int], object]) -> list[Line]:
    question, gauge = looked.question, _gaming(name)
    parts = [question.rows] if question.background is None else [question.background, question.rows]
    real = np.unique(np.concatenate(parts), axis=0)

    def work() -> list[Line]:
        asked = question.asked
        overheard = _Overheard(asked.model, asked.schema, asked.answers)
        some = taken(question, spread(len(question.rows), FEW_AGAIN))
        explain(replace(some, asked=overheard), looked.generator(7))
        asked.rows += overheard.rows
        probes, answers = _probes(overheard, real)
        if not len(probes):
            return [gauge.unknown(_unasked(method))]
        if len(real) < KNOWN_ROWS:
            few = f"{len(real)} real rows are too few to know how real rows look; {KNOWN_ROWS} are needed"
            return [gauge.unknown(few)]
        if len(probes) < KNOWN_ROWS:
            return [gauge.unknown("the method asks the model about hardly any made-up row, so there is nothing to see")]
        # A forest must see that a value is missing: it becomes the least of all.
        least = np.nan_to_num(np.fmin.reduce(real, axis=0)) - 1.0
        known, tried = (np.where(np.isnan(side), least, side) for side in (real, probes))
        found = manipulation.measure(known, tried, asked(real), answers, seed=looked.generator(8))
        return [_gamed_line(gauge, name, found)]

    return guarded([gauge], work)


def _unasked(method: str) -> str:
    """Why there is nothing to hear: the model was asked about real rows alone, or about none."""
    reads = f"reads {READING[method]} and " if method in READING else ""
    return (
        f"the method {method} {reads}asks the model about no made-up row that it could recognise; how the model treats "
        "rows unlike those that it was trained on is not looked at"
    )


@dataclass(slots=True)
class _Overheard(Asked):
    """A model being asked, that keeps some of what it is asked and what it answers."""

    heard: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=list)
    kept: int = 0

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        answers = Asked.__call__(self, values)
        if self.kept < HEARD_MOST:
            # At random, since what is laid out in regular order must not be cut in regular order.
            random = np.random.default_rng(len(self.heard))
            some = np.sort(random.permutation(len(values))[:HEARD_EACH])
            self.heard.append((values[some].copy(), answers[some].copy()))
            self.kept += len(some)
        return answers


def _probes(overheard: _Overheard, real: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The made-up rows that a model was asked about, each once, without real rows; and its answers."""
    width = real.shape[1]
    points = np.concatenate([each for each, _ in overheard.heard]) if overheard.heard else np.zeros((0, width))
    if not len(points):
        return points, np.zeros((0, len(overheard.answers.outputs)))
    answers = np.concatenate([each for _, each in overheard.heard])
    known = {row.tobytes() for row in real}
    first = np.sort(np.unique(points, axis=0, return_index=True)[1])
    kept = [at for at in map(int, first) if points[at].tobytes() not in known]
    return points[kept], answers[kept]


def _gamed_line(gauge: Gauge, name: str, found: manipulation.Manipulation) -> Line:
    numbers = {
        f"{name.lower()}_gaming_auc": found.auc,
        f"{name.lower()}_gaming_known": found.known,
        f"{name.lower()}_gaming_told": found.told,
    }
    told = f"A model could tell {name}'s probes from real rows with an area under the curve of {found.auc:.2f}"
    behaviour, verdict = ".", gauge.judge(found.auc)
    if found.is_known:
        behaviour = f"; of what answers to real rows tell about one another, answers to probes tell {found.part:.0%}."
    if found.acts_apart:
        verdict = "fail"
        behaviour += " Made-up rows do not show how this model treats real ones, by intent or because it is that wild."
    elif found.tells_little:
        verdict = "warn"
        behaviour += " Made-up rows show only in part how this model treats real ones."
    elif verdict == "warn":
        behaviour += f" Nobody should rely on {name} alone."
    return gauge.line(found.auc, told + behaviour, verdict=verdict, numbers=numbers)
