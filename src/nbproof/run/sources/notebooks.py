"""Notebooks as a pipeline needs them: read once, and what they say remembered by their content."""

from __future__ import annotations

import codecs
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...notebook import contract, document
from ...notebook.code import INJECTED, normalised
from ...notebook.contract import Contract, Parameter
from ...notebook.document import Document
from ...notebook.imports import ImportedName, Imports, imports
from ...notebook.shapes import Shape
from ...records import ContentHash
from .memory import Memory, key_of


@dataclass(frozen=True, slots=True)
class Said:
    """All that a build asks of a notebook before it runs.

    `code` has one hash for each code cell that counts. `names_kernel` says that the file itself names its kernel, and
    `ends_in_parameters` that no code follows the parameters cell.
    """

    contract: Contract
    code: tuple[str, ...]
    imports: Imports
    kernel: str
    names_kernel: bool
    ends_in_parameters: bool


class Notebook:
    """A notebook file as it was `written` when it was read; `document` is parsed when somebody asks for it."""

    def __init__(self, path: Path, written: bytes, said: Said) -> None:
        self.path, self.said, self.written = path, said, written

    @property
    def has_mark(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self.written.startswith(codecs.BOM_UTF8)

    def says(self, tag: str) -> bool:
        """Whether the word `tag` is anywhere in the file: without it, no cell can carry it."""
        return tag.encode() in self.written

    @cached_property
    def document(self) -> Document:
        return document.parse(self.path, self.written)


def read(path: Path, memory: Memory) -> Notebook:
    """Read the notebook at `path`; raises `NotebookInvalid`, or `ContractInvalid` when it declares no contract."""
    written = document.read_bytes(path)
    key = key_of(f"notebook{path.suffix}", written)
    kept = memory.recall(key)
    if kept is not None:
        return Notebook(path, written, _remembered(path, kept))
    found = document.parse(path, written)
    said = said_of(found)
    notebook = Notebook(path, written, said)
    notebook.__dict__["document"] = found
    spelled = _spelled(said)
    # Whatever would not come back as it is, is not kept.
    if spelled is not None and _remembered(path, spelled) == said:
        memory.keep(key, spelled)
    return notebook


def said_of(found: Document) -> Said:
    declared = contract.read(found)
    # What was injected is taken out before a notebook runs; the paths in it are those of one run.
    code = [cell for cell in found.cells if cell.kind == "code" and INJECTED not in cell.tags]
    sources = [cell.source for cell in code if found.is_python]
    return Said(
        contract=declared,
        code=tuple(ContentHash.of(cell.encode("utf-8", "surrogatepass")).hex for cell in normalised(found)),
        imports=imports(sources),
        kernel=found.kernel,
        names_kernel=bool(found.content.get("metadata", {}).get("kernelspec", {}).get("name")),
        ends_in_parameters=_ends_in_parameters(found),
    )


def _ends_in_parameters(found: Document) -> bool:
    # What was injected is taken out before a notebook runs.
    cells = [cell for cell in found.cells if not {INJECTED, "debugging-settings"} & {*cell.tags}]
    last = next((cell for cell in reversed(cells) if cell.source.strip()), cells[0])
    return contract.TAG in last.tags


# JSON holds neither tuples nor paths nor dates: each value that it does not hold is written with its kind.


def _spelled(said: Said) -> Any:
    found = said.contract
    try:
        return {
            "contract": [
                [_parameter_spelled(held) for held in found.parameters],
                list(found.upstream),
                _value_spelled(found.upstream_default),
                _value_spelled(found.product),
                dict(found.spelling),
                found.says_upstream,
            ],
            "code": list(said.code),
            "imports": imports_spelled(said.imports),
            "kernel": [said.kernel, said.names_kernel],
            "ends_in_parameters": said.ends_in_parameters,
        }
    except _UnspelledError:
        return None


def _remembered(path: Path, kept: Any) -> Said:
    parameters, upstream, upstream_default, product, spelling, says_upstream = kept["contract"]
    return Said(
        contract=Contract(
            path,
            tuple(_parameter(held) for held in parameters),
            tuple(upstream),
            _value(upstream_default),
            _value(product),
            spelling,
            says_upstream,
        ),
        code=tuple(kept["code"]),
        imports=imports_from(kept["imports"]),
        kernel=kept["kernel"][0],
        names_kernel=kept["kernel"][1],
        ends_in_parameters=kept["ends_in_parameters"],
    )


def imports_from(kept: Any) -> Imports:
    """What `imports_spelled` wrote, read again."""
    modules, paths, runs, dynamic = kept
    named = frozenset(ImportedName(module, level, tuple(names)) for module, level, names in modules)
    return Imports(named, frozenset(paths), frozenset(runs), dynamic)


def imports_spelled(found: Imports) -> Any:
    """`found` as JSON holds it."""
    modules = [[name.module, name.level, list(name.names)] for name in sorted(found.modules)]
    return [modules, sorted(found.paths), sorted(found.runs), found.dynamic]


def _parameter_spelled(held: Parameter) -> Any:
    default = _value_spelled(held.default)
    return [held.name, _shape_spelled(held.shape), held.line, held.is_required, default, held.description]


def _parameter(kept: Any) -> Parameter:
    name, shape, line, is_required, default, description = kept
    return Parameter(name, _shape(shape), line, is_required, _value(default), description)


def _shape_spelled(shape: Shape) -> Any:
    parts = [_shape_spelled(part) for part in shape.parts]
    return [shape.kind, parts, list(shape.choices), shape.repeats, [list(bound) for bound in shape.bounds]]


def _shape(kept: Any) -> Shape:
    kind, parts, choices, repeats, bounds = kept
    bounded = tuple((name, value) for name, value in bounds)
    return Shape(kind, tuple(_shape(part) for part in parts), tuple(choices), repeats, bounded)


class _UnspelledError(ValueError):
    """The value is of a kind that is not written down."""


def _value_spelled(value: Any) -> Any:
    if value is None or type(value) in {bool, int, float, str}:
        return value
    if type(value) is type(Path()):
        return {"path": str(value)}
    if type(value) is datetime.datetime:
        return {"datetime": value.isoformat()}
    if type(value) is datetime.date:
        return {"date": value.isoformat()}
    if type(value) in {list, tuple, set}:
        return {type(value).__name__: [_value_spelled(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[_value_spelled(key), _value_spelled(held)] for key, held in value.items()]}
    raise _UnspelledError


_MAKERS: Mapping[str, Any] = {
    "path": Path,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "list": lambda kept: [_value(item) for item in kept],
    "tuple": lambda kept: tuple(_value(item) for item in kept),
    "set": lambda kept: {_value(item) for item in kept},
    "dict": lambda kept: {_value(key): _value(held) for key, held in kept},
}


def _value(kept: Any) -> Any:
    if not isinstance(kept, dict):
        return kept
    ((kind, inner),) = kept.items()
    return _MAKERS[kind](inner)
