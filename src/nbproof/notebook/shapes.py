"""The types that a parameter may have, as a tree: read from an annotation, turned into checks and into values."""

from __future__ import annotations

import ast
import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import GenericAlias
from typing import Annotated, Any, Literal, Union

from .secrets import is_reference

SCALARS = ("bool", "int", "float", "str")
CONTAINERS = ("list", "tuple", "set", "dict")
# Canonical names of everything that an annotation or a default may use beside Python's own types.
PATH, DATE, DATETIME = "pathlib.Path", "datetime.date", "datetime.datetime"
CONSTRAINTS = {
    "annotated_types.Ge": "ge",
    "annotated_types.Gt": "gt",
    "annotated_types.Le": "le",
    "annotated_types.Lt": "lt",
    "annotated_types.MultipleOf": "multiple_of",
    "annotated_types.MinLen": "min_length",
    "annotated_types.MaxLen": "max_length",
}
FIELD_ARGUMENTS = (*CONSTRAINTS.values(), "pattern", "description", "title")
_KINDS = {
    PATH: "path",
    DATE: "date",
    DATETIME: "datetime",
    "nbproof.notebook.secrets.Secret": "secret",
    "typing.Any": "any",
}
_OLD_SPELLINGS = {"typing.List": "list", "typing.Tuple": "tuple", "typing.Set": "set", "typing.Dict": "dict"}
# These are written alike in JSON, so a union of two of them could not be told apart again.
_ALIKE = ({"str", "path", "date", "datetime", "secret"}, {"list", "tuple", "set"})
_NUMERIC = {"ge", "gt", "le", "lt", "multiple_of"}
_SIZED = {"min_length", "max_length"}


class NoShapeError(ValueError):
    """The annotation or the default is none that a contract knows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One type: its kind, what it is made of, and its bounds.

    `kind` is a Python type's name, or path, date, datetime, secret, any, none, literal or union. `parts` are
    the members of a union and the types of a container's items (for dict: of its values). `choices` are a
    literal's values. `repeats` marks `tuple[T, ...]`.
    """

    kind: str
    parts: tuple[Shape, ...] = ()
    choices: tuple[Any, ...] = ()
    repeats: bool = False
    bounds: tuple[tuple[str, Any], ...] = ()

    def words(self) -> str:
        """The type as a person would say it."""
        return _words(self)

    def kinds(self) -> frozenset[str]:
        """Every kind in the tree."""
        return frozenset({self.kind}).union(*(part.kinds() for part in self.parts))


ANY = Shape("any")
NONE = Shape("none")


def _words(shape: Shape) -> str:
    if shape.kind == "union":
        return " or ".join(_words(part) for part in shape.parts)
    if shape.kind == "literal":
        return "one of " + ", ".join(map(repr, shape.choices)) if len(shape.choices) > 1 else repr(shape.choices[0])
    inner = ", ".join(_words(part) for part in shape.parts) + (", ..." if shape.repeats else "")
    plain = {
        "none": "None",
        "any": "a value that JSON can hold",
        "path": "a path",
        "date": "a date (YYYY-MM-DD)",
        "datetime": "a date and time (YYYY-MM-DDTHH:MM:SS)",
        "secret": "a reference env:NAME or file:PATH",
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "str": "text",
    }.get(shape.kind)
    if shape.kind == "tuple" and not shape.repeats:
        return f"a tuple of {inner}"
    return plain or f"a {shape.kind}, each item {inner.removesuffix(', ...')}"


# Reading an annotation


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a cell stand for: `at` → `annotated_types`, `Path` → `pathlib.Path`."""

    meaning: Mapping[str, str]

    def canonical(self, node: ast.expr) -> str:
        """Return the full dotted name of `node`; raise `NoShapeError` when it is not imported or no name."""
        if isinstance(node, ast.Attribute):
            return _canonical_spelling(f"{self.canonical(node.value)}.{node.attr}")
        if not isinstance(node, ast.Name):
            raise NoShapeError(f"`{ast.unparse(node)}`, which is no type")
        if node.id in self.meaning:
            return _canonical_spelling(self.meaning[node.id])
        if node.id in (*SCALARS, *CONTAINERS):
            return node.id
        raise NoShapeError(f"`{node.id}`, which no cell up to here imports")


def _canonical_spelling(name: str) -> str:
    name = name.replace("typing_extensions.", "typing.").removeprefix("builtins.")
    return "pydantic.Field" if name == "pydantic.fields.Field" else name


def from_annotation(node: ast.expr, names: Names) -> tuple[Shape, str]:
    """Return the shape that `node` declares, and its description (empty when it has none)."""
    shape, description = _any_annotation(node, names)
    if any("secret" in part.kinds() for part in shape.parts):
        raise NoShapeError("a Secret within another type, while a secret parameter is one reference")
    return shape, description


def _any_annotation(node: ast.expr, names: Names) -> tuple[Shape, str]:
    if isinstance(node, ast.Constant):
        return _from_constant(node, names)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = (from_annotation(side, names)[0] for side in (node.left, node.right))
        return _union((left, right)), ""
    if isinstance(node, ast.Subscript):
        return _from_subscript(node, names)
    return _from_name(names.canonical(node)), ""


def _from_constant(node: ast.Constant, names: Names) -> tuple[Shape, str]:
    if node.value is None:
        return NONE, ""
    if not isinstance(node.value, str):
        raise NoShapeError(f"`{node.value!r}`, which is no type")
    try:
        quoted = ast.parse(node.value, mode="eval").body
    except SyntaxError:
        raise NoShapeError(f"`{node.value!r}`, which is no type") from None
    return from_annotation(quoted, names)


def _from_name(name: str) -> Shape:
    name = _OLD_SPELLINGS.get(name, name)
    if name in SCALARS:
        return Shape(name)
    if name in CONTAINERS:
        return Shape(name, (ANY,), repeats=name == "tuple")
    if name in _KINDS:
        return Shape(_KINDS[name])
    raise NoShapeError(f"the type `{name}`, which a contract does not know")


def _from_subscript(node: ast.Subscript, names: Names) -> tuple[Shape, str]:
    origin = names.canonical(node.value)
    origin = _OLD_SPELLINGS.get(origin, origin)
    arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if origin == "typing.Annotated":
        return _from_annotated(arguments, names)
    if origin == "typing.Literal":
        return _literal(arguments), ""
    if origin == "typing.Optional" and len(arguments) == 1:
        return _union((from_annotation(arguments[0], names)[0], NONE)), ""
    if origin == "typing.Union":
        return _union(tuple(from_annotation(argument, names)[0] for argument in arguments)), ""
    if origin in CONTAINERS:
        return _container(origin, arguments, names), ""
    raise NoShapeError(f"the type `{ast.unparse(node)}`, which a contract does not know")


def _literal(arguments: list[ast.expr]) -> Shape:
    choices = tuple(default_value(argument, Names({})) for argument in arguments)
    if not choices or not all(choice is None or isinstance(choice, bool | int | str) for choice in choices):
        raise NoShapeError("a Literal of something else than text, whole numbers, True, False and None")
    return Shape("literal", choices=choices)


def _container(origin: str, arguments: list[ast.expr], names: Names) -> Shape:
    if origin == "tuple":
        return _tuple(arguments, names)
    parts = tuple(from_annotation(argument, names)[0] for argument in arguments)
    if origin == "dict":
        if len(parts) != 2 or parts[0].kind not in {"str", "literal"}:
            raise NoShapeError("a dict whose keys are not `str`, while JSON holds no other keys")
        return Shape("dict", parts[1:])
    if len(parts) != 1:
        raise NoShapeError(f"a {origin} of {len(parts)} types")
    if origin == "set" and parts[0].kinds() & {*CONTAINERS}:
        raise NoShapeError("a set of containers")
    return Shape(origin, parts)


def _tuple(arguments: list[ast.expr], names: Names) -> Shape:
    last = arguments[-1] if arguments else None
    repeats = len(arguments) == 2 and isinstance(last, ast.Constant) and last.value is Ellipsis
    kept = arguments[:1] if repeats else arguments
    return Shape("tuple", tuple(from_annotation(argument, names)[0] for argument in kept), repeats=repeats)


def _union(members: tuple[Shape, ...]) -> Shape:
    flat: list[Shape] = []
    for member in members:
        flat.extend(shape for shape in (member.parts if member.kind == "union" else (member,)) if shape not in flat)
    kinds = {shape.kind for shape in flat}
    for alike in _ALIKE:
        both = sorted(kinds & alike)
        if len(both) > 1:
            raise NoShapeError(f"a union of {' and '.join(both)}, which are written alike and could not be told apart")
    return flat[0] if len(flat) == 1 else Shape("union", tuple(flat))


def _from_annotated(arguments: list[ast.expr], names: Names) -> tuple[Shape, str]:
    if len(arguments) < 2:
        raise NoShapeError("Annotated without a bound or a description")
    shape, description = from_annotation(arguments[0], names)
    bounds: dict[str, Any] = {}
    for argument in arguments[1:]:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            description = argument.value
            continue
        bounds |= _bounds(argument, names)
    description = bounds.pop("description", description)
    bounds.pop("title", None)
    return _bounded(shape, bounds), description


def _bounds(node: ast.expr, names: Names) -> dict[str, Any]:
    if not isinstance(node, ast.Call):
        raise NoShapeError(f"`{ast.unparse(node)}` in Annotated, which is no bound and no description")
    called = names.canonical(node.func)
    given = {keyword.arg: default_value(keyword.value, Names({})) for keyword in node.keywords}
    if called in CONSTRAINTS:
        values = [*(default_value(argument, Names({})) for argument in node.args), *given.values()]
        if len(values) != 1:
            raise NoShapeError(f"`{ast.unparse(node)}`, which needs one value")
        return {CONSTRAINTS[called]: values[0]}
    if called == "pydantic.Field" and not node.args and given.keys() <= {*FIELD_ARGUMENTS}:
        return {str(name): value for name, value in given.items()}
    raise NoShapeError(f"`{ast.unparse(node)}` in Annotated, which a contract does not know")


def _bounded(shape: Shape, bounds: Mapping[str, Any]) -> Shape:
    if not bounds:
        return shape
    if shape.kind == "union":
        # Each bound goes to the members it can hold for: None has no size and no order.
        members = tuple(_bounded(part, _fitting(part, bounds)) for part in shape.parts)
        used = {name for part in members for name, _ in part.bounds}
        if used != {*bounds}:
            raise NoShapeError(f"the bound {min(bounds.keys() - used)} on {shape.words()}")
        return Shape("union", members)
    if _fitting(shape, bounds).keys() != bounds.keys():
        unfit = min(bounds.keys() - _fitting(shape, bounds).keys())
        raise NoShapeError(f"the bound {unfit} on {shape.words()}")
    merged = {**dict(shape.bounds), **bounds}
    return Shape(shape.kind, shape.parts, shape.choices, shape.repeats, tuple(sorted(merged.items())))


def _fitting(shape: Shape, bounds: Mapping[str, Any]) -> dict[str, Any]:
    def fits(name: str, bound: Any) -> bool:
        if name in _NUMERIC:
            is_number = isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound)
            return shape.kind in {"int", "float"} and is_number and (name != "multiple_of" or bound > 0)
        if name in _SIZED:
            return shape.kind in {"str", *CONTAINERS} and isinstance(bound, int) and not isinstance(bound, bool)
        return name == "pattern" and shape.kind == "str" and isinstance(bound, str)

    return {name: bound for name, bound in bounds.items() if fits(name, bound)}


def from_default(value: Any) -> Shape:
    """Return the shape of a parameter that has a default and no annotation."""
    if value is None:
        return ANY
    if isinstance(value, PurePath):
        return Shape("path")
    if isinstance(value, datetime.datetime):
        return Shape("datetime")
    return _from_name({"date": DATE}.get(type(value).__name__, type(value).__name__))


# Defaults


def default_value(node: ast.expr, names: Names) -> Any:
    """Return the value of a literal, `Path("…")`, `date(…)` or `datetime(…)`; raise `NoShapeError` for all else."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = [default_value(item, names) for item in node.elts]
        return {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)](items)
    if isinstance(node, ast.Dict):
        return _dict_default(node, names)
    if isinstance(node, ast.Call):
        return _called_default(node, names)
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        raise NoShapeError(f"`{ast.unparse(node)}`, which is no literal") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise NoShapeError(f"`{ast.unparse(node)}`, which is not finite")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise NoShapeError(f"`{ast.unparse(node)}`, which JSON cannot hold")


def _dict_default(node: ast.Dict, names: Names) -> dict[str, Any]:
    keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
    if not all(isinstance(key, str) for key in keys):
        raise NoShapeError(f"`{ast.unparse(node)}`, whose keys are not all text")
    return {str(key): default_value(value, names) for key, value in zip(keys, node.values, strict=True)}


def _called_default(node: ast.Call, names: Names) -> Any:
    called = names.canonical(node.func)
    given = [default_value(argument, names) for argument in node.args]
    named = {str(keyword.arg): default_value(keyword.value, names) for keyword in node.keywords}
    if called in {"set", "list", "dict", "tuple"} and not given and not named:
        return {"set": set, "list": list, "dict": dict, "tuple": tuple}[called]()
    makers: dict[str, Any] = {PATH: Path, DATE: datetime.date, DATETIME: datetime.datetime}
    if called not in makers:
        raise NoShapeError(f"`{ast.unparse(node)}`, which is no literal")
    try:
        return makers[called](*given, **named)
    except (TypeError, ValueError) as error:
        raise NoShapeError(f"`{ast.unparse(node)}` ({error})") from None


# Checks


def annotation(shape: Shape) -> Any:
    """Return the annotation that makes pydantic (strict) hold values to `shape`."""
    from pydantic import BeforeValidator, Field

    bounds = [Field(**dict(shape.bounds))] if shape.bounds else []
    inner = _bare_annotation(shape)
    before = _BEFORE.get(shape.kind)
    if shape.kind == "literal":
        before = _exactly_one_of(shape.choices)
    checks = [BeforeValidator(before)] if before else []
    extra = [Field(json_schema_extra={"format": "secret-reference"})] if shape.kind == "secret" else []
    added = [*bounds, *checks, *extra]
    return Annotated[inner, *added] if added else inner


def _bare_annotation(shape: Shape) -> Any:
    scalars: dict[str, Any] = {
        "bool": bool,
        "int": int,
        "float": float,
        "str": str,
        "secret": str,
        "path": Path,
        "date": datetime.date,
        "datetime": datetime.datetime,
        "any": Any,
        "none": None,
    }
    if shape.kind in scalars:
        return scalars[shape.kind]
    if shape.kind == "literal":
        return Literal[shape.choices]
    parts = tuple(annotation(part) for part in shape.parts)
    if shape.kind == "union":
        return Union[parts]  # noqa: UP007 - the members are known only now
    if shape.kind == "tuple":
        return GenericAlias(tuple, (parts[0], ...) if shape.repeats else parts)
    arguments = (str, *parts) if shape.kind == "dict" else parts
    return GenericAlias({"list": list, "set": set, "dict": dict}[shape.kind], arguments)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _path(value: Any) -> Any:
    if isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    if isinstance(value, PurePath):
        return Path(value)
    raise ValueError("no path")


def _date(value: Any) -> Any:
    return datetime.date.fromisoformat(value) if isinstance(value, str) else value


def _datetime(value: Any) -> Any:
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else value


def _only_date(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        raise ValueError("a date has no time of day")
    return _date(value)


def _secret(value: Any) -> Any:
    if not is_reference(value):
        raise ValueError("no reference")
    return value


def _tuple_of(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _set_of(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    try:
        found = set(value)
    except TypeError:
        raise ValueError("an item that no set can hold") from None
    if len(found) != len(value):
        raise ValueError("an item twice")
    return found


def _json_value(value: Any) -> Any:
    if not _is_json(value):
        raise ValueError("JSON cannot hold it")
    return value


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if value is None or isinstance(value, bool | int | str):
        return True
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, set):
        return all(isinstance(item, str | int | float) for item in value)
    return isinstance(value, dict) and all(isinstance(key, str) and _is_json(held) for key, held in value.items())


def _exactly_one_of(choices: tuple[Any, ...]) -> Any:
    def check(value: Any) -> Any:
        # To Python True == 1, and a contract that says 1 does not mean True.
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ValueError("not one of the choices")
        return value

    return check


_BEFORE: Mapping[str, Any] = {
    "float": _finite,
    "path": _path,
    "date": _only_date,
    "datetime": _datetime,
    "secret": _secret,
    "tuple": _tuple_of,
    "set": _set_of,
    "any": _json_value,
}


# Values as JSON, as text and as Python source


def as_json(value: Any) -> Any:
    """Return a checked value as JSON holds it: a path as POSIX text, a date as ISO text, a set sorted."""
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, set):
        return sorted(map(as_json, value), key=lambda item: json.dumps(item))
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(held) for key, held in value.items()}
    return value


def from_text(shape: Shape, text: str) -> Any:
    """Return what `text`, typed on a command line, stands for; text that fits nothing comes back as it is.

    Lists, tuples, sets and dicts are written as JSON. Where None is allowed, `null` and `None` mean None.
    """
    for value in _readings(shape, text):
        return value
    return text


def _readings(shape: Shape, text: str) -> Iterator[Any]:
    """Yield the value for `text`, or nothing when it has none in this shape."""
    if shape.kind == "union":
        # Text last: it would take every other member's spelling.
        ordered = sorted(shape.parts, key=lambda part: _TRIED.index(part.kind) if part.kind in _TRIED else 0)
        for part in ordered:
            yield from _readings(part, text)
    elif shape.kind == "literal":
        yield from (choice for choice in shape.choices if text in _choice_spellings(choice))
    elif shape.kind in CONTAINERS or shape.kind == "any":
        yield from _json_readings(shape, text)
    elif shape.kind in {"str", "path", "secret"}:
        yield text
    else:
        yield from _scalar_readings(shape.kind, text)


# In this order the members of a union are tried; what is not named comes first.
_TRIED = ("literal", "none", "bool", "int", "float", *CONTAINERS, "datetime", "date", "path", "secret", "str", "any")


def _choice_spellings(choice: Any) -> tuple[str, ...]:
    if isinstance(choice, bool):
        return (str(choice), str(choice).lower())
    return ("None", "null") if choice is None else (str(choice),)


def _json_readings(shape: Shape, text: str) -> Iterator[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        if shape.kind == "any":
            yield None if text == "None" else text
        return
    if shape.kind == "any" or isinstance(value, dict if shape.kind == "dict" else list):
        yield value


def _scalar_readings(kind: str, text: str) -> Iterator[Any]:
    if kind == "none" and text in {"null", "None"}:
        yield None
    if kind == "bool" and text in {"true", "True", "false", "False"}:
        yield text.lower() == "true"
    # Python reads no whole number of more than 4300 digits; nobody means one.
    if kind == "int" and len(text) < 1000 and re.fullmatch(r"[+-]?[0-9]+(_[0-9]+)*", text):
        yield int(text)
    if kind == "float" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        yield float(text)
    if kind in {"date", "datetime"}:
        try:
            yield (_date if kind == "date" else _datetime)(text)
        except ValueError:
            return


def as_source(value: Any, spelling: Mapping[str, str]) -> str:
    """Return Python source of a checked value; `spelling` says how the cell calls Path, date and datetime."""
    if isinstance(value, PurePath):
        return f"{spelling[PATH]}({value.as_posix()!r})"
    if isinstance(value, datetime.datetime):
        return f"{spelling[DATETIME]}.fromisoformat({value.isoformat()!r})"
    if isinstance(value, datetime.date):
        return f"{spelling[DATE]}({value.year}, {value.month}, {value.day})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {as_source(held, spelling)}" for key, held in value.items()) + "}"
    if isinstance(value, list | tuple | set):
        return _sequence_source(value, spelling)
    return repr(value)


def _sequence_source(value: list[Any] | tuple[Any, ...] | set[Any], spelling: Mapping[str, str]) -> str:
    if isinstance(value, set):
        items = sorted(as_source(item, spelling) for item in value)
        return "{" + ", ".join(items) + "}" if items else "set()"
    written = ", ".join(as_source(item, spelling) for item in value)
    if isinstance(value, list):
        return f"[{written}]"
    return f"({written},)" if len(value) == 1 else f"({written})"
