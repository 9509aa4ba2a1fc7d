"""What an expression is worth without running it: texts, paths and numbers that are put together from constants."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from .cells import CodeCell

Value = str | int | float | PurePosixPath


class UnknownError(ValueError):
    """The expression is worth something only while the notebook runs."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a name is given its only value, at the top level of a cell."""

    cell: CodeCell
    statement: ast.Assign | ast.AnnAssign
    value: ast.expr


@dataclass(frozen=True, slots=True)
class Constants:
    """The names of a notebook that are bound once, and what every name is called that is bound at all.

    `given` are the values that come from modules beside the notebook, by the names under which the notebook sees them.
    """

    definitions: Mapping[str, Definition]
    modules: Mapping[str, str]
    bound: frozenset[str]
    used: frozenset[str]
    given: Mapping[str, Value] = field(default_factory=dict)


def module_values(tree: ast.Module) -> dict[str, Value]:
    """What the constants at the top level of a module are worth, as far as that is certain."""
    source = CodeCell(0, "", tree, (), "", {})
    known, found = constants([source]), {}
    for name in known.definitions:
        try:
            found[name] = Evaluation(known).value(known.definitions[name].value)
        except UnknownError:
            continue
    return found


def with_modules(known: Constants, cells: Iterable[CodeCell], modules: Mapping[str, Mapping[str, Value]]) -> Constants:
    """`known` with the values of local `modules` that the notebook imports; a name that it binds again is none."""
    given: dict[str, Value] = {}
    counts: Counter[str] = Counter()
    for cell in cells:
        for node in ast.walk(cell.tree):
            counts.update(_bound(node))
            if isinstance(node, ast.Import):
                for alias in node.names:
                    values = modules.get(alias.name, {})
                    given |= {f"{alias.asname or alias.name}.{name}": value for name, value in values.items()}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                values = modules.get(node.module or "", {})
                for alias in node.names:
                    if alias.name == "*":
                        given |= {name: value for name, value in values.items() if not name.startswith("_")}
                    elif alias.name in values:
                        given[alias.asname or alias.name] = values[alias.name]
    # What `import *` binds is bound nowhere else; what is imported by name is bound by that.
    kept = {name: value for name, value in given.items() if counts[name.partition(".")[0]] <= 1}
    return replace(known, given=kept)


def constants(cells: Iterable[CodeCell]) -> Constants:
    """Look at every binding of every cell: a name that anything binds a second time stands for nothing sure."""
    cells = tuple(cells)
    counts: Counter[str] = Counter()
    modules: dict[str, str] = {}
    used: set[str] = set()
    for cell in cells:
        for node in ast.walk(cell.tree):
            counts.update(_bound(node))
            modules.update(_imported(node))
            if isinstance(node, ast.Name):
                used.add(node.id)
    found: dict[str, Definition] = {}
    for cell in cells:
        for statement in cell.tree.body:
            target, value = assigned(statement)
            if target and value is not None and counts[target] == 1:
                assert isinstance(statement, ast.Assign | ast.AnnAssign)
                found[target] = Definition(cell, statement, value)
    return Constants(found, modules, frozenset(counts), frozenset(used) | frozenset(counts))


def assigned(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    """The name and the value of `name = value`; two empty answers for any other statement."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id, statement.value
    return "", None


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return list(node.names)
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return [node.name]
    return []


def _imported(node: ast.AST) -> dict[str, str]:
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: alias.name if alias.asname else alias.name.partition(".")[0]
            for alias in node.names
        }
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name: f"{node.module or ''}.{alias.name}" for alias in node.names}
    return {}


@dataclass(slots=True)
class Evaluation:
    """One expression while it is worked out; `names` gathers the constants that it is made of."""

    constants: Constants
    names: set[str] = field(default_factory=set)
    _depth: int = 0

    def value(self, node: ast.expr) -> Value:
        """What `node` is worth; raises `UnknownError` where that is not certain."""
        self._depth += 1
        if self._depth > 50:
            raise UnknownError
        try:
            return self._value(node)
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=str() | int() | float() as held):
                return held
            case ast.Name(id=name) if name in self.constants.definitions:
                self.names.add(name)
                return self.value(self.constants.definitions[name].value)
            case ast.Name(id=name) if name in self.constants.given:
                return self.constants.given[name]
            case ast.Attribute() if (spelt := ast.unparse(node)) in self.constants.given:
                return self.constants.given[spelt]
            case ast.JoinedStr(values=parts):
                return "".join(self._part(part) for part in parts)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self._text(left) + self._text(right)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._joined(self.value(left), self.value(right))
            case ast.Attribute(value=inner, attr="parent"):
                return self._above(inner)
            case ast.Call():
                return self._call(node)
        raise UnknownError

    def _text(self, node: ast.expr) -> str:
        found = self.value(node)
        if not isinstance(found, str):
            raise UnknownError
        return found

    def _path(self, node: ast.expr) -> PurePosixPath:
        found = self.value(node)
        if not isinstance(found, PurePosixPath):
            raise UnknownError
        return found

    def _above(self, node: ast.expr) -> PurePosixPath:
        """The folder above; that of the working folder is known by its name only where it was asked for as a whole."""
        path = self._path(node)
        if path.name not in ("", ".."):
            return path.parent
        if not any(said in ast.unparse(node) for said in ("cwd()", "resolve()", "absolute()")):
            raise UnknownError
        return path / ".."

    def _joined(self, left: Value, right: Value) -> PurePosixPath:
        if not isinstance(left, PurePosixPath) and not isinstance(right, PurePosixPath):
            raise UnknownError
        if not isinstance(left, str | PurePosixPath) or not isinstance(right, str | PurePosixPath):
            raise UnknownError
        return PurePosixPath(left) / right

    def _part(self, node: ast.expr) -> str:
        if isinstance(node, ast.FormattedValue):
            if node.format_spec is not None or node.conversion not in (-1, 115):
                raise UnknownError
            return str(self.value(node.value))
        return str(self.value(node))

    def _call(self, node: ast.Call) -> Value:
        called = dotted(node.func, self.constants)
        arguments = node.args
        if node.keywords:
            raise UnknownError
        if called in ("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"):
            parts = [self.value(argument) for argument in arguments]
            if not all(isinstance(part, str | PurePosixPath) for part in parts):
                raise UnknownError
            return PurePosixPath(*(str(part) for part in parts))
        if called in ("pathlib.Path.cwd", "os.getcwd") and not arguments:
            return PurePosixPath() if called.startswith("pathlib") else "."
        if called == "os.path.join" and arguments:
            return str(PurePosixPath(*(str(self._plain(argument)) for argument in arguments)))
        if called in ("os.path.abspath", "os.path.normpath", "os.fspath", "str") and len(arguments) == 1:
            return str(self._plain(arguments[0]))
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func, arguments)
        raise UnknownError

    def _plain(self, node: ast.expr) -> str | PurePosixPath:
        found = self.value(node)
        if not isinstance(found, str | PurePosixPath):
            raise UnknownError
        return found

    def _method(self, called: ast.Attribute, arguments: list[ast.expr]) -> Value:
        if called.attr == "format" and isinstance(called.value, ast.Constant):
            try:
                return str(called.value.value).format(*(self.value(argument) for argument in arguments))
            except (IndexError, KeyError, ValueError, AttributeError):
                raise UnknownError from None
        path = self._path(called.value)
        if called.attr in ("resolve", "absolute") and not arguments:
            return path
        if called.attr == "as_posix" and not arguments:
            return str(path)
        try:
            if called.attr == "joinpath":
                return path.joinpath(*(self._plain(argument) for argument in arguments))
            if called.attr in ("with_suffix", "with_name", "with_stem") and len(arguments) == 1:
                changed: PurePosixPath = getattr(path, called.attr)(self._text(arguments[0]))
                return changed
        except ValueError:
            raise UnknownError from None
        raise UnknownError


def dotted(node: ast.expr, known: Constants) -> str:
    """The full name of what is called, by what the notebook imported; "" where it is no name."""
    if isinstance(node, ast.Name):
        return known.modules.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value, known)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
