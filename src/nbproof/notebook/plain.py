"""Values that fit their type beyond doubt, told without the import of pydantic."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .secrets import is_reference
from .shapes import Shape


class NotPlainError(ValueError):
    """Whether the value fits is for pydantic to say."""


def plain_value(shape: Shape, value: Any) -> Any:
    """Return exactly what pydantic makes of `value` in `shape`; raise `NotPlainError` wherever that is not obvious."""
    if shape.kind == "literal":
        return _choice(shape, value)
    if shape.kind == "list" and type(value) is list and not shape.bounds:
        return [plain_value(shape.parts[0], item) for item in value]
    if shape.kind == "dict" and type(value) is dict and not shape.bounds:
        return {_text(key): plain_value(shape.parts[0], item) for key, item in value.items()}
    if shape.kind not in _PLAIN:
        raise NotPlainError
    found = _PLAIN[shape.kind](value)
    if not all(_holds(name, bound, shape.kind, found) for name, bound in shape.bounds):
        raise NotPlainError
    return found


def _choice(shape: Shape, value: Any) -> Any:
    for choice in shape.choices:
        if type(choice) is type(value) and choice == value and not shape.bounds:
            return choice
    raise NotPlainError


def _holds(name: str, bound: Any, kind: str, value: Any) -> bool:
    if kind not in {"int", "float"} or not isinstance(bound, int if kind == "int" else (int, float)):
        return False
    held = {"ge": value >= bound, "gt": value > bound, "le": value <= bound, "lt": value < bound}
    return bool(held.get(name, False))


def _exactly(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise NotPlainError
        return value

    return check


def _int(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**53:
        raise NotPlainError
    return value


def _float(value: Any) -> float:
    if type(value) is int:
        return float(_int(value))
    if type(value) is not float or not math.isfinite(value):
        raise NotPlainError
    return value


def _text(value: Any) -> str:
    # Half of a surrogate pair is no text that every part could write down.
    if type(value) is not str or not (value.isascii() or value.isprintable()):
        raise NotPlainError
    return value


def _path(value: Any) -> Path:
    if type(value) is type(Path()):
        return Path(value)
    if not _text(value) or "\0" in value:
        raise NotPlainError
    return Path(value)


def _secret(value: Any) -> str:
    if not is_reference(value):
        raise NotPlainError
    return _text(value)


def _moment(kind: type[datetime.date]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is str:
            try:
                return kind.fromisoformat(value)
            except ValueError:
                raise NotPlainError from None
        if type(value) is not kind:
            raise NotPlainError
        return value

    return check


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "none": _exactly(type(None)),
    "bool": _exactly(bool),
    "int": _int,
    "float": _float,
    "str": _text,
    "path": _path,
    "secret": _secret,
    "date": _moment(datetime.date),
    "datetime": _moment(datetime.datetime),
}
