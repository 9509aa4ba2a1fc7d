"""Where the random numbers of a run start, if nobody gives them a seed: two runs from one start draw the same."""

from __future__ import annotations

import random
from typing import Any

from .loading import once_loaded

# Any number would do, if it is the same for a notebook and its package.
ONE_START = 0


def start_draws(at: int) -> None:
    """Start the generators of this process at one place; those of a library at once when it is loaded."""
    random.seed(at)
    once_loaded({
        "numpy.random": lambda module: _start_numpy(module, at),
        "torch": lambda module: module.manual_seed(at),
    })  # fmt: skip


def _start_numpy(module: Any, at: int) -> None:
    """Start the one generator that is there, and let those that are made without a seed begin where we say."""
    module.seed(at)
    if hasattr(module.bit_generator, "randbits"):
        module.bit_generator.randbits = random.Random(at).getrandbits  # noqa: S311 (nothing is secret)
