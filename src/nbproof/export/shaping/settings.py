"""What a notebook sets before it imports: the environment, the path of modules, warnings. It keeps its place."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...notebook.dataflow import names_read
from ..reading import Step

_IMPORTS = (ast.Import, ast.ImportFrom)
# What each of these changes, by the names that a watched run gives to it.
_SETTING_CALLS = {
    "os.chdir": "working folder",
    "os.environ.clear": "environment variables",
    "os.environ.pop": "environment variables",
    "os.environ.setdefault": "environment variables",
    "os.environ.update": "environment variables",
    "os.putenv": "environment variables",
    "sys.path.append": "sys.path",
    "sys.path.extend": "sys.path",
    "sys.path.insert": "sys.path",
    "sys.path.remove": "sys.path",
    "site.addsitedir": "sys.path",
    "warnings.filterwarnings": "warnings",
    "warnings.simplefilter": "warnings",
    "matplotlib.use": "matplotlib settings",
    "logging.disable": "logging",
}
_SETTING_TARGETS = {"os.environ": "environment variables", "sys.path": "sys.path"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A statement that comes before an import, and what it changes."""

    cell: int
    node: ast.stmt
    changes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prologue:
    """The settings that move in front of all imports, and the statements that have to come with them, in their order.

    `inert` are statements, by their identity, that change nothing which an import could feel.
    """

    settings: tuple[Setting, ...]
    before: tuple[tuple[int, ast.stmt], ...]
    inert: frozenset[int]


def prologue(cells: Sequence[Step]) -> Prologue:
    """Find the settings at the beginning of a notebook that an import follows.

    They may move as long as nothing has run before them that could have felt them.
    """
    meaning: dict[str, str] = {}
    settings: list[Setting] = []
    ordered: list[tuple[int, ast.stmt]] = []
    inert: set[int] = set()
    until = moved = 0
    for cell, node in ((each.number, node) for each in cells for node in each.tree.body):
        if isinstance(node, _IMPORTS):
            meaning.update(_meanings(node))
            ordered.append((cell, node))
            until, moved = len(ordered), len(settings)
            continue
        changes = changed_by(node, meaning)
        known = meaning.keys() | {*dir(builtins)}
        if changes and names_read(node) <= known:
            settings.append(Setting(cell, node, changes))
            ordered.append((cell, node))
        elif not _is_inert(node):
            break
        else:
            inert.add(id(node))
    # What no import follows may stay where it is, and so may imports that no setting follows.
    moving = {id(setting.node) for setting in settings[:moved]}
    before = list(ordered[:until])
    while before and id(before[-1][1]) not in moving:
        before.pop()
    return Prologue(tuple(settings[:moved]), tuple(before), frozenset(inert | moving))


def written(found: Prologue, sources: Mapping[int, str]) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """The module of the settings, each line with the cell and the line that it came from."""
    yield '"""What has to be set before the modules of the steps are imported."""', None
    yield "", None
    yield "from __future__ import annotations", None
    yield "", None
    yield "", None
    yield "def prepare() -> None:", None
    yield '    """Set it, and import what the notebook imports before, in its order."""', None
    read = set().union(*(names_read(setting.node) for setting in found.settings))
    for cell, node in found.before:
        if isinstance(node, _IMPORTS):
            names = [alias for alias in node.names if (alias.asname or alias.name.partition(".")[0]) in read]
            is_own = is_of_python(node)
            if not names and is_own:
                continue
            kept = node if not is_own else _with_names(node, names)
            used = len(names) == len(kept.names)
            remark = "" if used else "  # noqa: F401 (it is loaded before what is set below)"
            yield f"    {ast.unparse(kept)}{remark}", (cell, node.lineno)
            continue
        # Texts over several lines keep their own beginnings of lines.
        segment = ast.get_source_segment(sources[cell], node) or ast.unparse(node)
        lines = segment.split("\n") if _may_be_indented(node) else ast.unparse(node).split("\n")
        for at, text in enumerate(lines):
            yield f"    {text}" if text.strip() else "", (cell, node.lineno + at)


def changed_by(node: ast.stmt, meaning: Mapping[str, str]) -> frozenset[str]:
    """What a statement sets, if it does nothing else; `meaning` is what imported names stand for."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _one(_SETTING_CALLS.get(_dotted(node.value.func, meaning)))
    if isinstance(node, ast.Assign):
        return _all(_target(target, meaning) for target in node.targets)
    if isinstance(node, ast.AugAssign):
        return _all([_target(node.target, meaning)])
    if isinstance(node, ast.Delete):
        return _all(_target(target, meaning) for target in node.targets)
    if isinstance(node, ast.If):
        return _all(changed_by(inner, meaning) for inner in (*node.body, *node.orelse))
    return frozenset()


def _target(target: ast.expr, meaning: Mapping[str, str]) -> frozenset[str]:
    held = target.value if isinstance(target, ast.Subscript) else target
    if isinstance(held, ast.Name):
        # A name alone is given another value; only what it stands for can be set.
        return _one(_SETTING_TARGETS.get(meaning.get(held.id, ""))) if held is not target else frozenset()
    return _one(_SETTING_TARGETS.get(_dotted(held, meaning)))


def _one(change: str | None) -> frozenset[str]:
    return frozenset([change] if change else [])


def _all(changes: Iterator[frozenset[str]] | Sequence[frozenset[str]]) -> frozenset[str]:
    """All changes together, if there is one each."""
    found = list(changes)
    return frozenset().union(*found) if all(found) else frozenset()


def _dotted(node: ast.expr, meaning: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name):
        return meaning.get(node.id, "")
    return f"{_dotted(node.value, meaning)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def _meanings(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{'.' * node.level}{node.module or ''}.{alias.name}"
        else:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, alias.name if alias.asname else top


def _is_inert(node: ast.stmt) -> bool:
    """Whether a statement neither changes nor asks for anything outside of the notebook's own names."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
        return not node.decorator_list and all(map(_is_literal, defaults))
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) for target in node.targets) and _is_literal(node.value)
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and (node.value is None or _is_literal(node.value))
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def is_of_python(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether all that it imports comes with Python itself."""
    return modules_of(node) <= sys.stdlib_module_names


def modules_of(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The top-level names of the modules; the empty one for what is relative."""
    if isinstance(node, ast.ImportFrom):
        return {"" if node.level else (node.module or "").partition(".")[0]}
    return {alias.name.partition(".")[0] for alias in node.names}


def _with_names(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.Import | ast.ImportFrom:
    if isinstance(node, ast.ImportFrom):
        return ast.ImportFrom(node.module, names, node.level)
    return ast.Import(names)


def _may_be_indented(node: ast.stmt) -> bool:
    return not any(
        isinstance(inner, ast.Constant | ast.JoinedStr) and inner.end_lineno != inner.lineno for inner in ast.walk(node)
    )
