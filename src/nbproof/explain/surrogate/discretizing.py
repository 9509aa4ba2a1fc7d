"""Bins of continuous features: where they begin and end, how the values lie in them, and what a reader calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from ...errors import DataUnusable, UnknownName

# Lime adds it to every standard deviation, so that a bin with one value can be divided by it.
LEAST_DEVIATION = 0.00000000001

Edges = Callable[[NDArray[np.float64], NDArray[Any] | None, RandomState], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Bins:
    """The bins of one feature from the lowest: a value v is in bin i where edges[i - 1] < v <= edges[i].

    `lows`, `highs`, `means` and `deviations` have one entry for each bin. The lowest bin begins at the least value of
    the training data and the highest ends at the greatest; where a bin is empty its mean is 0.
    """

    edges: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], edges: NDArray[np.float64]) -> Bins:
        """The bins between `edges`, with the statistics of the training `values` in them."""
        edges = np.unique(edges)
        within = np.searchsorted(edges, values)
        parts = [values[within == at] for at in range(len(edges) + 1)]
        return cls(
            edges=edges,
            lows=np.concatenate([[values.min()], edges]),
            highs=np.concatenate([edges, [values.max()]]),
            means=np.array([part.mean() if len(part) else 0.0 for part in parts]),
            deviations=np.array([part.std() if len(part) else 0.0 for part in parts]) + LEAST_DEVIATION,
        )

    def __len__(self) -> int:
        return len(self.edges) + 1

    def holding(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bin of each value."""
        return np.searchsorted(self.edges, values)

    def names(self, feature: str) -> tuple[str, ...]:
        """What each bin says of the feature: `age ≤ 30`, `30 < age ≤ 45`, `age > 45`."""
        ends = [f"{edge:.6g}" for edge in self.edges]
        between = [f"{low} < {feature} ≤ {high}" for low, high in pairwise(ends)]
        return (f"{feature} ≤ {ends[0]}", *between, f"{feature} > {ends[-1]}")


def fit(
    kind: str,
    training: NDArray[np.float64],
    continuous: Sequence[int],
    *,
    labels: NDArray[Any] | None,
    random: RandomState,
) -> dict[int, Bins]:
    """The bins of each continuous column of the training data (rows, features), by its position.

    `kind` is "quartile", "decile", or "entropy": the thresholds of a decision tree of depth 3 for `labels` (rows,).
    Raises `UnknownName` for another kind, `DataUnusable` for "entropy" without labels that fit.
    """
    if kind not in EDGES:
        raise UnknownName("discretizer", kind, EDGES)
    if kind == "entropy":
        _refuse_labels(labels, len(training))
    # All edges first: a tree takes from `random`, and lime's stream of random numbers has this order.
    edges = [EDGES[kind](training[:, at], labels, random) for at in continuous]
    return {at: Bins.of(training[:, at], cut) for at, cut in zip(continuous, edges, strict=True)}


def _refuse_labels(labels: NDArray[Any] | None, rows: int) -> None:
    if labels is None:
        raise DataUnusable(
            "the entropy discretizer", "no labels", "the labels of the training rows", hint="pass labels=y_train"
        )
    if labels.shape != (rows,):
        raise DataUnusable("the labels", f"the shape {labels.shape}", f"{(rows,)}: one for each training row")


def _quartiles(values: NDArray[np.float64], labels: NDArray[Any] | None, random: RandomState) -> NDArray[np.float64]:
    return np.asarray(np.percentile(values, [25, 50, 75]))


def _deciles(values: NDArray[np.float64], labels: NDArray[Any] | None, random: RandomState) -> NDArray[np.float64]:
    return np.asarray(np.percentile(values, [10, 20, 30, 40, 50, 60, 70, 80, 90]))


def _thresholds(values: NDArray[np.float64], labels: NDArray[Any] | None, random: RandomState) -> NDArray[np.float64]:
    """Where a decision tree of depth 3 cuts this column to tell the labels apart; its median where it does not cut."""
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(criterion="entropy", max_depth=3, random_state=random)
    tree.fit(values[:, None], labels)
    cuts = tree.tree_.threshold[tree.tree_.children_left > -1]
    return np.sort(cuts) if len(cuts) else np.array([np.median(values)])


EDGES: dict[str, Edges] = {"decile": _deciles, "entropy": _thresholds, "quartile": _quartiles}
