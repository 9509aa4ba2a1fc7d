"""Other values for a notebook's parameters, drawn from its contract: always the same ones, near what it runs with."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from ...errors import ParameterInvalid
from ...notebook.contract import Contract, Parameter
from ...notebook.shapes import Shape, as_json

# Whoever asks for far more than the default may wait for far longer.
_LARGEST_STEP, _SMALL = 4, 10


def drawn(contract: Contract, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Sets of values that the contract allows, as JSON holds them: first with many changed at once, then with one.

    Only what is another one than `given`, or else the default, is named besides `given`. Text and paths have no
    neighbours that could mean something; they stay as they are.
    """
    others = {each.name: list(_allowed(contract, each, given)) for each in contract.parameters}
    told: list[dict[str, Any]] = []
    together = {name: values[0] for name, values in others.items() if values}
    singly = [
        {name: value}
        for row in zip_longest(*([(name, value) for value in values] for name, values in others.items()))
        for name, value in filter(None, row)
    ]
    for changed in [together, *singly]:
        if changed and changed not in told:
            told.append(changed)
            yield {**given, **changed}


def _allowed(contract: Contract, parameter: Parameter, given: Mapping[str, Any]) -> Iterator[Any]:
    if parameter.is_required and parameter.name not in given:
        return
    now = given.get(parameter.name, parameter.default)
    seen = [now]
    for value in _near(parameter.shape, now):
        if any(type(value) is type(other) and value == other for other in seen):
            continue
        seen.append(value)
        try:
            contract.validate({**given, parameter.name: value}, where="a value drawn")
        except ParameterInvalid:
            continue
        yield as_json(value)


def _near(shape: Shape, now: Any) -> Iterator[Any]:
    """Values of the same type: the next ones, then the ends of what is allowed."""
    if shape.kind == "union":
        for part in shape.parts:
            if part.kind == "none":
                yield None
            else:
                yield from _near(part, now)
    elif shape.kind == "literal":
        yield from shape.choices
    elif shape.kind == "bool" and isinstance(now, bool):
        yield not now
    elif shape.kind == "int" and isinstance(now, int) and not isinstance(now, bool):
        yield from (now + 1, now - 1, now * 2)
        yield from (bound for bound in _ends(shape) if abs(bound) <= max(_SMALL, _LARGEST_STEP * abs(now)))
    elif shape.kind == "float" and isinstance(now, int | float) and not isinstance(now, bool):
        yield from (float(f"{now * 1.1:.6g}"), float(f"{now * 0.9:.6g}")) if now else (0.1, -0.1)
        yield from (float(bound) for bound in _ends(shape) if abs(bound) <= max(_SMALL, _LARGEST_STEP * abs(now)))
    elif shape.kind in ("date", "datetime"):
        yield from _next_days(now)
    elif shape.kind in ("list", "tuple") and isinstance(now, list | tuple) and len(now) > 1:
        yield now[:-1]


def _ends(shape: Shape) -> Iterator[Any]:
    yield from (bound for name, bound in shape.bounds if name in ("ge", "le"))


def _next_days(now: Any) -> Iterator[Any]:
    moment = datetime.datetime.fromisoformat(now) if isinstance(now, str) else now
    if isinstance(moment, datetime.date):
        day = datetime.timedelta(days=1)
        yield from (moment + day, moment - day)
