"""Where the random numbers of a run start, if nobody gives them a seed: two runs from one start draw the same."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# Any number would do, if it is the same for a notebook and its package.
ONE_START = 0


def start_draws(at: int) -> None:
    """Start the generators of this process at one place; those of a library at once when it is loaded."""
    random.seed(at)
    sys.meta_path.insert(0, _Starting({
        "numpy.random": lambda module: module.seed(at),
        "torch": lambda module: module.manual_seed(at),
    }))  # fmt: skip


class _Starting(MetaPathFinder):
    """Finds some modules as ever, and does something with each once it is loaded."""

    def __init__(self, waiting: dict[str, Callable[[ModuleType], object]]) -> None:
        self._waiting = waiting

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        then = self._waiting.pop(fullname, None)
        spec = PathFinder.find_spec(fullname, path) if then else None
        if then is None or spec is None or spec.loader is None:
            return None
        _afterwards(spec.loader, then)
        return spec


def _afterwards(loader: Loader, then: Callable[[ModuleType], object]) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        then(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]
