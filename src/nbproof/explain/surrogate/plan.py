"""How the rows of one question are explained: every option with a definite value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from ...errors import AskedWrongly, DataUnusable, UnknownName
from ..pacing import Calls
from ..progress import Watch
from ..question import Question
from ..schema import refuse_missing
from .arrays import Arrays
from .kernel import Kernel

Mode = Literal["row", "stream"]

# Points that the model is asked about at a time, as many as lime asks about: activations of a network stay in caches.
POINTS_AT_ONCE = 5000
# Numbers in those points, where a table is wide.
NUMBERS_AT_ONCE = 2**23


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


def generator(seed: int) -> RandomState:
    """A new stream of random numbers. Raises `DataUnusable` for a seed that numpy's old generator does not take."""
    if not 0 <= seed < 2**32:
        raise DataUnusable("seed", str(seed), "a whole number from 0 to 4294967295")
    return RandomState(seed)


def training_of(question: Question) -> NDArray[np.float64]:
    """The background as training data, (rows, features).

    Raises `DataUnusable` where there is none, and for a missing value in it or in the rows.
    """
    training = question.needs_background("LIME")
    names = question.schema.names
    refuse_missing(question.rows, names, "LIME cannot perturb around it; fill it in, as the model does, first")
    refuse_missing(training, names, "LIME cannot tell how its values are distributed; fill it in first")
    return training


def categorical_columns(question: Question, categorical: Sequence[int | str]) -> list[int]:
    """The positions of the categorical columns: those that the schema knows, and those that were named."""
    names = question.schema.names
    found = set(question.schema.categorical)
    for each in categorical:
        if isinstance(each, str) and each not in names:
            raise UnknownName("feature", each, names)
        at = names.index(each) if isinstance(each, str) else each
        if not 0 <= at < len(names):
            raise AskedWrongly(f"categorical: found column {at}, expected one from 0 to {len(names) - 1}")
        found.add(at)
    return sorted(found)


def calls_for(features: int, watch: Watch) -> Calls:
    """Calls of so many points as stay in caches; as many for every table of so many features."""
    return Calls(watch, min(POINTS_AT_ONCE, max(1, NUMBERS_AT_ONCE // max(features, 1))))
