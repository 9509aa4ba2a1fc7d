"""Judges how much of the model local surrogates tell."""

from __future__ import annotations

import numpy as np

from ..line import Gauge, Line
from ..metrics import fidelity
from .looked import Looked, told_by

RIBEIRO = "Ribeiro, Singh and Guestrin (2016), arXiv 1602.04938"


def judge(looked: Looked) -> list[Line]:
    gauge = Gauge("local fidelity of LIME (R²)", RIBEIRO, 0.5, 0.1)
    if looked.lime is None:
        return [gauge.unknown("no LIME explanation was handed in")]
    if looked.lime.surrogate is None:
        return [gauge.unknown("this explanation carries no local surrogate")]
    # Where the model does not vary, R² is a quotient of roundings.
    varies = told_by(looked.lime).any(axis=1)
    found = fidelity.measure(np.where(varies, looked.lime.surrogate.r2, np.nan), floor=gauge.passes)
    if found is None:
        return [gauge.unknown("the model does not vary around these rows")]
    return [
        gauge.line(
            found.median,
            f"Near the median row a straight line tells {found.median:.0%} of what the model does, near one row in "
            f"twenty {found.low:.0%} or less.",
            numbers={"lime_r2_median": found.median, "lime_r2_low": found.low, "lime_r2_below": found.below},
        )
    ]
