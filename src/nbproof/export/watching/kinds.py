"""Types of values as annotations name them: by public names that can be imported, and no wider than what was seen."""

from __future__ import annotations

import builtins
import itertools
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

ANY, NONE = "Any", "None"
DEEPEST, MOST = 3, 3
# So many of the elements of a container are looked at, and so many of what lies deeper.
MOST_ELEMENTS, SAMPLE = 10_000, 100
_BUILTIN = {
    "dict_keys": "collections.abc.KeysView[Any]",
    "dict_values": "collections.abc.ValuesView[Any]",
    "dict_items": "collections.abc.ItemsView[Any, Any]",
    "generator": "collections.abc.Iterator[Any]",
    "coroutine": "collections.abc.Awaitable[Any]",
    "function": "collections.abc.Callable[..., Any]",
    "method": "collections.abc.Callable[..., Any]",
    "builtin_function_or_method": "collections.abc.Callable[..., Any]",
    "module": "types.ModuleType",
    "NoneType": NONE,
    "type": "type[Any]",
    "ellipsis": "types.EllipsisType",
    **dict.fromkeys(("zip", "map", "filter", "enumerate", "reversed"), "collections.abc.Iterator[Any]"),
}
_ONE_TYPE: dict[type, str] = {list: "list", set: "set", frozenset: "frozenset"}
# What says no more than a simpler type does, or depends on the machine.
_PLAIN = {
    "numpy.float64": "float",
    "pathlib.PosixPath": "pathlib.Path",
    "pathlib.WindowsPath": "pathlib.Path",
    "_io.TextIOWrapper": "typing.TextIO",
    "_io.BufferedReader": "typing.BinaryIO",
    "_io.BufferedWriter": "typing.BinaryIO",
}
# Classes of the standard library that take a type each.
_GENERIC = {
    "collections.Counter": "[Any]",
    "collections.defaultdict": "[Any, Any]",
    "collections.OrderedDict": "[Any, Any]",
    "collections.deque": "[Any]",
    "collections.ChainMap": "[Any, Any]",
    "functools.partial": "[Any]",
    "re.Pattern": "[Any]",
    "re.Match": "[Any]",
}


def kind_of(value: Any, depth: int = 0) -> str:
    """The type of a value, with the types of what is in it, as text: `list[float]`, `pandas.DataFrame | None`.

    Classes of libraries have their dotted public name; those of the notebook begin with `__main__`.
    """
    kind = type(value)
    if kind in _ONE_TYPE:
        return f"{_ONE_TYPE[kind]}[{_inside(value, depth)}]"
    if kind is dict:
        return f"dict[{_inside(value, depth)}, {_inside(value.values(), depth)}]"
    if kind is tuple:
        return _tuple(value, depth)
    # The class is asked, not the value: a stand-in that loads itself when looked at stays as it is.
    return "type[Any]" if issubclass(kind, type) else _named(kind)


def united(kinds: Iterable[str]) -> str:
    """One annotation for all that was seen: a union of up to three, and `Any` beyond that."""
    parts = dict.fromkeys(part for kind in kinds for part in alternatives(kind))
    if ANY in parts:
        return ANY
    # As typing has it, an int will do where a float will.
    for narrow, wide in (("bool", "int"), ("int", "float"), ("float", "complex"), ("bool", "float")):
        if wide in parts:
            parts.pop(narrow, None)
    has_none = parts.pop(NONE, 0) is None
    found = _merged(list(parts))
    if len(found) > MOST:
        return ANY
    return " | ".join([*sorted(found), *([NONE] if has_none else [])])


def alternatives(kind: str) -> Iterator[str]:
    """The members of a union, as they stand at its top."""
    depth, begun = 0, 0
    for at, letter in enumerate(kind):
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and not depth:
            yield kind[begun:at].strip()
            begun = at + 1
    yield kind[begun:].strip()


def _merged(parts: list[str]) -> list[str]:
    """Join what differs only in what a container holds: two kinds of lists are a list of anything."""
    by_name: dict[str, list[str]] = {}
    for part in parts:
        by_name.setdefault(part.partition("[")[0], []).append(part)
    return [
        each[0] if len(each) == 1 else name + _GENERAL.get(name, "[Any]") if "[" in each[0] or "[" in each[1] else name
        for name, each in by_name.items()
    ]


_GENERAL = {
    "dict": "[Any, Any]",
    "tuple": "[Any, ...]",
    "collections.abc.Callable": "[..., Any]",
    "collections.abc.ItemsView": "[Any, Any]",
    "collections.defaultdict": "[Any, Any]",
    "collections.OrderedDict": "[Any, Any]",
}


def _inside(values: Any, depth: int) -> str:
    """What a container holds: one type, or one or None; a mixture is nothing that a type checker would follow."""
    if depth >= DEEPEST:
        return ANY
    kinds = set(map(type, itertools.islice(values, MOST_ELEMENTS)))
    if len(kinds) > MOST or not kinds:
        return ANY
    few: Iterable[Any] = itertools.islice(values, SAMPLE)
    if all(not issubclass(kind, list | dict | tuple | set | frozenset) for kind in kinds):
        # Each type once is enough where nothing lies deeper.
        return _alone(_named(kind) for kind in kinds)
    told = _alone(kind_of(value, depth + 1) for value in few)
    return told if len(kinds) == 1 or told == ANY else ANY


def _alone(kinds: Iterable[str]) -> str:
    found = united(kinds)
    return found if sum(part != NONE for part in alternatives(found)) <= 1 else ANY


def _tuple(value: tuple[Any, ...], depth: int) -> str:
    if not value or depth >= DEEPEST:
        return "tuple[Any, ...]"
    if len(value) <= MOST + 1:
        return f"tuple[{', '.join(kind_of(each, depth + 1) for each in value)}]"
    return f"tuple[{_inside(value, depth)}, ...]"


def _named(kind: type) -> str:
    """The public name of a class, or of the next of its bases that has one."""
    for base in kind.__mro__:
        if base is object:
            break
        if base.__module__ == "builtins" and base.__name__ in _BUILTIN:
            return str(_BUILTIN[base.__name__])
        if base.__module__ == "builtins" and vars(builtins).get(base.__name__) is base:
            return f"{base.__name__}{_parameters(base)}"
        if base.__module__ == "__main__" or base.__name__.startswith("<"):
            # One that was made inside of a function has no name that others could use.
            if "<locals>" in base.__qualname__:
                continue
            return f"__main__.{base.__qualname__}"
        found = _PLAIN.get(f"{base.__module__}.{base.__name__}") or _public(base)
        if found:
            return found + _GENERIC.get(found, "")
    if hasattr(kind, "__next__"):
        return "collections.abc.Iterator[Any]"
    return "collections.abc.Callable[..., Any]" if hasattr(kind, "__call__") else ANY  # noqa: B004 (of a class)


def _parameters(kind: type) -> str:
    if kind is dict:
        return "[Any, Any]"
    if kind is tuple:
        return "[Any, ...]"
    return "[Any]" if kind in (list, set, frozenset, type) else ""


def _public(kind: type) -> str | None:
    """The shortest module that offers the class under its name, without a private part."""
    parts = kind.__module__.split(".")
    for end in range(1, len(parts) + 1):
        module: types.ModuleType | None = sys.modules.get(".".join(parts[:end]))
        if any(part.startswith("_") for part in parts[:end]) or "." in kind.__qualname__:
            return None
        # A look into its dictionary: to ask a lazy module would load what nobody needs.
        if module is not None and vars(module).get(kind.__name__) is kind and not kind.__name__.startswith("_"):
            return f"{module.__name__}.{kind.__name__}"
    return None
