"""Where the random numbers of a run start, if nobody gives them a seed: two runs from one start draw the same."""

from __future__ import annotations

import random

from .loading import once_loaded

# Any number would do, if it is the same for a notebook and its package.
ONE_START = 0


def start_draws(at: int) -> None:
    """Start the generators of this process at one place; those of a library at once when it is loaded."""
    random.seed(at)
    once_loaded({
        "numpy.random": lambda module: module.seed(at),
        "torch": lambda module: module.manual_seed(at),
    })  # fmt: skip
