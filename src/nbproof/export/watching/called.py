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

# Python tells of every call in every library, for one or two microseconds each: after so many in a cell, or in a whole
# run, nobody listens any more. That is a sixth of a second a cell, and less than a second altogether.
MOST_EVENTS, MOST_ALTOGETHER = 100_000, 500_000
# After so many calls a function has shown what it is called with.
MOST_CALLS = 50
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
    code: types.CodeType
    goes_on: frozenset[int]
    returns: frozenset[int]
    calls: int = 0
    takes: dict[str, dict[str, None]] = field(default_factory=dict)
    gives: dict[str, None] = field(default_factory=dict)


class Calls:
    """Listens to calls of what cells define. One for a whole run, in the thread that runs the cells."""

    def __init__(self) -> None:
        # By identity, for to hash code is to read all of it.
        self._heard: dict[int, _Heard] = {}
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
        left, told = MOST_EVENTS, self._told

        # It is called a million times, and so it is as short as can be, and looks nothing up.
        def hear(frame: types.FrameType, event: str, value: Any) -> None:
            nonlocal left
            left -= 1
            if frame.f_code.co_filename[:6] == "<cell ":
                told(frame, event, value)
            elif left < 0:
                sys.setprofile(None)

        sys.setprofile(hear)
        try:
            yield
        finally:
            if sys.getprofile() is hear:
                sys.setprofile(None)
            self._altogether -= MOST_EVENTS - left

    def found(self) -> Iterator[Called]:
        """What was heard, each function once."""
        for heard in self._heard.values():
            code = heard.code
            cell = int(code.co_filename.removeprefix("<cell ").removesuffix(">"))
            takes = {name: united(kinds) for name, kinds in heard.takes.items()}
            gives = united(heard.gives) if heard.gives else None
            yield Called(cell, code.co_firstlineno, code.co_name, takes, gives)

    def _told(self, frame: types.FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        # Neither the cell itself nor the body of a class is a function.
        if not code.co_flags & _DEFINED:
            return
        heard = self._heard.get(id(code))
        if heard is None:
            heard = self._heard[id(code)] = _Heard(code, *_places(code))
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
