"""Drift as pure numbers: how far a window has moved from its reference, and whether the scores still hold.

This module knows no file, no clock and no data frame: numpy arrays in, frozen values out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category"]
Verdict = Literal["green", "amber", "red", "not_evaluated"]

# From harmless to harmful; what could not be evaluated is never better than what was found.
SEVERITY: tuple[Verdict, ...] = ("green", "not_evaluated", "amber", "red")
MISSING = "missing"

Control = Literal["holm", "benjamini-hochberg"]
# Below so many expected rows a cell's count is no longer nearly normal (Cochran, 1954).
LEAST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a number counts as drift.

    `psi_warn` and `psi_alert` bound the population stability index; the credit convention is 0.1 and 0.25, the
    default alert is the stricter 0.2. `ks_warn` bounds the Kolmogorov–Smirnov distance. A distance counts only together
    with an adjusted p below `alpha`: on tens of thousands of rows a p-value alone always fires, and on a hundred rows
    a distance alone does. `alpha` is thus the false-alarm rate: of windows without drift, at most that share alarms.
    `auc_drop` and `calibration_gap` are absolute differences.
    """

    psi_warn: float = 0.1
    psi_alert: float = 0.2
    ks_warn: float = 0.1
    alpha: float = 0.01
    auc_drop: float = 0.05
    calibration_gap: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.psi_warn <= self.psi_alert:
            raise ValueError(f"psi_warn {self.psi_warn} must be above 0 and not above psi_alert {self.psi_alert}")
        for name in ("ks_warn", "alpha", "auc_drop", "calibration_gap"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in (0, 1]: {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a column: its label and the share of rows in it, before and now."""

    label: str
    reference_share: float
    window_share: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How one column moved. A number that could not be computed is None, and `reason` says why."""

    name: str
    kind: Kind
    reference_rows: int
    window_rows: int
    psi: float | None
    jensen_shannon: float | None
    ks: float | None
    ks_p: float | None
    chi_square: float | None
    chi_square_p: float | None
    bins: tuple[Bin, ...]
    verdict: Verdict
    reason: str

    @property
    def largest(self) -> Bin | None:
        """The bin whose share changed most; None where there are no bins."""
        return max(self.bins, key=lambda each: abs(each.window_share - each.reference_share), default=None)


@dataclass(frozen=True, slots=True)
class Performance:
    """How the scores of a window hold against what really happened; `auc_error` is one standard error of `auc`."""

    rows: int
    labelled: int
    auc: float | None
    auc_error: float | None
    auc_drop: float | None
    mean_score: float | None
    observed: float | None
    verdict: Verdict
    reason: str

    @property
    def calibration_gap(self) -> float | None:
        """Mean score minus observed rate; above zero the model is too pessimistic."""
        if self.mean_score is None or self.observed is None:
            return None
        return self.mean_score - self.observed


def psi(reference: Any, window: Any, *, kind: Kind = "number", bins: int = 10, floor: float = 1e-4) -> float:
    """Return the population stability index of `window` against `reference`.

    PSI = Σ (w − r) · ln(w / r) over bins, with r and w the shares of rows in each bin, both raised to `floor` so that
    an empty bin stays finite. Numbers are cut at the deciles of the reference, each category is a bin, and missing
    values have a bin of their own. Source: Siddiqi, Credit Risk Scorecards (Wiley, 2006), chapter 12; it is the
    symmetric Kullback–Leibler divergence (Kullback and Leibler, 1951).

    >>> psi([1, 2, 3, 4], [1, 2, 3, 4])
    0.0
    """
    return _psi(_shares(reference, window, kind=kind, bins=bins), floor)


def psi_of_shares(reference_shares: Sequence[float], window_shares: Sequence[float], *, floor: float = 1e-4) -> float:
    """Return the population stability index of shares by bin, whoever cut the bins; see `psi`."""
    reference, window = (np.maximum(np.asarray(side, dtype=float), floor) for side in (reference_shares, window_shares))
    return float(np.sum((window - reference) * np.log(window / reference)))


def ks(reference: Any, window: Any) -> tuple[float, float]:
    """Return the two-sample Kolmogorov–Smirnov distance and its asymptotic p-value; missing values are left out.

    p = 2 Σ (−1)^(k−1) exp(−2 k² λ²) with λ = D · √(n m / (n + m)) (Smirnov, 1948). Below some thirty rows a side
    it is an approximation. Raises `ValueError` when a side has no value.
    """
    first, second = (np.sort(_present(_numbers(side))) for side in (reference, window))
    if not first.size or not second.size:
        raise ValueError("Kolmogorov–Smirnov needs a value on each side")
    steps = np.concatenate([first, second])
    below_first = np.searchsorted(first, steps, side="right") / first.size
    below_second = np.searchsorted(second, steps, side="right") / second.size
    distance = float(np.max(np.abs(below_first - below_second)))
    return distance, _kolmogorov_tail(distance * math.sqrt(first.size * second.size / (first.size + second.size)))


def jensen_shannon(reference_shares: Sequence[float], window_shares: Sequence[float]) -> float:
    """Return the Jensen–Shannon divergence in bits: 0 for equal shares, 1 for shares that never meet (Lin, 1991)."""
    first, second = np.asarray(reference_shares, dtype=float), np.asarray(window_shares, dtype=float)
    middle = (first + second) / 2
    return float(max(0.0, (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2))


def chi_square(reference_counts: Sequence[float], window_counts: Sequence[float]) -> tuple[float, float]:
    """Return Pearson's statistic that two rows of counts are of one make, and its asymptotic p-value.

    χ² = Σ (counted − expected)² / expected, with one degree of freedom less than there are cells (Pearson, 1900).
    Cells that expect fewer than five rows on a side are counted together, the rarest first. With a single cell left
    there is nothing to tell apart: (0, 1). Where the cells are the deciles of the reference it holds as well.
    Raises `ValueError` when a side has no rows.
    """
    counts = np.vstack([np.asarray(reference_counts, dtype=float), np.asarray(window_counts, dtype=float)])
    if not counts.sum(axis=1).all():
        raise ValueError("the chi-square test needs a row on each side")
    counts = _enough_in_each(counts[:, counts.any(axis=0)])
    if counts.shape[1] < 2:
        return 0.0, 1.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    return statistic, _chi_square_tail(statistic, counts.shape[1] - 1)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted for being many, in the order given (Holm, 1979).

    >>> holm([0.25, 0.125])
    (0.25, 0.25)
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted so that of those below α at most the share α is false, on average.

    Source: Benjamini and Hochberg (1995). It finds more than Holm, and says less about each: where nothing drifted at
    all both raise an alarm with probability α at most.

    >>> benjamini_hochberg([0.25, 0.125])
    (0.25, 0.25)
    """
    adjusted = [0.0] * len(p_values)
    lowest = 1.0
    order = sorted(range(len(p_values)), key=lambda each: p_values[each])
    for rank, index in reversed(list(enumerate(order, start=1))):
        lowest = min(lowest, p_values[index] * len(p_values) / rank)
        adjusted[index] = lowest
    return tuple(adjusted)


def auc(labels: Any, scores: Any) -> float:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties counted half.

    Raises `ValueError` unless both classes are there and every score is a number.

    >>> auc([0, 1, 1], [0.1, 0.1, 0.9])
    0.75
    """
    positive, values = np.asarray(labels, dtype=float) == 1, _numbers(scores)
    positives = int(positive.sum())
    negatives = positive.size - positives
    if not positives or not negatives:
        raise ValueError("the area under the curve needs both classes")
    if np.isnan(values).any():
        raise ValueError("a score is missing")
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[places]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_error(labels: Any, scores: Any) -> float:
    """Return one standard error of `auc` (DeLong, DeLong and Clarke-Pearson, 1988); raises what `auc` raises.

    With a single row in a class it is infinite: nothing is known of how that class varies.
    """
    auc(labels, scores)
    positive, values = np.asarray(labels, dtype=float) == 1, _numbers(scores)
    variance = 0.0
    for one, other in ((values[positive], values[~positive]), (values[~positive], values[positive])):
        if one.size < 2:
            return math.inf
        ordered = np.sort(other)
        below, upto = (np.searchsorted(ordered, one, side=side) for side in ("left", "right"))
        variance += float(np.var((below + upto) / 2 / other.size, ddof=1)) / one.size
    return math.sqrt(variance)


def compare(
    reference: Any,
    window: Any,
    *,
    name: str,
    kind: Kind = "number",
    thresholds: Thresholds = Thresholds(),
    bins: int = 10,
    floor: float = 1e-4,
) -> Drift:
    """Return how one column moved from `reference` to `window`; an empty side is `not_evaluated`, never green.

    Several columns of one window belong together in `compare_all`, which adjusts the p-values.
    """
    rows = len(reference), len(window)
    if not all(rows):
        reason = f"no rows to compare: {rows[0]} in the reference, {rows[1]} in the window"
        return Drift(name, kind, *rows, None, None, None, None, None, None, (), "not_evaluated", reason)
    shares = _shares(reference, window, kind=kind, bins=bins)
    distance, p_value = _ks_where_it_applies(reference, window, kind)
    counts = [[each.reference_share * rows[0] for each in shares], [each.window_share * rows[1] for each in shares]]
    statistic, chance = chi_square(*counts)
    found = Drift(
        name=name,
        kind=kind,
        reference_rows=rows[0],
        window_rows=rows[1],
        psi=_psi(shares, floor),
        jensen_shannon=jensen_shannon([b.reference_share for b in shares], [b.window_share for b in shares]),
        ks=distance,
        ks_p=p_value,
        chi_square=statistic,
        chi_square_p=chance,
        bins=shares,
        verdict="not_evaluated",
        reason="",
    )
    return _judged(found, thresholds)


def compare_all(
    reference: Mapping[str, Any],
    window: Mapping[str, Any],
    *,
    kinds: Mapping[str, Kind],
    thresholds: Thresholds = Thresholds(),
    control: Control = "holm",
) -> tuple[Drift, ...]:
    """Compare each column that `kinds` names; the p-values of all tests of the window are adjusted together.

    By Holm's method a window without drift alarms with probability `thresholds.alpha` at most, however its columns
    depend on one another; by Benjamini and Hochberg's the share of false alarms is bounded instead.
    Raises `KeyError` when a side lacks a column: a column that vanished is no green column.
    """
    found = [compare(reference[name], window[name], name=name, kind=kinds[name]) for name in kinds]
    p_values = [each.ks_p for each in found] + [each.chi_square_p for each in found]
    tested = [index for index, p_value in enumerate(p_values) if p_value is not None]
    adjust = holm if control == "holm" else benjamini_hochberg
    for index, p_value in zip(tested, adjust([p_values[each] or 0.0 for each in tested]), strict=True):
        p_values[index] = p_value
    for index, each in enumerate(found):
        found[index] = replace(each, ks_p=p_values[index], chi_square_p=p_values[len(found) + index])
    return tuple(_judged(each, thresholds) for each in found)


def perform(
    scores: Any,
    labels: Any,
    *,
    reference_auc: float,
    thresholds: Thresholds = Thresholds(),
) -> Performance:
    """Return how scores hold against labels; a label that has not arrived yet is NaN.

    A lost ranking (AUC below the reference by more than `auc_drop`) is red; a level that is off by more than
    `calibration_gap` is amber, since a recalibration mends it. What may be chance at the level `alpha` is neither, and
    `not_evaluated`. A window whose labels are not all there is
    `not_evaluated`: early labels are not a fair sample of late ones.
    """
    values, truth = _numbers(scores), _numbers(labels)
    known = ~np.isnan(truth)
    rows, labelled = int(values.size), int(known.sum())
    lacking = int(np.isnan(values).sum())
    mean_score = float(values.mean()) if rows and not lacking else None
    if lacking:
        reason = f"{lacking} of {rows} scores are missing"
        return Performance(rows, labelled, None, None, None, None, None, "not_evaluated", reason)
    if not rows or labelled < rows:
        reason = f"{labelled} of {rows} labels have arrived"
        return Performance(rows, labelled, None, None, None, mean_score, None, "not_evaluated", reason)
    observed = float(truth.mean())
    if observed in (0.0, 1.0):
        reason = "only one class was observed, so no ranking can be judged"
        return Performance(rows, labelled, None, None, None, mean_score, observed, "not_evaluated", reason)
    now = auc(truth, values)
    found = Performance(
        rows, labelled, now, auc_error(truth, values), reference_auc - now, mean_score, observed, "not_evaluated", ""
    )
    return _judged_performance(found, thresholds)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the most harmful verdict; of none at all, `not_evaluated`."""
    return max(verdicts, key=SEVERITY.index, default="not_evaluated")


def _judged(drift: Drift, thresholds: Thresholds) -> Drift:
    """Return the same drift with its verdict and the reason in words."""
    if drift.psi is None or drift.chi_square_p is None:
        return drift
    far, chance = f"PSI {drift.psi:.3f} is at or above", drift.chi_square_p
    if drift.psi >= thresholds.psi_warn and chance >= thresholds.alpha:
        reason = f"{far} {thresholds.psi_warn:g}, but {drift.window_rows} rows may do so by chance (p {chance:.2g})"
        return replace(drift, verdict="not_evaluated", reason=reason)
    if drift.psi >= thresholds.psi_alert:
        return replace(drift, verdict="red", reason=f"{far} {thresholds.psi_alert:g}")
    if drift.psi >= thresholds.psi_warn:
        return replace(drift, verdict="amber", reason=f"{far} {thresholds.psi_warn:g}")
    moved = drift.ks is not None and drift.ks >= thresholds.ks_warn
    if moved and drift.ks_p is not None and drift.ks_p < thresholds.alpha:
        reason = f"KS distance {drift.ks:.3f} is at or above {thresholds.ks_warn:g} and not by chance"
        return replace(drift, verdict="amber", reason=reason)
    return replace(drift, verdict="green", reason=f"PSI {drift.psi:.3f} is below {thresholds.psi_warn:g}")


def _judged_performance(found: Performance, thresholds: Thresholds) -> Performance:
    drop, gap, observed = found.auc_drop, found.calibration_gap, found.observed
    assert drop is not None
    assert gap is not None
    assert observed is not None
    # One-sided: only a loss is looked for, and a level that is off has been looked at in the direction that it has.
    errors = NormalDist().inv_cdf(1 - thresholds.alpha)
    problems: list[tuple[Verdict, str]] = []
    if drop > thresholds.auc_drop:
        by_chance = drop <= errors * (found.auc_error or 0.0)
        words = f"AUC {found.auc:.3f} is {drop:.3f} below the reference"
        problems.append(("not_evaluated", f"{words}, which {found.rows} rows may do by chance") if by_chance
                        else ("red", words))  # fmt: skip
    if abs(gap) > thresholds.calibration_gap:
        by_chance = abs(gap) <= errors * math.sqrt(observed * (1 - observed) / found.rows)
        words = f"mean score {found.mean_score:.3f} against {found.observed:.3f} observed"
        problems.append(("not_evaluated", f"{words}, which {found.rows} rows may do by chance") if by_chance
                        else ("amber", words))  # fmt: skip
    if not problems:
        return replace(found, verdict="green", reason="ranking and level hold")
    return replace(
        found,
        verdict=worst(verdict for verdict, _ in problems),
        reason="; ".join(words for _, words in problems),
    )


def _ks_where_it_applies(reference: Any, window: Any, kind: Kind) -> tuple[float | None, float | None]:
    """KS needs an order and a value on each side; elsewhere there is no such number."""
    if kind != "number":
        return None, None
    if np.isnan(_numbers(reference)).all() or np.isnan(_numbers(window)).all():
        return None, None
    return ks(reference, window)


def _psi(shares: Sequence[Bin], floor: float) -> float:
    return psi_of_shares([each.reference_share for each in shares], [each.window_share for each in shares], floor=floor)


def _shares(reference: Any, window: Any, *, kind: Kind, bins: int) -> tuple[Bin, ...]:
    if not len(reference) or not len(window):
        raise ValueError("shares need a row on each side")
    return _number_bins(reference, window, bins) if kind == "number" else _category_bins(reference, window)


def _number_bins(reference: Any, window: Any, bins: int) -> tuple[Bin, ...]:
    before, now = _numbers(reference), _numbers(window)
    edges = _edges(_present(before), bins)
    counts = [_counts(side, edges) for side in (before, now)]
    labels = [*_interval_labels(edges), MISSING]
    return tuple(
        Bin(label, float(counts[0][index] / before.size), float(counts[1][index] / now.size))
        for index, label in enumerate(labels)
    )


def _edges(present: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """The inner borders of the bins; each bin holds its right border.

    Deciles are values that occurred (no interpolation), so that a heap of equal values is never cut. Where the
    lowest decile is the least value itself, what lies below it gets a bin of its own: else a column that was
    constant could fall unseen.
    """
    if not present.size:
        return np.empty(0)
    wanted = np.arange(1, bins) / bins
    edges: NDArray[np.float64] = np.unique(np.quantile(present, wanted, method="inverted_cdf"))
    if edges[0] == present.min():
        edges = np.concatenate([[np.nextafter(edges[0], -np.inf)], edges])
    return edges


def _counts(side: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    places = np.searchsorted(edges, _present(side), side="left")
    counted = np.bincount(places, minlength=edges.size + 1)
    return np.append(counted, np.isnan(side).sum()).astype(np.int64)


def _interval_labels(edges: NDArray[np.float64]) -> list[str]:
    if not edges.size:
        return ["any"]
    inner = [_interval(float(low), float(high)) for low, high in pairwise(edges)]
    lowest = f"≤ {edges[0]:.6g}"
    if edges.size > 1 and np.nextafter(edges[0], np.inf) == edges[1]:
        lowest = f"< {edges[1]:.6g}"
    return [lowest, *inner, f"> {edges[-1]:.6g}"]


def _interval(low: float, high: float) -> str:
    if np.nextafter(low, np.inf) == high:
        return f"= {high:.6g}"
    return f"({low:.6g}, {high:.6g}]"


def _category_bins(reference: Any, window: Any) -> tuple[Bin, ...]:
    before, now = _category_shares(reference), _category_shares(window)
    return tuple(
        Bin(MISSING if missing else label, before.get((missing, label), 0.0), now.get((missing, label), 0.0))
        for missing, label in sorted(before.keys() | now.keys())
    )


def _category_shares(values: Any) -> dict[tuple[bool, str], float]:
    """Shares by (is missing, label): a category that is called like a missing value stays apart from one."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iub":
        # Whole numbers are counted by numpy: a month has a million rows, and a dozen codes.
        codes, numbers = np.unique(values, return_counts=True)
        return {
            _category_key(code): int(count) / values.size for code, count in zip(codes.tolist(), numbers, strict=True)
        }
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    counts = Counter(_category_key(value) for value in listed)
    return {key: count / len(listed) for key, count in counts.items()}


def is_missing(values: Any) -> NDArray[np.bool_]:
    """Which values are missing: None, NaN, and what pandas calls so."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iubf":
        return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.size, dtype=bool)
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return np.array([_category_key(value)[0] for value in listed], dtype=bool)


def labels_of(values: Any) -> NDArray[np.str_]:
    """The labels of a category's values, each in its one spelling; of a missing value it is empty."""
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return np.array([_category_key(value)[1] for value in listed], dtype=np.str_)


def _category_key(value: Any) -> tuple[bool, str]:
    # `pd.NA` compares to itself as NA, so it is told by name: this module does not know pandas.
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value:
        return True, ""
    # One category has one spelling: 2 and 2.0 are the same code, read from an integer or a float column.
    if isinstance(value, float) and value.is_integer():
        return False, str(int(value))
    return False, str(value)


def _numbers(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _relative_entropy(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    there = first > 0
    return float(np.sum(first[there] * np.log2(first[there] / second[there])))


def _kolmogorov_tail(scaled: float) -> float:
    # Below 0.2 the tail is 1 to sixteen digits, while the alternating series no longer settles.
    if scaled < 0.2:
        return 1.0
    terms = np.arange(1, 101)
    tail = 2 * float(np.sum((-1.0) ** (terms - 1) * np.exp(-2 * terms**2 * scaled**2)))
    return min(1.0, max(0.0, tail))


def _enough_in_each(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same counts, the rarest cells put together until each expects enough rows on each side."""
    shares = counts.sum(axis=1) / counts.sum()
    order = np.argsort(counts.sum(axis=0), kind="stable")
    totals = counts.sum(axis=0)[order]
    least = LEAST_EXPECTED / float(shares.min())
    # How many of the rarest it takes until all others are frequent enough, and they together are, too.
    together = int(np.searchsorted(totals, least, side="left"))
    if together and totals[:together].sum() < least:
        together = min(together + 1, totals.size)
    if not together:
        return counts
    rare = counts[:, order[:together]].sum(axis=1, keepdims=True)
    return np.hstack([rare, counts[:, order[together:]]])


def _chi_square_tail(statistic: float, degrees: int) -> float:
    """The probability of a larger statistic: a finite sum for whole degrees (Abramowitz and Stegun, 26.4.4, 26.4.5)."""
    half = statistic / 2
    if half <= 0:
        return 1.0
    # In logarithms, since with a thousand categories neither the powers nor the exponential are numbers any more.
    offset = 0.0 if degrees % 2 == 0 else 0.5
    powers = (index + offset for index in range(degrees // 2))
    terms = [math.exp(power * math.log(half) - math.lgamma(power + 1) - half) for power in powers]
    return min(1.0, math.fsum(terms) + (math.erfc(math.sqrt(half)) if offset else 0.0))
