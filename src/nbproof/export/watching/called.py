"""With which types the functions of a notebook are called, and which they return: listened to at a bounded price."""

from __future__ import annotations

import contextlib
import dis
import inspect
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .kinds import kind_of, united

# Python tells of every call in every library, for about 0.4 µs each: after so many in one cell, or in a whole run,
# nobody listens any more. That is a fifth of a second a cell, and a second altogether.
MOST_EVENTS, MOST_ALTOGETHER = 500_000, 2_500_000
# After so many calls a function has shown what it is called with.
MOST_CALLS = 200
_DEFINED = inspect.CO_OPTIMIZED


@dataclass(frozen=True, slots=True)
class Called:
    """A function of a cell, found by the line that it begins in: the types of its arguments and of what it returned.

    `gives` is None where it never came to its end while somebody listened.
    """

    cell: int
    line: int
    name: str
    takes: dict[str, str]
    gives: str | None


@dataclass(slots=True)
class _Heard:
    goes_on: frozenset[int]
    returns: frozenset[int]
    calls: int = 0
    takes: dict[str, dict[str, None]] = field(default_factory=dict)
    gives: dict[str, None] = field(default_factory=dict)


class Calls:
    """Listens to calls of what cells define. One for a whole run, in the thread that runs the cells."""

    def __init__(self) -> None:
        self._heard: dict[types.CodeType, _Heard] = {}
        self._left, self._altogether = 0, MOST_ALTOGETHER
        self._is_wanted = False

    @contextlib.contextmanager
    def listening(self, *, defines: bool) -> Iterator[None]:
        """Listen to a cell within the block, from the first that `defines` functions on.

        Where the notebook has a profiler of its own, that one is left alone.
        """
        self._is_wanted = self._is_wanted or defines
        if not self._is_wanted or self._altogether <= 0 or sys.getprofile() is not None:
            yield
            return
        hear = self._hear
        self._left = MOST_EVENTS
        sys.setprofile(hear)
        try:
            yield
        finally:
            if sys.getprofile() is hear:
                sys.setprofile(None)
            self._altogether -= MOST_EVENTS - self._left

    def found(self) -> Iterator[Called]:
        """What was heard, each function once."""
        for code, heard in self._heard.items():
            cell = int(code.co_filename.removeprefix("<cell ").removesuffix(">"))
            takes = {name: united(kinds) for name, kinds in heard.takes.items()}
            gives = united(heard.gives) if heard.gives else None
            yield Called(cell, code.co_firstlineno, code.co_name, takes, gives)

    def _hear(self, frame: types.FrameType, event: str, value: Any) -> None:
        self._left -= 1
        if self._left <= 0:
            sys.setprofile(None)
            return
        code = frame.f_code
        if (event != "call" and event != "return") or not code.co_filename.startswith("<cell "):
            return
        # Neither the cell itself nor the body of a class is a function.
        if not code.co_flags & _DEFINED:
            return
        heard = self._heard.get(code)
        if heard is None:
            heard = self._heard[code] = _Heard(*_places(code))
        if heard.calls > MOST_CALLS:
            return
        if event == "call":
            self._note_arguments(heard, frame)
        elif event == "return" and frame.f_lasti in heard.returns:
            heard.gives[kind_of(value)] = None

    @staticmethod
    def _note_arguments(heard: _Heard, frame: types.FrameType) -> None:
        code = frame.f_code
        # A generator is called once, and told of again whenever it goes on.
        if frame.f_lasti in heard.goes_on:
            return
        heard.calls += 1
        count = code.co_argcount + code.co_kwonlyargcount
        held = frame.f_locals
        for name in code.co_varnames[:count]:
            if name in held:
                heard.takes.setdefault(name, {})[kind_of(held[name])] = None
        stars = list(code.co_varnames[count:])
        if code.co_flags & inspect.CO_VARARGS:
            name = stars.pop(0)
            for each in held.get(name, ()):
                heard.takes.setdefault(name, {})[kind_of(each)] = None
        if code.co_flags & inspect.CO_VARKEYWORDS:
            for each in held.get(stars[0], {}).values():
                heard.takes.setdefault(stars[0], {})[kind_of(each)] = None


def _places(code: types.CodeType) -> tuple[frozenset[int], frozenset[int]]:
    """Where the code goes on after a pause, and where it gives a value: to yield is to give, except in a coroutine."""
    gives = ("YIELD_VALUE",) if code.co_flags & inspect.CO_GENERATOR else ("RETURN_VALUE", "RETURN_CONST")
    every = list(dis.get_instructions(code))
    return (
        frozenset(each.offset for each in every if each.opname == "RESUME" and each.arg),
        frozenset(each.offset for each in every if each.opname in gives),
    )
