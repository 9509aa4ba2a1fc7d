"""The quality of a window's data beside its reference: what is missing, unknown, out of range or there twice.

Like `drift`, this module knows no file: columns of values in, frozen values out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .drift import Kind, Verdict, is_missing, labels_of

Check = Literal["missing", "unseen", "range", "duplicates"]
MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares of rows from where on quality is amber, and red.

    For missing values and duplicates it is how much the share has risen, for the others the share itself.
    """

    amber: float = 0.01
    red: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.amber <= self.red <= 1:
            raise ValueError(f"limits must rise within (0, 1]: {self.amber}, {self.red}")


@dataclass(frozen=True, slots=True)
class Quality:
    """One check of one column (of the rows as a whole for duplicates: the column is then `rows`).

    The shares are of rows before and now; `examples` are values that nobody knew.
    """

    column: str
    check: Check
    reference_share: float
    window_share: float
    examples: tuple[str, ...]
    verdict: Verdict
    reason: str


def check_all(
    reference: Mapping[str, Any], window: Mapping[str, Any], *, kinds: Mapping[str, Kind], limits: Limits = Limits()
) -> tuple[Quality, ...]:
    """Check each column that `kinds` names; a side without rows gives nothing, since there is nothing to judge."""
    found: list[Quality] = []
    for name, kind in kinds.items():
        if not len(reference[name]) or not len(window[name]):
            continue
        found.append(missing(name, reference[name], window[name], limits=limits))
        check = unseen if kind == "category" else out_of_range
        found.append(check(name, reference[name], window[name], limits=limits))
    return tuple(found)


def missing(name: str, reference: Any, window: Any, *, limits: Limits = Limits()) -> Quality:
    """By how much the share of missing values has risen; a fall is no fault of quality, and drift tells it."""
    before, now = (float(is_missing(side).mean()) for side in (reference, window))
    verdict, words = _judged(now - before, limits, "more is missing than before", len(window))
    return Quality(name, "missing", before, now, (), verdict, words)


def unseen(name: str, reference: Any, window: Any, *, limits: Limits = Limits()) -> Quality:
    """The share of rows with a category that the reference does not hold."""
    known = set(labels_of(reference)[~is_missing(reference)].tolist())
    present = labels_of(window)[~is_missing(window)]
    new = [label for label in present.tolist() if label not in known]
    share = len(new) / len(window)
    verdict, words = _judged(share, limits, "have a category that was never seen", len(window))
    return Quality(name, "unseen", 0.0, share, _most_frequent(new), verdict, words)


def out_of_range(name: str, reference: Any, window: Any, *, limits: Limits = Limits()) -> Quality:
    """The share of rows outside of the range of the reference; infinities are outside of every range."""
    before, now = (np.asarray(side, dtype=np.float64) for side in (reference, window))
    present = before[np.isfinite(before)]
    low, high = (float(present.min()), float(present.max())) if present.size else (math.inf, -math.inf)
    outside = ~np.isnan(now) & ((now < low) | (now > high) | np.isinf(now))
    share = float(outside.mean())
    shown = "nothing" if low > high else f"{low:.6g} to {high:.6g}"
    verdict, words = _judged(share, limits, f"are outside of {shown}", len(window))
    return Quality(name, "range", 0.0, share, _most_frequent(f"{value:.6g}" for value in now[outside]), verdict, words)


def duplicates(
    reference: Sequence[Any], window: Sequence[Any], *, limits: Limits = Limits(), is_key: bool = False
) -> Quality:
    """By how much the share of rows that repeat an earlier one has risen; of a key any that is there twice is red.

    The rows are given as columns, one sequence each. Among more rows more repeat by chance, so the first rows of each
    side are compared, as many as the smaller one has; of a key all are.
    """
    rows = len(window[0]) if window else 0
    size = None if is_key else min(rows, len(reference[0]) if reference else 0)
    before, now = (_repeated([column[:size] for column in columns]) for columns in (reference, window))
    if is_key:
        verdict: Verdict = "red" if now else "green"
        words = f"{now:.2%} of the keys are there twice" if now else "each key is there once"
        return Quality("rows", "duplicates", before, now, (), verdict, words)
    verdict, words = _judged(now - before, limits, "repeat an earlier one more than before", rows)
    return Quality("rows", "duplicates", before, now, (), verdict, words)


def _repeated(columns: Sequence[Any]) -> float:
    # A missing value is not even equal to itself, so values are compared by how they are spelt.
    spelt = [labels_of(column) for column in columns]
    gone = [is_missing(column) for column in columns]
    rows = list(zip(*spelt, *gone, strict=True))
    return 1 - len(set(rows)) / len(rows) if rows else 0.0


def _judged(share: float, limits: Limits, told: str, rows: int) -> tuple[Verdict, str]:
    if share <= limits.amber:
        return "green", f"at most {limits.amber:g} of the rows {told}"
    # Of few rows a single one is a large share: two are the least that could be more than an accident.
    if share * rows < 2:
        return "not_evaluated", f"one of {rows} rows is too few to tell: {share:.2%} {told}"
    return "red" if share > limits.red else "amber", f"{share:.2%} of the rows {told}"


def _most_frequent(values: Iterable[str]) -> tuple[str, ...]:
    counted: dict[str, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    return tuple(sorted(counted, key=lambda value: (-counted[value], value))[:MOST_EXAMPLES])
