"""Local fidelity: how much of what the model does near a row its surrogate tells, as weighted R².

Source: Ribeiro, Singh and Guestrin (2016), arXiv 1602.04938; the R² is the one LIME reports as its score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The R² of local surrogates over rows and outputs; `low` is its 5 % quantile, `below` the share under `floor`."""

    median: float
    low: float
    below: float
    floor: float
    surrogates: int


def measure(r2: NDArray[np.float64], *, floor: float) -> Fidelity | None:
    """Sum up the R² of surrogates (rows, outputs).

    One that is not finite (the model does not vary around the row) is left out; None where none remains.
    """
    present = r2[np.isfinite(r2)]
    if not len(present):
        return None
    low, median = (float(each) for each in np.quantile(present, (0.05, 0.5)))
    return Fidelity(median, low, float((present < floor).mean()), floor, len(present))
