"""The real lime, called as its users call it, and how far other numbers are from its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbproof.explain.explanation import Explanation

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lime.lime_tabular import LimeTabularExplainer


@dataclass(frozen=True, slots=True)
class Theirs:
    """What lime says of one row and output."""

    order: list[int]
    coefficients: NDArray[np.float64]
    intercept: float
    r2: float
    local: float


def read(explanation: Any, label: int, features: int) -> Theirs:
    """What a LIME explanation says of one label."""
    pairs = explanation.local_exp[label]
    coefficients = np.zeros(features)
    for feature, weight in pairs:
        coefficients[feature] = weight
    return Theirs(
        order=[int(feature) for feature, _ in pairs],
        coefficients=coefficients,
        intercept=float(explanation.intercept[label]),
        r2=float(explanation.score),
        local=float(explanation.local_pred[0]),
    )


def by_lime(
    training: Any,
    rows: Any,
    predict: Callable[[Any], Any],
    *,
    labels: Sequence[int] = (1,),
    seed: int,
    stream: bool = False,
    features: int = 10,
    samples: int = 5000,
    **options: Any,
) -> list[list[Theirs]]:
    """lime's own explanations, by row and label; in a stream, or with the seed set anew for every row.

    A row is explained once for each label from the same state: lime keeps the R² of the last label only.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = LimeTabularExplainer(training, random_state=seed, **options)
        found = []
        for row in rows:
            if not stream:
                explainer.random_state.seed(seed)
            state = explainer.random_state.get_state()
            each = []
            for label in labels:
                explainer.random_state.set_state(state)
                explained = explainer.explain_instance(
                    row, predict, labels=(label,), num_features=features, num_samples=samples
                )
                each.append(read(explained, label, training.shape[1]))
            found.append(each)
        return found


def apart(ours: Explanation, theirs: list[list[Theirs]], *, scale: float = 1.0, with_r2: bool = True) -> float:
    """The largest difference of coefficients, intercept, R² and local answer; `scale` is the size of the answers."""
    held = ours.surrogate
    assert held is not None
    found = 0.0
    for row, each in enumerate(theirs):
        for output, other in enumerate(each):
            found = max(
                found,
                float(np.abs(held.coefficients[row, :, output] - other.coefficients).max()) / scale,
                abs(held.intercept[row, output] - other.intercept) / scale,
                abs(held.r2[row, output] - other.r2) if with_r2 else 0.0,
                abs(held.local[row, output] - other.local) / scale,
            )
    return found


def orders(ours: Explanation) -> list[list[list[int]]]:
    """The selected features of each row and output, from the largest coefficient to the smallest."""
    assert ours.surrogate is not None
    return [[[int(at) for at in chosen if at >= 0] for chosen in row] for row in ours.surrogate.selected]


def orders_of(theirs: list[list[Theirs]]) -> list[list[list[int]]]:
    return [[other.order for other in each] for each in theirs]
