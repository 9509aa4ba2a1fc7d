"""What Shapley values are by their definition, for tests: every order in which features can become known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray


def by_definition(
    ask: Callable[[NDArray[np.float64]], Any], row: NDArray[np.float64], background: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The values (features,) or (features, outputs) of a row: mean gain of knowing a feature, over all orders."""
    orders = list(permutations(range(len(row))))
    out: Any = 0.0
    for order in orders:
        points = background.copy()
        before = np.asarray(ask(points)).mean(axis=0)
        gains = np.zeros((len(row), *np.shape(before)))
        for feature in order:
            points[:, feature] = row[feature]
            after = np.asarray(ask(points)).mean(axis=0)
            gains[feature], before = after - before, after
        out = out + gains
    return np.asarray(out / len(orders))
