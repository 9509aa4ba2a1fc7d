"""How the rows of one question are explained: every option with a definite value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..question import Question
from .arrays import Arrays
from .kernel import Kernel

Mode = Literal["row", "stream"]

# Numbers in the points that the model is asked about at a time.
ASKED_AT_ONCE = 2**23


@dataclass(frozen=True, slots=True)
class Plan:
    """`features` are chosen of each row by `way`, from `samples` points; `mode` is "row" or "stream"."""

    seed: int
    features: int
    samples: int
    mode: str
    way: str
    kernel: Kernel
    arrays: Arrays


def answers(question: Question, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The model's answers (points, outputs), asked in parts that leave the memory bounded."""
    parts = [question.asked(points[part]) for part in asked_parts(*points.shape)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def asked_parts(points: int, features: int) -> Iterator[slice]:
    """The parts in which the model is asked about so many points; they follow from the shape alone."""
    size = max(1, ASKED_AT_ONCE // max(features, 1))
    return (slice(start, min(start + size, points)) for start in range(0, points, size))
