"""Which rows a reviewer should look at one by one: typical, borderline, worst errors, highest impact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable
from .explanation import Explanation

Kind = Literal["typical", "borderline", "worst error", "highest impact"]

# Where a yes turns into a no, if nobody says otherwise.
TURNS_AT = {"probability": 0.5, "log-odds": 0.0}


@dataclass(frozen=True, slots=True)
class Case:
    """One row of an explanation, and why a reviewer should look at it."""

    kind: Kind
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Picked:
    """The cases in the order of their kinds, the clearest of each first; `absent` says which kinds there are not."""

    cases: tuple[Case, ...]
    absent: tuple[str, ...] = ()


def pick(
    explanation: Explanation,
    *,
    output: str | None = None,
    truth: Sequence[float] | NDArray[np.floating] | None = None,
    threshold: float | None = None,
    each: int = 1,
) -> Picked:
    """Pick `each` rows of every kind for one output (None: the first).

    Typical is the row whose shares lie nearest to the median shares, borderline the answer nearest to `threshold`
    (None: 0.5 for probabilities, 0 for log-odds), worst error the largest distance from `truth` (0 and 1 for
    probabilities and log-odds, numbers else), highest impact the answer that lies furthest from the base. Ties go to
    the earlier row; no row is picked twice, so that a reviewer does not read the same one under two heads.

    Raises `DataUnusable` where `truth` does not fit, `UnknownName` for an output that there is not.
    """
    shown = explanation.of(output) if output is not None else explanation[:, :, 0]
    answers, unit, name = shown.prediction[:, 0], shown.unit, shown.output_names[0]
    turn = TURNS_AT.get(unit) if threshold is None else threshold
    taken: set[int] = set()
    cases: list[Case] = []
    absent: list[str] = []

    def add(kind: Kind, distance: NDArray[np.float64], reason: Callable[[int], str]) -> None:
        free = [int(at) for at in np.argsort(distance, kind="stable") if int(at) not in taken][:each]
        cases.extend(Case(kind, at, reason(at)) for at in free)
        taken.update(free)
        if not free:
            absent.append(f"{kind}: every row is a case already")

    def said(at: int) -> str:
        return f"{name} is answered with {answers[at]:.3g}"

    add("typical", _from_median(shown), lambda at: f"its shares lie nearest to the median of all rows; {said(at)}")
    if turn is None:
        absent.append("borderline: a raw answer has no threshold; pass threshold=")
    else:
        away = np.abs(answers - turn)
        add("borderline", away, lambda at: f"{said(at)}, {away[at]:.3g} from the threshold {turn:g}")
    if truth is None:
        absent.append("worst error: what really happened is not known; pass truth=")
    else:
        error = _errors(answers, unit, np.asarray(truth, dtype=np.float64))
        add("worst error", -error, lambda at: f"{said(at)}, {error[at]:.3g} from what really happened")
    impact = np.abs(answers - shown.base[:, 0])
    add("highest impact", -impact, lambda at: f"{said(at)}, {impact[at]:.3g} from the base")
    return Picked(tuple(cases), tuple(absent))


def _from_median(shown: Explanation) -> NDArray[np.float64]:
    """How far the shares of each row lie from the median shares."""
    values = shown.values[:, :, 0].astype(np.float64)
    return np.asarray(np.abs(values - np.median(values, axis=0)).sum(axis=1))


def _errors(answers: NDArray[np.float64], unit: str, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance of each answer from the truth; for log-odds that of the probability they stand for."""
    if truth.shape != answers.shape:
        raise DataUnusable("the truth", f"the shape {truth.shape}", f"{answers.shape}, one for each row")
    if not np.isfinite(truth).all():
        raise DataUnusable("the truth", "a value that is missing or infinite", "a number for each row")
    if unit != "raw" and not np.isin(truth, (0.0, 1.0)).all():
        odd = truth[~np.isin(truth, (0.0, 1.0))][0]
        raise DataUnusable("the truth", f"{odd:g}", "0 or 1: whether the explained class came true")
    if unit == "log-odds":
        from scipy.special import expit

        answers = expit(answers)
    return np.asarray(np.abs(truth - answers))
