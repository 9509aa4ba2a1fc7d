"""Explanations and performance by group: the same numbers for each, with how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable
from .explanation import Explanation

# Below that a mean's interval says little, and an interval of a resample nothing.
FEWEST = 30
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval. `value` is None where it cannot be known, and `reason` says why."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    def apart_from(self, other: Estimate) -> bool | None:
        """Whether the intervals do not meet; None where one is not known."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True, slots=True)
class Slice:
    """One group of the rows.

    `answer` is the mean answer, `shares` the mean share of each feature (which way it pushes this group),
    `importance` the mean absolute share; `performance` is the measure called `measure`. Of a group that is too small
    nothing is estimated, and each number says so.
    """

    group: str
    rows: int
    is_enough: bool
    answer: Estimate
    shares: tuple[Estimate, ...]
    importance: tuple[Estimate, ...]
    measure: str
    performance: Estimate


def by_group(
    explanation: Explanation,
    groups: Sequence[Any] | NDArray[Any],
    *,
    output: str | None = None,
    truth: Sequence[float] | NDArray[np.floating] | None = None,
    fewest: int = FEWEST,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """Cut an explanation by `groups` (one label a row) and describe each group, in the order of their names.

    A missing label is the group "missing". Means have intervals of 1.96 standard errors. Performance needs `truth`:
    the area under the ROC curve for probabilities and log-odds (truth 0 or 1), the mean absolute error for raw answers;
    its interval comes from 500 bootstrap samples of the group's rows (Efron, 1979), with `seed`.

    Raises `DataUnusable` where labels or truth do not fit the rows.
    """
    shown = explanation.of(output) if output is not None else explanation[:, :, 0]
    labels = [_label(each) for each in groups]
    if len(labels) != len(shown):
        raise DataUnusable("the groups", f"{len(labels)} labels", f"{len(shown)}, one for each row")
    happened = None if truth is None else np.asarray(truth, dtype=np.float64)
    if happened is not None and (happened.shape != (len(shown),) or not np.isfinite(happened).all()):
        raise DataUnusable("the truth", f"the shape {happened.shape} or missing values", "a number for each row")
    if happened is not None and shown.unit != "raw" and not np.isin(happened, (0.0, 1.0)).all():
        raise DataUnusable("the truth", "other values than 0 and 1", "0 or 1: whether the explained class came true")
    return tuple(
        _slice(shown, name, np.flatnonzero([label == name for label in labels]), happened, fewest, seed)
        for name in sorted(set(labels))
    )


def _slice(
    shown: Explanation, name: str, rows: NDArray[np.int64], truth: NDArray[np.float64] | None, fewest: int, seed: int
) -> Slice:
    measure = "mean absolute error" if shown.unit == "raw" else "area under the ROC curve"
    features = len(shown.feature_names)
    if len(rows) < fewest:
        unknown = Estimate(None, reason=f"too few rows: {len(rows)} of at least {fewest}")
        return Slice(name, len(rows), False, unknown, (unknown,) * features, (unknown,) * features, measure, unknown)
    values, answers = shown.values[rows, :, 0].astype(np.float64), shown.prediction[rows, 0]
    return Slice(
        group=name,
        rows=len(rows),
        is_enough=True,
        answer=_mean(answers),
        shares=tuple(_mean(column) for column in values.T),
        importance=tuple(_mean(np.abs(column)) for column in values.T),
        measure=measure,
        performance=_performance(answers, None if truth is None else truth[rows], shown.unit, seed),
    )


def _mean(column: NDArray[np.float64]) -> Estimate:
    mean, half = float(column.mean()), 1.959963984540054 * float(column.std(ddof=1)) / float(np.sqrt(len(column)))
    return Estimate(mean, mean - half, mean + half)


def _performance(answers: NDArray[np.float64], truth: NDArray[np.float64] | None, unit: str, seed: int) -> Estimate:
    if truth is None:
        return Estimate(None, reason="what really happened is not known")
    if unit != "raw" and len(np.unique(truth)) < 2:
        return Estimate(None, reason=f"every row of the group came out {truth[0]:g}")
    measure = _absolute_error if unit == "raw" else area_under_curve
    low, high = interval(lambda at: measure(answers[at], truth[at]), len(truth), seed)
    return Estimate(measure(answers, truth), low, high)


def interval(
    statistic: Callable[[NDArray[np.int64]], float], rows: int, seed: int, *, resamples: int = RESAMPLES
) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of a statistic of row numbers under resampling with replacement.

    A resample in which it is not defined (only one class drawn) is left out; None where half of them or more are.
    """
    random = np.random.default_rng(seed)
    found = np.array([statistic(random.integers(rows, size=rows)) for _ in range(resamples)])
    found = found[~np.isnan(found)]
    if len(found) <= resamples / 2:
        return None, None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _absolute_error(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.abs(answers - truth).mean())


def area_under_curve(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """The probability that a row of class 1 has a higher answer than one of class 0, ties counting half.

    NaN where there is only one class.
    """
    ones, zeros = np.sort(answers[truth == 1]), np.sort(answers[truth == 0])
    if not len(ones) or not len(zeros):
        return float("nan")
    below = np.searchsorted(zeros, ones, side="left") + np.searchsorted(zeros, ones, side="right")
    return float(below.sum() / (2 * len(ones) * len(zeros)))


def _label(given: Any) -> str:
    return "missing" if given is None or given != given else str(given)
