"""Parameters and the check of their values: what fits is taken in its own type, all else is refused."""

from __future__ import annotations

import copy
import datetime
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\n\0]+")
_LONGEST = 80


class ParameterInvalid(ValueError):
    """Parameters that do not fit: every problem, in one line."""


class _Unfit(Exception):
    """The value is none of its type; its text says what was expected where that is not the type itself."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type as a tree: the kind, what it is made of, its choices and its bounds."""

    kind: str
    parts: tuple[Type, ...] = ()
    choices: tuple[Any, ...] = ()
    repeats: bool = False
    bounds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its type, as a tree and as people write it, and what it is when nobody says."""

    name: str
    type: Type
    annotation: str
    words: str
    is_required: bool = False
    default: Any = None
    description: str = ""

    @property
    def choices(self) -> tuple[Any, ...]:
        """The only values that it may have; empty where there are others."""
        return self.type.choices

    @property
    def bounds(self) -> Mapping[str, Any]:
        """What limits it: ge, gt, le, lt, multiple_of, min_length, max_length, pattern."""
        return self.type.bounds


def check(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every parameter, in their order, each a copy in its own type.

    A whole number is taken for a number, a text for a path or (as ISO says) for a date, a list for a tuple or a set.
    Nothing else is converted. Raises `ParameterInvalid` with every problem.
    """
    problems = list(_unknown(parameters, values))
    found: dict[str, Any] = {}
    for each in parameters:
        if each.name not in values and each.is_required:
            problems.append(f"`{each.name}` has no value, expected {each.words}")
            continue
        value = values.get(each.name, each.default)
        try:
            found[each.name] = _fitted(each.type, value)
        except _Unfit as unfit:
            problems.append(_told(each, value, str(unfit)))
    if problems:
        raise ParameterInvalid("; ".join(problems))
    return found


def _told(parameter: Parameter, value: Any, expected: str) -> str:
    if parameter.type.kind == "secret":
        # It may be the secret itself, which nobody should read in an error.
        return f"`{parameter.name}` holds a value, expected {parameter.words}"
    text = " ".join(repr(value).split())
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return f"`{parameter.name}` is {shown}, expected {expected or parameter.words}"


def _unknown(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> Iterator[str]:
    known = [each.name for each in parameters]
    for name in values:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(str(name), known, n=1)
            yield f"unknown parameter `{name}`" + (f"; did you mean `{close[0]}`?" if close else "")


def _fitted(kind: Type, value: Any) -> Any:
    if kind.kind == "union":
        return _one_of(kind.parts, value)
    if kind.kind == "literal":
        # To Python True == 1, and whoever says 1 does not mean True.
        for choice in kind.choices:
            if type(choice) is type(value) and choice == value:
                return choice
        raise _Unfit
    found = _SIMPLE[kind.kind](value) if kind.kind in _SIMPLE else _collection(kind, value)
    for name, bound in kind.bounds.items():
        holds, words = _BOUNDS[name]
        if not holds(found, bound):
            raise _Unfit(words.format(bound))
    return found


def _one_of(parts: Sequence[Type], value: Any) -> Any:
    """Return the value in the first type that takes it as it is, or else in the first that takes it at all."""
    fitting: list[Any] = []
    reason = ""
    for part in parts:
        try:
            found = _fitted(part, value)
        except _Unfit as unfit:
            reason = reason or str(unfit)
            continue
        if type(found) is type(value):
            return found
        fitting.append(found)
    if not fitting:
        raise _Unfit(reason)
    return fitting[0]


def _collection(kind: Type, value: Any) -> Any:
    parts = kind.parts
    if kind.kind == "dict" and isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _Unfit
        return {key: _fitted(parts[-1], held) for key, held in value.items()}
    if kind.kind == "list" and isinstance(value, list):
        return [_fitted(parts[0], item) for item in value]
    if kind.kind == "set" and isinstance(value, list | tuple | set):
        found = {_fitted(parts[0], item) for item in value}
        if len(found) != len(value):
            raise _Unfit
        return found
    if kind.kind == "tuple" and isinstance(value, list | tuple):
        if kind.repeats:
            return tuple(_fitted(parts[0], item) for item in value)
        if len(parts) == len(value):
            return tuple(_fitted(part, item) for part, item in zip(parts, value, strict=True))
    raise _Unfit


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check_type(value: Any) -> Any:
        if type(value) is not kind:
            raise _Unfit
        return value

    return check_type


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise _Unfit
    try:
        number = float(value)
    except OverflowError:
        raise _Unfit from None
    if not math.isfinite(number):
        raise _Unfit
    return number


def _path(value: Any) -> Path:
    if isinstance(value, PurePath) or (isinstance(value, str) and value and "\0" not in value):
        return Path(value)
    raise _Unfit


def _secret(value: Any) -> str:
    if not isinstance(value, str) or _REFERENCE.fullmatch(value) is None:
        raise _Unfit
    return value


def _moment(kind: type[datetime.date]) -> Callable[[Any], Any]:
    def check_moment(value: Any) -> Any:
        if isinstance(value, str):
            try:
                return kind.fromisoformat(value)
            except ValueError:
                raise _Unfit from None
        if type(value) is not kind:
            raise _Unfit
        return value

    return check_moment


def _json(value: Any) -> Any:
    """Return a copy of what JSON can hold."""
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_json(item) for item in value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, set) and all(isinstance(item, str | int | float) for item in value):
        return set(value)
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _Unfit


_SIMPLE: Mapping[str, Callable[[Any], Any]] = {
    "none": _exactly(type(None)),
    "bool": _exactly(bool),
    "int": _exactly(int),
    "float": _float,
    "str": _exactly(str),
    "path": _path,
    "secret": _secret,
    "date": _moment(datetime.date),
    "datetime": _moment(datetime.datetime),
    "any": _json,
    "free": copy.deepcopy,
}
_BOUNDS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "ge": (lambda value, bound: value >= bound, "at least {}"),
    "gt": (lambda value, bound: value > bound, "above {}"),
    "le": (lambda value, bound: value <= bound, "at most {}"),
    "lt": (lambda value, bound: value < bound, "below {}"),
    "multiple_of": (lambda value, bound: math.remainder(value, bound) == 0, "a multiple of {}"),
    "min_length": (lambda value, bound: len(value) >= bound, "at least {} long"),
    "max_length": (lambda value, bound: len(value) <= bound, "at most {} long"),
    "pattern": (lambda value, bound: re.search(bound, value) is not None, "text that matches {}"),
}
