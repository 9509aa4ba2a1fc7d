"""The copy of a foreign notebook: a parameters cell, and the names of its files where it named them itself."""

from __future__ import annotations

import ast
import builtins
import copy
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..notebook.contract import TAG
from .cells import CodeCell, Span
from .planning import Planned, Role
from .remarks import Remark, Rewritten
from .touching import Touch
from .values import Constants, assigned

_SECRET = re.compile(r"passw|secret|token|api_?key|access_?key|private_?key|credential", re.IGNORECASE)
_ALIAS = "nbproof_{}"


@dataclass(frozen=True, slots=True)
class Copied:
    """A notebook as it is proposed: its content, its parameters, and what was changed and could not be."""

    content: Mapping[str, Any]
    parameters: tuple[str, ...]
    rewritten: tuple[Rewritten, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class _Edit:
    span: Span
    new: str


@dataclass(slots=True)
class _Copy:
    """One copy while it is made."""

    planned: Planned
    edits: dict[int, list[_Edit]] = field(default_factory=lambda: defaultdict(list))
    rewritten: list[Rewritten] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    constant_of: dict[str, str] = field(default_factory=dict)

    @property
    def notebook(self) -> str:
        return str(self.planned.notebook.path)

    @property
    def known(self) -> Constants:
        return self.planned.notebook.constants

    def made(self, kernel: str) -> Copied:
        moved = self._moved()
        # The parameter of a file that a constant names is that constant, wherever the file is named besides.
        self.constant_of = {role.place: name for name, (_, role) in reversed(moved.items()) if role is not None}
        self._exchange({name for name, (_, role) in moved.items() if role is not None})
        lines, names = self._parameter_lines(moved)
        cells = self._cells(moved, lines)
        document = self.planned.notebook.document
        metadata = copy.deepcopy(dict(document.content["metadata"]))
        metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": kernel}
        metadata.setdefault("language_info", {"name": "python"})
        metadata.pop("papermill", None)
        metadata.pop("jupytext", None)
        content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        return Copied(content, names, tuple(self.rewritten), tuple(self.remarks))

    # The names of files

    def _exchange(self, as_parameters: set[str]) -> None:
        """Put the name of each file where the code named it."""
        by_origin: dict[int, list[tuple[Touch, Role]]] = defaultdict(list)
        for touch, role in self.planned.roles:
            by_origin[id(touch.origin)].append((touch, role))
        for together in by_origin.values():
            touch, role = together[0]
            if touch.name in as_parameters:
                continue
            is_one = len({(found.kind, found.place) for _, found in together}) == 1
            if is_one and not self.planned.edits_uses:
                takes_path = touch.takes_path and (not touch.name or touch.is_path_object)
                self._put(touch, role, touch.origin, touch.cell, takes_path)
                continue
            for each, own in together:
                self._put(each, own, each.use, each.use_cell, each.takes_path)

    def _put(self, touch: Touch, role: Role, node: ast.expr, cell: CodeCell, takes_path: bool) -> None:
        new = self._named(touch, role, takes_path)
        old, span = cell.text(node), cell.span(node)
        if new == old or any(edit.span == span for edit in self.edits[cell.number]):
            return
        self.edits[cell.number].append(_Edit(span, new))
        self.rewritten.append(Rewritten(self.notebook, cell.number, span.line, " ".join(old.split()), new))

    def _named(self, touch: Touch, role: Role, takes_path: bool) -> str:
        if role.kind == "data":
            name = self.constant_of.get(role.place, role.key)
            if touch.has_pattern:
                return f'f"{{{name}}}/{touch.pattern}"'
            return name if takes_path or touch.is_path_object else f"str({name})"
        if role.kind == "upstream folder":
            if str(PurePosixPath(touch.path)) == role.place:
                return touch.cell.text(touch.origin)
            place = f"{role.place}/{touch.pattern}" if touch.has_pattern else role.place
            return f"{self._path_name()}({place!r})" if touch.is_path_object else repr(place)
        name = f'{self._ploomber("product")}["{role.key}"]'
        if role.kind == "upstream":
            name = f'{self._ploomber("upstream")}["{role.task}"]["{role.key}"]'
        return f"{self._path_name()}({name})" if touch.is_path_object else name

    def _path_name(self) -> str:
        """How the notebook calls `pathlib.Path`."""
        for name, meaning in self.known.modules.items():
            if meaning == "pathlib.Path":
                return name
            if meaning == "pathlib":
                return f"{name}.Path"
        return "Path"

    def _ploomber(self, name: str) -> str:
        """The name of the products or of the upstream products, another one where the notebook has that name itself."""
        return _ALIAS.format(name) if name in self.known.bound else name

    # Parameters

    def _moved(self) -> dict[str, tuple[CodeCell, Role | None]]:
        """The constants at the top that become parameters: each with its cell, and its role where it is a path of data.

        What a path of a file is made of is none: another value would not lead to another file any more.
        """
        made_of = {name for touch, _ in self.planned.roles for name in touch.parts}
        named = {id(touch.origin) for touch, _ in self.planned.roles}
        role_of = {touch.name: (touch, role) for touch, role in self.planned.roles if touch.name}
        found: dict[str, tuple[CodeCell, Role | None]] = {}
        for cell, statement in self._top():
            name, value = assigned(statement)
            if name not in self.known.definitions or value is None or name in made_of or not self._is_free(name):
                continue
            if not self._may_stand_alone(cell, statement):
                continue
            if name in role_of:
                role = role_of[name][1]
                if role.kind == "data" and self._is_only_handed_on(name) and isinstance(value, ast.Constant):
                    found[name] = cell, role
                continue
            if not _is_plain(value) or not _is_simply_typed(statement) or any(id(n) in named for n in ast.walk(value)):
                continue
            if _SECRET.search(name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                line = cell.span(statement).line
                self.remarks.append(
                    Remark(self.notebook, cell.number, line, f"`{name}` looks like a secret and stays where it is",
                           f'take it out of the code: `{name}: Secret = "env:{name.upper()}"` in the parameters cell')
                )  # fmt: skip
                continue
            found[name] = cell, None
        return found

    def _top(self) -> Iterator[tuple[CodeCell, ast.stmt]]:
        """The statements before the work begins; those of the parameters cell where there is one."""
        cells = self.planned.notebook.cells
        tagged = [cell for cell in cells if TAG in cell.tags]
        if tagged:
            yield from ((tagged[0], statement) for statement in tagged[0].tree.body)
            return
        for cell in cells:
            for statement in cell.tree.body:
                if not _is_preparing(statement):
                    return
                yield cell, statement

    def _is_free(self, name: str) -> bool:
        return not name.startswith("_") and not hasattr(builtins, name) and name not in ("upstream", "product", "Path")

    def _may_stand_alone(self, cell: CodeCell, statement: ast.stmt) -> bool:
        """Whether no other statement shares the lines of this one, and IPython reads them as Python does."""
        lines = set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
        shared = any(
            other is not statement and lines & set(range(other.lineno, (other.end_lineno or other.lineno) + 1))
            for other in cell.tree.body
        )
        return not shared and not lines & cell.shifts.keys()

    def _is_only_handed_on(self, name: str) -> bool:
        """Whether the constant is used only where a path does as well as a text."""
        loads = sum(
            isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
            for cell in self.planned.notebook.cells for node in ast.walk(cell.tree)
        )  # fmt: skip
        handed = {id(touch.use) for touch, _ in self.planned.roles
                  if touch.name == name and touch.takes_path and isinstance(touch.use, ast.Name)}  # fmt: skip
        return loads == len(handed)

    def _parameter_lines(self, moved: Mapping[str, tuple[CodeCell, Role | None]]) -> tuple[list[str], tuple[str, ...]]:
        planned = self.planned
        upstream = {task: dict(sorted(keys.items())) for task, keys in sorted(planned.upstream.items())}
        lines = [
            f"upstream = {_spelled(upstream) if upstream else None}",
            f"product = {_spelled(dict(planned.products)) if planned.products else None}",
        ]
        parameters: list[str] = []
        names: list[str] = []
        taken_places = set()
        for name, (cell, role) in moved.items():
            if role is not None:
                taken_places.add(role.place)
                parameters.append(f'{name}: Path = Path("{role.place}")')
            else:
                parameters += self._kept_lines(cell, name)
            names.append(name)
        for name, place in planned.data.items():
            if place not in taken_places:
                parameters.append(f'{name}: Path = Path("{place}")')
                names.append(name)
        imports = ["from pathlib import Path", ""] if any(": Path = " in line for line in parameters) else []
        return [*imports, *lines, *(["", *parameters] if parameters else [])], tuple(names)

    def _kept_lines(self, cell: CodeCell, name: str) -> list[str]:
        """The statement as it is written, with its remarks and the type of its value."""
        definition = self.known.definitions[name]
        first, last = _lines_of(cell, definition.statement)
        lines = [
            line.strip() if line.lstrip().startswith("#") else line for line in cell.source.split("\n")[first:last]
        ]
        if isinstance(definition.statement, ast.Assign):
            kind = _type_of(definition.value)
            at = definition.statement.lineno - 1 - first
            lines[at] = re.sub(rf"^{name}\s*=\s*", f"{name}: {kind} = ", lines[at])
        return lines

    # Cells

    def _cells(self, moved: Mapping[str, tuple[CodeCell, Role | None]], lines: Sequence[str]) -> list[dict[str, Any]]:
        of_number = {cell.number: cell for cell in self.planned.notebook.cells}
        gone: dict[int, set[int]] = defaultdict(set)
        for name, (home, _) in moved.items():
            gone[home.number] |= set(range(*_lines_of(home, self.known.definitions[name].statement)))
        document = self.planned.notebook.document
        ids = {held.id for held in document.cells}
        head = [self._added("parameters", "\n".join(lines), ids, tags=[TAG])]
        aliases = [
            f"{_ALIAS.format(name)} = {name}" for name in ("upstream", "product") if self._ploomber(name) != name
        ]
        if aliases:
            words = "# The notebook itself gives these names another meaning further down."
            head.append(self._added("products", "\n".join([words, *aliases]), ids))
        cells: list[dict[str, Any]] = []
        for number, raw in enumerate(document.content["cells"], start=1):
            cell = copy.deepcopy(dict(raw))
            tags = cell["metadata"].get("tags", [])
            if "injected-parameters" in tags:
                self.remarks.append(Remark(self.notebook, number, 1, "the values of one run were left out"))
                continue
            if cell["cell_type"] == "code" and head:
                cells += head
                head = []
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
                cell["metadata"] = _without_traces(cell["metadata"])
            if number in of_number:
                cell["source"] = self._source(of_number[number], gone[number])
                if gone[number] and not cell["source"].strip():
                    continue
            cells.append(cell)
        return [*cells, *head]

    def _added(self, id_: str, source: str, ids: set[str], *, tags: Sequence[str] = ()) -> dict[str, Any]:
        while id_ in ids:
            id_ = f"nbproof-{id_}"
        metadata = {"tags": list(tags)} if tags else {}
        return {"cell_type": "code", "execution_count": None, "id": id_, "metadata": metadata, "outputs": [],
                "source": source}  # fmt: skip

    def _source(self, cell: CodeCell, gone: set[int]) -> str:
        lines = cell.source.split("\n")
        for edit in sorted(self.edits[cell.number], key=lambda edit: (edit.span.line, edit.span.column), reverse=True):
            span = edit.span
            before, after = lines[span.line - 1][: span.column], lines[span.end_line - 1][span.end_column :]
            # Lines are blanked and not removed, so that the places of other edits stay.
            lines[span.line - 1] = before + edit.new + after
            for at in range(span.line, span.end_line):
                lines[at] = _REMOVED
        kept = [line for at, line in enumerate(lines) if at not in gone and line != _REMOVED]
        while gone and kept and not kept[0].strip():
            kept.pop(0)
        return "\n".join(kept)


_REMOVED = "\0removed"


def made_copy(planned: Planned, *, kernel: str) -> Copied:
    """The notebook as it is proposed: run by `kernel`, without outputs."""
    return _Copy(planned).made(kernel)


def _without_traces(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a cell without what an execution left, and without the tag of its parameters."""
    kept = {
        name: held
        for name, held in metadata.items()
        if name not in ("execution", "papermill", "ExecuteTime", "collapsed")
    }
    if "tags" in kept:
        kept["tags"] = [tag for tag in kept["tags"] if tag != TAG]
    return kept


def _lines_of(cell: CodeCell, statement: ast.stmt) -> tuple[int, int]:
    """The lines of a statement, counted from 0, with the remarks right above it."""
    lines, first = cell.source.split("\n"), statement.lineno - 1
    while first > 0 and lines[first - 1].lstrip().startswith("#") and not lines[first - 1].lstrip().startswith("# %%"):
        first -= 1
    return first, statement.end_lineno or statement.lineno


def _is_preparing(statement: ast.stmt) -> bool:
    """Whether a statement only prepares: imports, constants, definitions, settings."""
    if isinstance(
        statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass
    ):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant | ast.Call)
    name, value = assigned(statement)
    return bool(name) and value is not None and not any(
        isinstance(node, ast.Call) and not _makes_path(node) for node in ast.walk(value)
    )  # fmt: skip


def _makes_path(node: ast.Call) -> bool:
    called = ast.unparse(node.func)
    return called.endswith(("Path", "os.path.join", "cwd", "resolve", "getcwd", "joinpath"))


def _is_simply_typed(statement: ast.stmt) -> bool:
    """Whether a statement has no annotation, or one that needs no import."""
    if not isinstance(statement, ast.AnnAssign):
        return True
    return ast.unparse(statement.annotation) in ("int", "float", "str", "bool", "list[int]", "list[float]", "list[str]")


def _is_plain(node: ast.expr) -> bool:
    """Whether a value is a number, a text, true or false, or a list of such values."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return False
    if isinstance(value, list):
        return bool(value) and len({type(held) for held in value}) == 1 and _is_single(value[0])
    return _is_single(value)


def _is_single(value: Any) -> bool:
    if isinstance(value, str):
        return value.isprintable() and len(value) < 500
    return isinstance(value, bool | int | float) and abs(value) < 2**53


def _type_of(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    return f"list[{type(value[0]).__name__}]" if isinstance(value, list) else type(value).__name__


def _spelled(value: Mapping[str, Any]) -> str:
    """A mapping of texts as one would type it."""
    inner = (f'"{key}": {_spelled(held) if isinstance(held, dict) else _quoted(held)}' for key, held in value.items())
    return "{" + ", ".join(inner) + "}"


def _quoted(text: str) -> str:
    return f'"{text}"' if '"' not in text and "\\" not in text else repr(text)
