"""What a notebook declares becomes what `run()` takes: its signature, and a module that checks the values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...notebook.contract import Contract, Parameter
from ...notebook.shapes import DATE, DATETIME, PATH, Shape, as_source
from ..reading import Reading, Step

# By which names the written modules call these.
_SPELLING = {PATH: "Path", DATE: "date", DATETIME: "datetime"}
_WHENCE = {
    "Path": "pathlib", "date": "datetime", "datetime": "datetime", "Annotated": "typing", "Any": "typing",
    "Literal": "typing", "Ge": "annotated_types", "Gt": "annotated_types", "Le": "annotated_types",
    "Lt": "annotated_types", "MultipleOf": "annotated_types", "MinLen": "annotated_types", "MaxLen": "annotated_types",
}  # fmt: skip
_LIMITS = {"ge": "Ge", "gt": "Gt", "le": "Le", "lt": "Lt", "multiple_of": "MultipleOf", "min_length": "MinLen",
           "max_length": "MaxLen"}  # fmt: skip
_PLUMBING = {
    "upstream": ("UPSTREAM", "What earlier notebooks have made, by their names."),
    "product": ("PRODUCT", "Where what it makes is written."),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One parameter of `run()`, as text: its annotation, and its default (None: it must be given)."""

    name: str
    annotation: str
    default: str | None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Parameters:
    """All that `run()` takes, in order, and the module that checks it; empty where a notebook declares nothing."""

    taken: tuple[Taken, ...] = ()
    module: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(each.name for each in self.taken)

    @property
    def constants(self) -> tuple[str, ...]:
        """The names of the checking module that stand as defaults in the signature."""
        return tuple(each.default for each in self.taken if each.default in {name for name, _ in _PLUMBING.values()})

    def imports(self, *, for_types: bool) -> dict[str, set[str]]:
        """The names to import, by module: those that only types need, or those that defaults need."""
        needed = {name for each in self.taken for name in _names_in(each.default or "") if name in _WHENCE}
        if for_types:
            needed = {name for each in self.taken for name in _names_in(each.annotation) if name in _WHENCE} - needed
        return _by_module(needed)


def parameters(reading: Reading) -> Parameters:
    """What `run()` takes of a notebook's contract."""
    contract = reading.contract
    if contract is None:
        return Parameters()
    taken = [
        Taken(
            each.name,
            annotation(each.shape),
            None if each.is_required else as_source(each.default, _SPELLING),
            each.description,
        )
        for each in contract.parameters
    ]
    plumbing = {name: getattr(contract, _FIELDS[name]) for name in _PLUMBING if sets(reading, name)}
    for name in plumbing:
        constant, description = _PLUMBING[name]
        taken.append(Taken(name, _plumbing_types(name)[1], constant, description))
    return Parameters(tuple(taken), _module(contract, plumbing))


_FIELDS = {"upstream": "upstream_default", "product": "product"}


def sets(reading: Reading, name: str) -> bool:
    """Whether the parameters cell gives `name` a value."""
    cell = reading.parameters_cell
    return cell is not None and any(
        isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
        for node in cell.tree.body
    )


def says_its_defaults(reading: Reading) -> bool:
    """Whether the parameters cell itself gives each parameter the value that its contract says.

    `share: float = 1` does not: the cell makes it 1, and whoever runs the notebook by its contract 1.0.
    """
    contract, cell = reading.contract, reading.parameters_cell
    assert contract is not None
    assert cell is not None
    said = {
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target): node.value
        for node in cell.tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    }
    return all(
        each.is_required
        or ast.dump(said[each.name]) == ast.dump(_expression(as_source(each.default, contract.spelling)))
        for each in contract.parameters
    )


def _expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def without_parameters(step: Step) -> Step | None:
    """The parameters cell as a step of the package: its imports, each on its own line; None where none remain."""
    lines = [""] * step.source.count("\n")
    for node in step.tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or (node is step.tree.body[-1] and isinstance(node, ast.Expr)):
            at = node.lineno - 1
            lines[at] = f"{lines[at]}; {ast.unparse(node)}" if lines[at] else ast.unparse(node)
    source = "\n".join(lines)
    if not source.strip():
        return None
    return Step(
        step.number, step.id, source, step.lines, ast.parse(source), step.is_silenced, step.tags, step.title,
        step.level, step.is_first_below, step.words,
    )  # fmt: skip


def annotation(shape: Shape) -> str:
    """The type as Python writes it."""
    inner = _bare(shape)
    limits = [f"{_LIMITS[name]}({bound!r})" for name, bound in shape.bounds if name in _LIMITS]
    return f"Annotated[{inner}, {', '.join(limits)}]" if limits else inner


def _bare(shape: Shape) -> str:
    if shape.kind == "union":
        return " | ".join(annotation(part) for part in shape.parts)
    if shape.kind == "literal":
        return f"Literal[{', '.join(map(repr, shape.choices))}]"
    names = {"path": "Path", "secret": "str", "any": "Any", "none": "None"}
    if not shape.parts:
        return names.get(shape.kind, shape.kind)
    parts = ", ".join(annotation(part) for part in shape.parts)
    if shape.kind == "dict":
        return f"dict[str, {parts}]"
    return f"{shape.kind}[{parts}, ...]" if shape.repeats else f"{shape.kind}[{parts}]"


def _plumbing_types(name: str) -> tuple[Shape, str]:
    """What `upstream` or `product` may be: the type of what the notebook says, or of what a pipeline gives it."""
    held = Shape("dict", (Shape("free"),))
    shapes = (held, Shape("str")) if name == "product" else (held, Shape("list", (Shape("str"),)))
    text = "str" if name == "product" else "list[str]"
    return Shape("union", (*shapes, Shape("none"))), f"dict[str, Any] | {text} | None"


def _module(contract: Contract, plumbing: Mapping[str, Any]) -> str:
    """The module `_contract`: what may be asked for, and `checked`."""
    rows = [_row(each) for each in contract.parameters]
    for name in plumbing:
        constant, description = _PLUMBING[name]
        shape, text = _plumbing_types(name)
        words = "a dict of places" if name == "upstream" else "a dict of places, or one place"
        rows.append(
            f"Parameter({name!r}, {_type(shape)}, {text!r}, {words!r}, default={constant}, description={description!r})"
        )
    body = [f"{_PLUMBING[name][0]}: Any = {as_source(default, _SPELLING)}" for name, default in plumbing.items()]
    body += ["PARAMETERS: tuple[Parameter, ...] = (", *(f"    {row}," for row in rows), ")"]
    text = "\n".join(body)
    used = {name for name in _names_in(text) if name in _WHENCE} | {"Any"}
    lines = [
        '"""What the package may be asked for."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping",
        *(f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(_by_module(used).items())),
        "",
        f"from ._checking import Parameter, {'Type, ' if rows else ''}check",
        "",
        text,
        "",
        "",
        "def checked(values: Mapping[str, Any]) -> dict[str, Any]:",
        '    """Return the value of every parameter; raises `ParameterInvalid` with everything that does not fit."""',
        "    return check(PARAMETERS, values)",
    ]
    return "\n".join(lines) + "\n"


def _row(parameter: Parameter) -> str:
    parts = [repr(parameter.name), _type(parameter.shape), repr(annotation(parameter.shape)),
             repr(parameter.shape.words())]  # fmt: skip
    if parameter.is_required:
        parts.append("is_required=True")
    else:
        parts.append(f"default={as_source(parameter.default, _SPELLING)}")
    if parameter.description:
        parts.append(f"description={parameter.description!r}")
    return f"Parameter({', '.join(parts)})"


def _type(shape: Shape) -> str:
    parts = [repr(shape.kind)]
    if shape.parts:
        parts.append(f"parts=({', '.join(_type(part) for part in shape.parts)},)")
    if shape.choices:
        parts.append(f"choices={shape.choices!r}")
    if shape.repeats:
        parts.append("repeats=True")
    if shape.bounds:
        parts.append(f"bounds={dict(shape.bounds)!r}")
    return f"Type({', '.join(parts)})"


def _names_in(text: str) -> Iterator[str]:
    if text:
        yield from (node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


def _by_module(names: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(_WHENCE[name], set()).add(name)
    return found
