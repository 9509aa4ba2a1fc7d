"""Fairness in a window: how groups fare at one cutoff, as pure numbers.

The favourable outcome is a score below the cutoff: the account that is not sent to review, the claim that is not
doubted. Source of the four-fifths rule: 29 CFR 1607.4(D); of equal opportunity: Hardt, Price and Srebro (2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .drift import Verdict, is_missing, labels_of

BANDS = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """`disparate_impact` is the least ratio of favourable shares, `opportunity_gap` the largest difference between them
    among those who were good; groups with fewer rows than `least_rows` are not judged."""

    disparate_impact: float = 0.8
    opportunity_gap: float = 0.1
    least_rows: int = 100
    alpha: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.disparate_impact <= 1 or not 0 < self.opportunity_gap <= 1 or not 0 < self.alpha < 1:
            raise ValueError("limits of fairness lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Group:
    """One group: how many rows, which share of them fared well, and that share among those whose outcome was good."""

    name: str
    rows: int
    favourable: float
    good_rows: int
    good_favourable: float | None


@dataclass(frozen=True, slots=True)
class Slice:
    """How the groups of one attribute fare. A number that could not be computed is None, and `reason` says why."""

    attribute: str
    groups: tuple[Group, ...]
    disparate_impact: float | None
    opportunity_gap: float | None
    verdict: Verdict
    reason: str


def slice_by(
    attribute: str,
    values: Any,
    scores: Any,
    *,
    cutoff: float,
    labels: Any = None,
    bands: tuple[float, ...] | None = None,
    limits: Limits = Limits(),
) -> Slice:
    """Return how the groups of `attribute` fare; a number is cut at `bands` (`bands_of` the reference) into groups.

    A label that has not arrived is NaN. Rows without the attribute are a group of their own, which is not judged; rows
    without a score fare neither well nor badly, and are left out.
    """
    there = ~np.isnan(np.asarray(scores, dtype=np.float64))
    # As objects, since numpy would spell a missing value among texts as one of them.
    values = (values if isinstance(values, np.ndarray) else np.array(values, dtype=object))[there]
    scores = np.asarray(scores, dtype=np.float64)[there]
    labels = None if labels is None else np.asarray(labels, dtype=np.float64)[there]
    favourable = scores < cutoff
    truth = labels
    good = np.zeros(favourable.size, dtype=bool) if truth is None else truth == 0
    known = truth is not None and not np.isnan(truth).any()
    names = groups_of(values, bands)
    groups = tuple(_group(str(name), names == name, favourable, good if known else None) for name in np.unique(names))
    return _judged(attribute, groups, limits)


def bands_of(values: Any) -> tuple[float, ...]:
    """The borders that cut a number of the reference into four groups of about one size."""
    present = np.asarray(values, dtype=np.float64)
    present = present[~np.isnan(present)]
    if not present.size:
        return ()
    wanted = np.arange(1, BANDS) / BANDS
    return tuple(float(edge) for edge in np.unique(np.quantile(present, wanted, method="inverted_cdf")))


def groups_of(values: Any, bands: tuple[float, ...] | None = None) -> NDArray[np.str_]:
    """The name of each row's group; without the attribute it is empty."""
    if bands is None:
        return labels_of(values)
    numbers = np.asarray(values, dtype=np.float64)
    borders = [f"{edge:.6g}" for edge in bands]
    names = [f"≤ {borders[0]}", *(f"({low}, {high}]" for low, high in pairwise(borders)),
             f"> {borders[-1]}"] if borders else ["any"]  # fmt: skip
    places = np.searchsorted(np.asarray(bands), np.where(np.isnan(numbers), 0.0, numbers), side="left")
    return np.where(is_missing(numbers), "", np.array(names, dtype=np.str_)[places])


def _group(name: str, of: NDArray[np.bool_], favourable: NDArray[np.bool_], good: NDArray[np.bool_] | None) -> Group:
    among = of & good if good is not None else None
    good_rows = 0 if among is None else int(among.sum())
    good_share = float(favourable[among].mean()) if among is not None and good_rows else None
    return Group(name, int(of.sum()), float(favourable[of].mean()), good_rows, good_share)


def _judged(attribute: str, groups: tuple[Group, ...], limits: Limits) -> Slice:
    judged = [group for group in groups if group.name and group.rows >= limits.least_rows]
    if len(judged) < 2:
        reason = f"{len(judged)} groups have {limits.least_rows} rows or more, and it takes two to compare"
        return Slice(attribute, groups, None, None, "not_evaluated", reason)
    errors = NormalDist().inv_cdf(1 - limits.alpha)
    low, high = (pick(judged, key=lambda group: group.favourable) for pick in (min, max))
    impact = low.favourable / high.favourable if high.favourable else None
    good = [group for group in judged if group.good_favourable is not None and group.good_rows >= limits.least_rows]
    gap = None
    problems: list[tuple[Verdict, str]] = []
    if impact is not None and impact < limits.disparate_impact:
        words = (
            f"“{low.name}” fares well at {impact:.3f} of the rate of “{high.name}”, below {limits.disparate_impact:g}"
        )
        problems.append(_told(words, _impact_error(low, high) * errors > math.log(limits.disparate_impact / impact)
                              if impact else False))  # fmt: skip
    if len(good) >= 2:
        worst, best = (pick(good, key=lambda group: group.good_favourable or 0.0) for pick in (min, max))
        gap = (best.good_favourable or 0.0) - (worst.good_favourable or 0.0)
        if gap > limits.opportunity_gap:
            words = f"of those who were good “{worst.name}” fares {gap:.3f} worse than “{best.name}”"
            problems.append(_told(words, gap - limits.opportunity_gap < errors * _gap_error(worst, best)))
    if not problems:
        told = "groups fare alike" + ("" if gap is not None else "; the outcomes are not known yet")
        return Slice(attribute, groups, impact, gap, "green", told)
    verdict: Verdict = "red" if any(each == "red" for each, _ in problems) else "amber"
    return Slice(attribute, groups, impact, gap, verdict, "; ".join(words for _, words in problems))


def _told(words: str, by_chance: bool) -> tuple[Verdict, str]:
    # An undecided unfairness is looked at by people; it is never called fair.
    return ("amber", f"{words}; it may be chance") if by_chance else ("red", words)


def _impact_error(low: Group, high: Group) -> float:
    """The standard error of the logarithm of the ratio (Katz and others, 1978)."""
    return math.sqrt(sum((1 - each.favourable) / (each.favourable * each.rows) for each in (low, high)))


def _gap_error(low: Group, high: Group) -> float:
    shares = [(each.good_favourable or 0.0, each.good_rows) for each in (low, high)]
    return math.sqrt(sum(share * (1 - share) / rows for share, rows in shares))
