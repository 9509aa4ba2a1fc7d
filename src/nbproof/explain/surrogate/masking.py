"""Surrogates of a thing whose parts are there or not: what LIME for texts and for pictures have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Numpy
from .kernel import Kernel
from .moments import moments
from .selecting import select, way
from .solving import Fitted, ridge

# lime takes all parts of a picture by asking for so many.
ALL = 100_000


def fits(
    present: NDArray[np.bool_],
    answers: NDArray[np.float64],
    kernel: Kernel,
    scale: float,
    selection: str,
    features: int | None,
) -> list[Fitted]:
    """One fit for each output by which parts are `present` (samples, parts) and the `answers` (samples, outputs).

    The first sample is the thing itself. The distance of a sample is the cosine distance to it, times `scale`.
    """
    arrays = Numpy()
    samples, parts = present.shape
    wanted = ALL if features is None else features
    distance = scale * (1.0 - np.sqrt(present.sum(axis=1) / parts))
    roots = kernel.roots(arrays, distance**2)
    held = moments(arrays, present.T[None], answers[None], roots[None], np.zeros((1, parts)))
    own, count, chosen_way = np.ones((1, parts)), min(wanted, parts), way(selection, wanted)
    return [
        ridge(arrays, held, output, select(arrays, chosen_way, held, output, own, count, samples), own)
        for output in range(answers.shape[1])
    ]
