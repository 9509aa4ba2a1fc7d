"""Which values a cell shows where a notebook has told IPython to show others than its last one.

IPython's `ast_node_interactivity` (`InteractiveShell.ast_node_interactivity = "all"`, or by `%config`) holds from the
next cell on. What it shows besides a last value is written into the cells as calls of `SHOWN`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ..notebook.syntax import as_python, cell_tree, is_silenced, python_tree
from .edits import Edits

# What a cell calls to show a value as its end would: nothing where there is none. No notebook has such a name.
SHOWN = "__shown__"
USUAL = "last_expr"
_OPTION = "ast_node_interactivity"
_MODES = frozenset({"all", "last", "last_expr", "last_expr_or_assign", "none"})
_CONFIG = re.compile(rf"\s*\w*InteractiveShell\.{_OPTION}\s*=\s*(?P<quote>['\"])(?P<mode>\w+)(?P=quote)\s*")
# These have no value, whatever they print or display.
_VALUELESS = ("print", "display")


@dataclass(frozen=True, slots=True)
class Setting:
    """A line that says what the cells below show; `mode` is None where that cannot be read."""

    line: int
    mode: str | None


def settings(source: str) -> list[Setting]:
    """What a cell says about those below it, in the order of its lines; raises `SyntaxError` as reading it does."""
    if _OPTION not in source:
        return []
    found = []
    for statement in cell_tree(source).body:
        mode = _mode_of(statement)
        if mode is not None:
            found.append(Setting(statement.lineno, mode))
        else:
            found += [Setting(getattr(node, "lineno", 1), None) for node in ast.walk(statement) if _names(node)]
    return found


def is_setting(statement: ast.stmt) -> bool:
    """Whether a statement does nothing but say what the cells below show."""
    return _mode_of(statement) is not None


def hides_all(source: str) -> bool:
    """Whether a cell, as it is written, ends in a `;`, with which IPython shows nothing of it."""
    return is_silenced(as_python(source))


def shows_assigned(source: str, mode: str) -> str:
    """The name whose value the end of a cell shows since it is given there, or nothing.

    `source` is the cell as it is written: a magic that times what gives a name is an expression to IPython.
    """
    body = cell_tree(source).body if mode == "last_expr_or_assign" else []
    last = body[-1] if body else None
    targets = last.targets if isinstance(last, ast.Assign) else [getattr(last, "target", None)]
    is_given = isinstance(last, ast.Assign | ast.AugAssign | ast.AnnAssign) and len(targets) == 1
    return targets[0].id if is_given and isinstance(targets[0], ast.Name) else ""


def with_shown(source: str, mode: str, *, is_last_gone: bool) -> str:
    """Plain Python that calls `SHOWN` with what a mode of IPython shows besides a last expression.

    `is_last_gone` where what stood last in the cell was left out, so that what stands last now was not its end.
    """
    tree = python_tree(source)
    if mode not in ("all", "last") or not tree.body:
        return source
    last = None if is_last_gone else tree.body[-1]
    shown = [last] if mode == "last" and last is not None else tree.body if mode == "all" else []
    kept = last if isinstance(last, ast.Expr) else None
    wanted = [each for statement in shown if statement is not kept for each in _inside(statement)]
    return _wrapped(source, [each for each in wanted if not _is_valueless(each.value)])


def _inside(statement: ast.stmt) -> list[ast.Expr]:
    """The expressions that a statement consists of: those of its blocks, but not of functions and classes in it."""
    if isinstance(statement, ast.Expr):
        return [statement]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    blocks = [getattr(statement, name, None) or [] for name in ("body", "orelse", "finalbody")]
    blocks += [each.body for name in ("handlers", "cases") for each in getattr(statement, name, None) or []]
    return [each for block in blocks for inner in block for each in _inside(inner)]


def _is_valueless(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call) or any(keyword.arg == "display_id" for keyword in value.keywords):
        return False
    return isinstance(value.func, ast.Name) and value.func.id in _VALUELESS


def _wrapped(source: str, statements: list[ast.Expr]) -> str:
    """The source with each of the expressions in a call; lines stay where they are."""
    edits = Edits(source)
    for statement in statements:
        # A tuple without brackets of its own would be several arguments.
        opening, closing = ("((", "))") if isinstance(statement.value, ast.Tuple) else ("(", ")")
        edits.wrap(statement, SHOWN + opening, closing)
    return "\n".join(line for line, _ in edits.done())


def _mode_of(statement: ast.stmt) -> str | None:
    """The mode that a statement sets, None where it is another one or sets one that IPython does not know."""
    mode: str | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Attribute) and target.attr == _OPTION and isinstance(value, ast.Constant):
            mode = str(value.value)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        words = [argument.value for argument in statement.value.args if isinstance(argument, ast.Constant)]
        match = _CONFIG.fullmatch(str(words[1])) if len(words) == 2 and words[0] == "config" else None
        mode = match["mode"] if match else None
    return mode if mode in _MODES else None


def _names(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == _OPTION
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _OPTION in node.value
