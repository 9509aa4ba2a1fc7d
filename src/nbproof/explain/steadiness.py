"""By how much two answers differ that should be the same, where rounding alone may tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# How far answers may differ when a batch is cut otherwise: additions in another order, and no more than that.
LOOSE = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


def apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """By how much answers differ; 0 for what rounding explains."""
    if one.shape != other.shape:
        return float("inf")
    if one.dtype.kind != "f":
        return 0.0 if np.array_equal(one, other) else float("inf")
    loose = LOOSE.get(str(one.dtype), 1e-9)
    if np.allclose(one, other, rtol=loose, atol=loose, equal_nan=True):
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(np.abs(one.astype(float) - other.astype(float))))
