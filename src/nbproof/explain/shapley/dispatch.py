"""The method that fits a model, what it will cost, and the explanation by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ...errors import ExplanationRefused, UnknownName
from ..explanation import Explanation
from ..progress import Estimate, Watch
from ..question import Question
from . import enumerated, interventional, linear, native, networks, pipelines, sampled, trees

METHODS = ("native", "trees", "interventional", "linear", "pipeline", "gradients", "enumerated", "sampled")
# What tells whether a method can explain a question; the others can explain any.
READERS: Mapping[str, Callable[[Question], bool]] = {
    "native": native.reads,
    "trees": trees.reads,
    "interventional": interventional.reads,
    "linear": linear.reads,
    "pipeline": pipelines.reads,
    "gradients": networks.reads,
}
# From so many rows on, coalitions of a network's features take many minutes; until then their values are far better.
MANY_ROWS = 10_000
# A probe is long enough to tell something once it takes this long.
PROBE_S = 0.1


def explain(
    question: Question,
    *,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """Shapley values for the question, by `method` or by the one that fits the model (see `method_for`).

    `samples` is how many coalitions "sampled" draws, or how many gradients "gradients" takes for each row. `seed`
    matters where something is drawn; the explanation says so. Raises `UnknownName` for a method that there is not,
    `ExplanationRefused` for one that does not fit or whose values do not add up, `DataUnusable` where a background is
    needed and missing, `Cancelled` when `watch` asks for the end.
    """
    named, seen = method or method_for(question), watch or Watch()
    if named not in METHODS:
        raise UnknownName("method", named, METHODS)
    _refuse_unfit(question, named)
    if named == "native":
        return native.explain(question, watch=seen)
    if named == "trees":
        return trees.explain(question, watch=seen)
    if named == "interventional":
        return interventional.explain(question, watch=seen)
    if named == "linear":
        return linear.explain(question, watch=seen)
    if named == "pipeline":
        return pipelines.explain(question, watch=seen)
    if named == "gradients":
        return networks.explain(question, seed=seed, samples=samples, watch=seen)
    if named == "enumerated":
        return enumerated.explain(question, seed=seed, watch=seen)
    return sampled.explain(question, seed=seed, samples=samples, watch=seen)


def method_for(question: Question, *, rows: int | None = None) -> str:
    """The name of the method that fits: the most exact one that is fast for such a model and so many `rows` in all."""
    if native.reads(question):
        return "native"
    if trees.reads(question):
        return "trees"
    if linear.reads(question):
        return "linear"
    if pipelines.reads(question):
        return "pipeline"
    if networks.reads(question) and (rows or len(question.rows)) >= MANY_ROWS:
        return "gradients"
    return "enumerated" if question.rows.shape[1] <= enumerated.FEATURES else "sampled"


def estimate(
    question: Question, *, method: str | None = None, samples: int | None = None, watch: Watch | None = None
) -> Estimate:
    """What explaining the question will take, by explaining its first rows; the question itself costs no more by it."""
    named, total = method or method_for(question), len(question.rows)
    first = _timed(question, 1, named, samples, watch)
    probed, took = 1, first
    while took - first < PROBE_S and probed < total:
        probed = min(4 * probed + 1, total)
        took = _timed(question, probed, named, samples, watch)
    # What the first row took holds the part that comes once.
    each = max(took - first, 0.0) / (probed - 1) if probed > 1 else first
    return Estimate(total, probed, took if probed == total else took + each * (total - probed))


def _timed(question: Question, rows: int, method: str, samples: int | None, watch: Watch | None) -> float:
    some = replace(
        question,
        asked=replace(question.asked),
        rows=question.rows[:rows],
        prediction=question.prediction[:rows],
    )
    began = time.perf_counter()
    explain(some, method=method, samples=samples, watch=watch)
    return time.perf_counter() - began


def methods_for(question: Question) -> tuple[str, ...]:
    """The methods that can explain the question, the one that fits first."""
    fits = [name for name in METHODS if name not in READERS or READERS[name](question)]
    if question.rows.shape[1] > enumerated.FEATURES:
        fits.remove("enumerated")
    return tuple(dict.fromkeys((method_for(question), *fits)))


def _refuse_unfit(question: Question, method: str) -> None:
    """Raise `ExplanationRefused` for a method that cannot explain such a question."""
    reads = READERS.get(method)
    if reads is not None and not reads(question):
        raise ExplanationRefused(
            f"the method {method}",
            f"{question.model.name}, asked for answers in {question.answers.unit}",
            "a model and a unit that it can explain",
            hint="leave method out, or pass method='sampled'",
        )
