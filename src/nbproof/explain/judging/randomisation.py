"""Judges whether the explanation of a network depends on what it has learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import model as models
from ..line import Gauge, Line
from ..metrics import randomisation, ranking
from ..model import Asked
from ..question import Question
from .looked import AGAIN, Looked, guarded, spread, taken, told_by

NETWORKS = 2


def judge(looked: Looked) -> list[Line]:
    gauge = Gauge(
        "randomised weights",
        "Adebayo et al. (2018), Sanity Checks for Saliency Maps, arXiv 1810.03292; limits: arXiv 2405.02383",
        0.5,
        0.9,
        rises=False,
    )
    if looked.question.model.family != "network":
        return [gauge.unknown("the model is no network whose weights could be drawn anew")]

    def work() -> list[Line]:
        question = taken(looked.question, spread(len(looked.question.rows), AGAIN))
        shown = looked.shap[spread(len(looked.question.rows), AGAIN)]
        others = []
        for at in range(NETWORKS):
            try:
                fresh = randomisation.reinitialised(question.model.fitted, looked.generator(6) + at)
            except (RuntimeError, TypeError, AttributeError) as error:
                return [gauge.unknown(f"the network cannot be copied ({error})")]
            other = _asking(question, fresh)
            others.append(ranking.flat(told_by(looked.explain_shap(other, looked.seed))))
            question.asked.rows += other.asked.rows
        found = randomisation.measure(ranking.flat(told_by(shown)), others)
        if found.spearman is None:
            return [gauge.unknown("there are no two features to rank")]
        told = (
            f"With weights drawn anew the order of the features correlates with the shown one by {found.spearman:.2f}: "
            + ("the explanation depends on what was learnt." if gauge.judge(found.spearman) == "pass" else
               "it owes much to the rows, or to the columns' scales, and less to what was learnt.")
        )  # fmt: skip
        return [gauge.line(found.spearman, told, numbers={"randomised_spearman": found.spearman})]

    return guarded([gauge], work)


def _asking(question: Question, fitted: Any) -> Question:
    """The same question to another model of the same kind."""
    answers = question.answers
    read = models.read(fitted, unit=answers.unit, output_names=answers.outputs)
    asked = Asked(read, question.schema, read.answering(answers.unit))
    origins = replace(question.origins, model=models.hash_of(read))
    return replace(question, asked=asked, prediction=asked(question.rows), origins=origins)
