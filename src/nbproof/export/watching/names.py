"""The namespace of a watched notebook: it notes which names a cell reads and binds, also from inside of functions."""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterable
from typing import Any


class Names(dict[str, Any]):
    """The globals of the cells. Python asks a subclass of dict for every global name, and so it can be watched.

    A function that says `global x` binds `x` past it: `settle` compares before and after. The body of a class reads
    past it; who needs to know that asks the source.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.read: set[str] = set()
        self.bound: set[str] = set()
        self.deleted: set[str] = set()
        self._before: dict[str, int] = {}
        # What a definition held when it was made, as `looked_into` tells it.
        self.born: dict[str, Any] = {}
        self.looked_into: Callable[[Any], Any] | None = None

    def begin(self) -> None:
        """Forget what the cell before has done."""
        self.read, self.bound, self.deleted, self.born = set(), set(), set(), {}
        self._before = {name: id(value) for name, value in self.items()}

    def settle(self) -> None:
        """Add what was bound or unbound behind our back."""
        for name in self.own():
            if self._before.get(name) != id(super().__getitem__(name)):
                self.bound.add(name)
        self.deleted |= self._before.keys() - self.keys()

    @property
    def before(self) -> set[str]:
        """The names that there were when the cell began."""
        return set(self._before)

    def own(self) -> Iterable[str]:
        """The names that the notebook itself has bound so far."""
        return [name for name in self if not (name.startswith("__") and name.endswith("__"))]

    def __getitem__(self, name: str) -> Any:
        # What the cell itself has bound before is none of its inputs.
        if name not in self.bound and super().__contains__(name) and name not in self.read:
            self.read.add(name)
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.bound.add(name)
        super().__setitem__(name, value)
        if self.looked_into is not None and isinstance(value, types.FunctionType | type):
            self.born[name] = self.looked_into(value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self.deleted.add(name)
        self.bound.discard(name)


def fresh(**extra: Any) -> Names:
    """The names that a kernel has before its first cell, and `extra`."""
    return Names({"__name__": "__main__", "__builtins__": builtins, "__doc__": None, **extra})
