"""What the command line of a package takes and what it refuses: texts for each parameter, sorted by the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import ParameterInvalid
from ...notebook.contract import Contract
from ...notebook.shapes import Shape, as_json

_WHERE = "the command line"
# Each is right for some type, and wrong for others.
_ANYTHING = ("", "no such value", "7", "-7", "0.5", "nan", "true", "null", "[]", "[1]", "{}", "2020-02-29")
_LIMITS = ("ge", "gt", "le", "lt")


def asked(contract: Contract | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What tests of the command line ask for.

    `given` are texts that must be there, `taken` says for each parameter what a text stands for, and `refused` lists
    texts that stand for nothing. References to secrets are left out: what stands behind them is none of a package.
    """
    if contract is None:
        return {"given": {}, "taken": {}, "refused": {}}
    given = {name: _text(as_json(value)) for name, value in parameters.items()}
    taken: dict[str, dict[str, Any]] = {}
    refused: dict[str, list[str]] = {}
    for parameter in contract.parameters:
        if "secret" in parameter.shape.kinds():
            continue
        taken[parameter.name], refused[parameter.name] = {}, []
        for text in dict.fromkeys(_texts(parameter.shape, parameter.default)):
            try:
                found = contract.parse({**given, parameter.name: text}, where=_WHERE)[parameter.name]
            except ParameterInvalid:
                refused[parameter.name].append(text)
            else:
                taken[parameter.name][text] = found
    return {"given": given, "taken": taken, "refused": refused}


def _texts(shape: Shape, default: Any) -> Iterator[str]:
    """Texts that lie on both sides of what a type allows."""
    if default is not None:
        yield _text(as_json(default))
    yield from _ANYTHING
    for part in (shape, *shape.parts):
        yield from (_text(as_json(choice)) for choice in part.choices)
        for name, limit in part.bounds:
            if name in _LIMITS:
                yield from map(_text, (limit, limit - 1, limit + 1, limit - 0.001, limit + 0.001))


def _text(value: Any) -> str:
    """How somebody would type a value."""
    return value if isinstance(value, str) else json.dumps(value)
