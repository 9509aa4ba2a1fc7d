"""What a notebook declares in its `parameters` cell: typed parameters, upstream names and products."""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import ContractInvalid, ParameterInvalid
from .document import Cell, Document
from .plain import NotPlainError, plain_value
from .shapes import (
    CONTAINERS,
    DATE,
    DATETIME,
    PATH,
    SCALARS,
    Names,
    NoShapeError,
    Shape,
    annotation,
    as_json,
    as_source,
    default_value,
    from_annotation,
    from_default,
    from_text,
)
from .syntax import cell_tree

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter, ValidationError

TAG = "parameters"
_EXAMPLE = 'add one code cell tagged "parameters", for example: rows: int = 1000'
_GRAMMAR = "imports, `name: type = literal` or `name = literal`"
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `line` counts within its cell, and `default` means nothing when `is_required`."""

    name: str
    shape: Shape
    line: int
    is_required: bool = True
    default: Any = None
    description: str = ""

    @property
    def is_secret(self) -> bool:
        """Whether the value is a reference to a secret."""
        return self.shape.kind == "secret"


@dataclass(frozen=True)
class Contract:
    """The declaration of one notebook.

    `upstream` holds the names of the phases it reads from, `upstream_default` and `product` the literals as
    written (None where the cell does not say), and `says_upstream` whether the cell sets `upstream` at the start of a
    line, where Ploomber looks for it. `spelling` maps `pathlib.Path`, `datetime.date` and
    `datetime.datetime` to the names by which the notebook calls them.
    """

    notebook: Path
    parameters: tuple[Parameter, ...]
    upstream: tuple[str, ...]
    upstream_default: Any
    product: Any
    spelling: Mapping[str, str]
    says_upstream: bool = False

    @cached_property
    def model(self) -> type[BaseModel]:
        """The parameters as a strict pydantic model that allows no other names.

        A parameter whose name pydantic keeps for itself is a field with another name, and its alias is the
        parameter's name.
        """
        from pydantic import BaseModel, ConfigDict, Field, create_model

        config = ConfigDict(
            strict=True,
            extra="forbid",
            validate_default=True,
            protected_namespaces=(),
            populate_by_name=False,
            title=self.notebook.stem,
        )
        fields: dict[str, Any] = {}
        for number, parameter in enumerate(self.parameters):
            is_taken = parameter.name.startswith("_") or hasattr(BaseModel, parameter.name)
            default = ... if parameter.is_required else parameter.default
            described = Field(default, description=parameter.description or None, alias=parameter.name)
            name = f"parameter_{number}" if is_taken else parameter.name
            fields[name] = (annotation(parameter.shape), described)
        model: type[BaseModel] = create_model("Parameters", __config__=config, **fields)
        return model

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the parameters."""
        return self.model.model_json_schema(by_alias=True)

    def defaults(self) -> dict[str, Any]:
        """Return the default of each parameter that has one, as JSON holds it."""
        return {held.name: as_json(held.default) for held in self.parameters if not held.is_required}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of declaration."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def reads(self) -> dict[str, tuple[str, ...] | None]:
        """The product keys that the notebook names of each upstream; None where it names the upstream alone."""
        named = self.upstream_default if isinstance(self.upstream_default, dict) else {}
        return {name: tuple(held) if isinstance(held := named.get(name), dict) else None for name in self.upstream}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the parameters whose values are references to secrets."""
        return tuple(parameter.name for parameter in self.parameters if parameter.is_secret)

    def validate(self, values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
        """Return `values` and the defaults of all other parameters, as JSON holds them.

        Paths become POSIX text, dates ISO text, tuples and sets lists; `injected_source` gives them their types
        back. Nothing is converted that could lose something: "5" is no number, True is no whole number.
        Raises `ParameterInvalid`, naming `where` the values came from, with every problem found.
        """
        return {name: as_json(value) for name, value in self._checked(values, where).items()}

    def parse(self, texts: Mapping[str, str], *, where: str) -> dict[str, Any]:
        """Do the same as `validate` for values typed as text (`-p name=value`).

        Lists, tuples, sets and dicts are written as JSON, booleans as true or false, all else as it is.
        Where None is allowed, `null` and `None` mean None.
        """
        return self.resolve({}, texts, where=where)

    def resolve(self, values: Mapping[str, Any], texts: Mapping[str, str], *, where: str) -> dict[str, Any]:
        """Do the same for values that come both typed (pipeline.yaml) and as `texts`, which win."""
        shapes = {parameter.name: parameter.shape for parameter in self.parameters}
        typed = {name: from_text(shapes[name], text) if name in shapes else text for name, text in texts.items()}
        return self.validate({**values, **typed}, where=where)

    def paths(self, values: Mapping[str, Any]) -> dict[str, tuple[Path, ...]]:
        """Return the paths that each parameter typed Path holds: the data that the notebook declares to read."""
        checked = self._checked(values, str(self.notebook))
        return {
            parameter.name: tuple(_paths_in(checked[parameter.name]))
            for parameter in self.parameters
            if "path" in parameter.shape.kinds()
        }

    def injected_source(
        self,
        values: Mapping[str, Any],
        *,
        upstream: Mapping[str, Any] | None = None,
        product: Mapping[str, Any] | str | PurePath | None = None,
    ) -> str:
        """Return the source of the cell to put right after the parameters cell: one assignment a line.

        Values keep their types: `panel = Path("data/panel.parquet")`, `day = date(2005, 9, 30)`, by the names
        that the notebook itself imported. A secret stays a reference. `upstream` and `product` are assigned
        where they are given.
        """
        checked = self._checked(values, str(self.notebook))
        lines = ["# Parameters", *(f"{name} = {as_source(value, self.spelling)}" for name, value in checked.items())]
        for name, given in (("upstream", upstream), ("product", product)):
            if given is not None:
                lines.append(f"{name} = {as_json(given)!r}")
        return "\n".join(lines)

    def _checked(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the value of every parameter in its own type, in the order of declaration."""
        problems = list(self._unknown(values))
        checked: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.name not in values:
                if parameter.is_required:
                    problems.append(f"`{parameter.name}` has no value, expected {parameter.shape.words()}")
                checked[parameter.name] = parameter.default
                continue
            checked[parameter.name], problem = _fitted(parameter, values[parameter.name])
            problems.extend([problem] if problem else [])
        if problems:
            known = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise ParameterInvalid(where, problems, hint=f"the parameters of {self.notebook} are: {known}")
        return checked

    def _unknown(self, values: Mapping[str, Any]) -> Iterator[str]:
        known = [parameter.name for parameter in self.parameters]
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                yield f"unknown parameter `{name}`" + (f"; did you mean `{close[0]}`?" if close else "")


def read(document: Document) -> Contract:
    """Return what `document` declares, without executing it; raise `ContractInvalid` when it declares nothing."""
    cell = _parameters_cell(document)
    where = f"cell {document.cells.index(cell) + 1} ({cell.id})"
    try:
        statements = cell_tree(cell.source).body
    except SyntaxError as error:
        found = f"a syntax error in {where}, line {error.lineno or 1}: {error.msg}"
        raise ContractInvalid(document.path, found, _GRAMMAR, hint=f"jupyter lab {document.path}") from None
    names = Names(dict(_imported(document, cell)))
    reading = _Reading(names)
    for statement in statements:
        try:
            reading.take(statement)
        except NoShapeError as problem:
            found = f"{problem} in {where}, line {statement.lineno}"
            raise ContractInvalid(document.path, found, _GRAMMAR, hint="see docs/reference/contract.md") from None
    return Contract(
        document.path,
        tuple(reading.parameters),
        reading.upstream,
        reading.upstream_default,
        reading.product,
        dict(_spellings(names)),
        reading.says_upstream,
    )


def _parameters_cell(document: Document) -> Cell:
    tagged = document.tagged(TAG)
    if not document.is_python:
        raise ContractInvalid(document.path, f"a notebook in {document.language}", "one in Python")
    if not tagged:
        raise ContractInvalid(document.path, "no cell tagged `parameters`", "exactly one", hint=_EXAMPLE)
    if len(tagged) > 1:
        found = f"{len(tagged)} cells tagged `parameters` ({', '.join(cell.id for cell in tagged)})"
        raise ContractInvalid(document.path, found, "exactly one", hint="remove the tag from all cells but one")
    if tagged[0].kind != "code":
        raise ContractInvalid(
            document.path, f"a {tagged[0].kind} cell tagged `parameters`", "a code cell", hint=_EXAMPLE
        )
    return tagged[0]


def _imported(document: Document, last: Cell) -> Iterator[tuple[str, str]]:
    """Yield each name that a cell up to `last` imports, with what it stands for."""
    for cell in document.cells:
        if cell.kind == "code":
            try:
                nodes = list(ast.walk(cell_tree(cell.source)))
            except SyntaxError:
                nodes = []
            for node in nodes:
                yield from _names_of(node)
        if cell is last:
            return


def _names_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (top, top)
    if isinstance(node, ast.ImportFrom) and not node.level:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _spellings(names: Names) -> Iterator[tuple[str, str]]:
    for canonical in (PATH, DATE, DATETIME):
        module, _, last = canonical.rpartition(".")
        for name, meaning in names.meaning.items():
            if meaning == module:
                yield canonical, f"{name}.{last}"
        for name, meaning in names.meaning.items():
            if meaning == canonical:
                yield canonical, name


class _Reading:
    """A parameters cell while it is read, statement by statement."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.parameters: list[Parameter] = []
        self.upstream: tuple[str, ...] = ()
        self.upstream_default: Any = None
        self.product: Any = None
        self.says_upstream = False
        self._seen: set[str] = set()

    def take(self, statement: ast.stmt) -> None:
        """Note what `statement` declares; raise `NoShapeError` when it is none that a contract may hold."""
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_remark(statement):
            return
        target, value = _assignment(statement)
        if target in self._seen:
            raise NoShapeError(f"a second value for `{target}`")
        self._seen.add(target)
        if target in {"upstream", "product"}:
            self._take_ploomber(target, statement, value)
            return
        self._check_name(target)
        self.parameters.append(self._parameter(target, statement, value))

    def _take_ploomber(self, target: str, statement: ast.stmt, value: ast.expr | None) -> None:
        if isinstance(statement, ast.AnnAssign) or value is None:
            raise NoShapeError(f"an annotated `{target}`, where Ploomber reads only `{target} = …`")
        literal = default_value(value, self.names)
        if target == "product":
            if not isinstance(literal, dict | str | None):
                raise NoShapeError("a product that is no None, no dict and no text")
            self.product = literal
            return
        if not isinstance(literal, list | tuple | set | dict | None) or not all(
            isinstance(n, str) for n in literal or ()
        ):
            raise NoShapeError("an upstream that is no None, no list and no dict of names")
        self.upstream_default = literal
        self.says_upstream = statement.col_offset == 0
        self.upstream = tuple(sorted(literal) if isinstance(literal, set) else literal or ())

    def _check_name(self, name: str) -> None:
        meaning = self.names.meaning.get(name, "")
        is_type = meaning in {PATH, DATE, DATETIME} or meaning in {"pathlib", "datetime"}
        if is_type or name in {*SCALARS, *CONTAINERS}:
            raise NoShapeError(f"a parameter `{name}`, which hides the type of that name")
        if keyword.iskeyword(name):
            raise NoShapeError(f"a parameter `{name}`, which is a keyword")

    def _parameter(self, name: str, statement: ast.stmt, value: ast.expr | None) -> Parameter:
        if isinstance(statement, ast.AnnAssign):
            shape, description = from_annotation(statement.annotation, self.names)
        else:
            assert value is not None
            shape, description = from_default(default_value(value, self.names)), ""
        if value is None:
            return Parameter(name, shape, statement.lineno, description=description)
        parameter = Parameter(name, shape, statement.lineno, is_required=False, description=description)
        default, problem = _fitted(parameter, self._default(parameter, value))
        if problem:
            raise NoShapeError(f"a default that its own type refuses ({problem})")
        return Parameter(name, shape, statement.lineno, is_required=False, default=default, description=description)

    def _default(self, parameter: Parameter, value: ast.expr) -> Any:
        try:
            return default_value(value, self.names)
        except NoShapeError:
            if parameter.is_secret:
                # The expression may hold the secret, so it is not repeated here.
                raise NoShapeError(
                    f"a default of `{parameter.name}` that is no reference env:NAME or file:PATH"
                ) from None
            raise


def _is_remark(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return False
    return isinstance(statement.value.value, str)


def _assignment(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.simple:
        return statement.target.id, statement.value
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            return target.id, statement.value
    raise NoShapeError(f"`{_shortened(ast.unparse(statement))}`")


@lru_cache(maxsize=1024)
def _adapter(shape: Shape) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(annotation(shape), config=ConfigDict(strict=True))


def _fitted(parameter: Parameter, value: Any) -> tuple[Any, str]:
    """Return `value` in the parameter's own type and "", or None and what is wrong."""
    try:
        return plain_value(parameter.shape, value), ""
    except NotPlainError:
        pass
    from pydantic import ValidationError

    try:
        return _adapter(parameter.shape).validate_python(value), ""
    except ValidationError as error:
        return None, _problem(parameter, value, error)


def _problem(parameter: Parameter, value: Any, error: ValidationError) -> str:
    if parameter.is_secret:
        return f"`{parameter.name}` holds a value, expected {parameter.shape.words()}"
    expected = f"expected {parameter.shape.words()}"
    shown, place = value, f"`{parameter.name}`"
    found = error.errors(include_url=False, include_context=True)
    bound = next((item for item in found if item["type"] in _BOUNDS), None)
    if bound is not None:
        limit = next(iter(bound.get("ctx", {}).values()), None)
        for key in ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern"):
            limit = bound.get("ctx", {}).get(key, limit)
        expected = f"expected {_BOUNDS[bound['type']].format(_number(limit))}"
        shown = bound["input"]
        steps = bound["loc"] if parameter.shape.kind in CONTAINERS else ()
        place = f"`{parameter.name}{''.join(f'[{step!r}]' for step in steps)}`"
    return f"{place} is {_shortened(repr(shown))}, {expected}"


_BOUNDS = {
    "greater_than_equal": "at least {}",
    "greater_than": "above {}",
    "less_than_equal": "at most {}",
    "less_than": "below {}",
    "multiple_of": "a multiple of {}",
    "string_too_short": "at least {} characters",
    "string_too_long": "at most {} characters",
    "too_short": "at least {} items",
    "too_long": "at most {} items",
    "string_pattern_mismatch": "text that matches {}",
}


def _number(limit: Any) -> Any:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 1]}…"


def _paths_in(value: Any) -> Iterator[Path]:
    if isinstance(value, PurePath):
        yield Path(value)
    elif isinstance(value, dict):
        for held in value.values():
            yield from _paths_in(held)
    elif isinstance(value, list | tuple):
        for held in value:
            yield from _paths_in(held)
    elif isinstance(value, set):
        for held in sorted(value, key=str):
            yield from _paths_in(held)
