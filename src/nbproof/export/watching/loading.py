"""What is to happen to a module as soon as it is loaded, whoever loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Then = Callable[[ModuleType], object]


def once_loaded(wanted: Mapping[str, Then]) -> None:
    """Do something with each of these modules once it is loaded; at once where it is already."""
    for name in wanted.keys() & sys.modules.keys():
        wanted[name](sys.modules[name])
    sys.meta_path.insert(0, _Finder({name: then for name, then in wanted.items() if name not in sys.modules}))


class _Finder(MetaPathFinder):
    """Finds the modules that are waited for as ever, each once."""

    def __init__(self, waiting: dict[str, Then]) -> None:
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


def _afterwards(loader: Loader, then: Then) -> None:
    load = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        load(module)
        then(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]
