"""Code and names that stand in texts: `eval`, `exec`, `globals()`. What of it a script does as the notebook does.

Where all names are global, as in a notebook, a text finds the same ones. What goes through all of them at once does
not: a kernel has names of its own, which a package has not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_RUNNING, _HOLDING = ("eval", "exec"), ("globals", "locals", "vars", "dir")
_WHY = "it looks at all names of the notebook at once"
# Those who take names to look single ones up: `timeit(…, globals=globals())`, `'{x}'.format(**locals())`.
_ASKED_FOR_ONE = {"eval", "exec", "timeit", "repeat", "Timer", "format", "format_map", "Template", "substitute"}
_METHODS = {"get", "update", "setdefault", "pop", "__getitem__", "__setitem__", "__contains__"}
# What only a kernel has a value for.
_OF_THE_SHELL = re.compile(
    r"In|Out|exit|quit|_{1,3}|_\d+|_i{1,3}|_i\d+|_[ido]h|.*(?:get_ipython|__IPYTHON__|\b(?:In|Out)\[).*", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class ByText:
    """A place where names are looked up by texts; `why_not` says why nobody can follow it, if nobody can."""

    node: ast.Name
    why: str
    why_not: str = ""


def looked_up(tree: ast.Module) -> Iterator[ByText]:
    """Every such place of a cell."""
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
            continue
        if node.id in _RUNNING:
            yield ByText(node, "it runs code that stands in a text")
        elif node.id in ("globals", "locals") or (node.id in _HOLDING and _is_called_bare(node, above)):
            is_fine = _is_called_bare(node, above) and (
                (node.id != "globals" and _is_in_function(node, above))
                or _asks_for_one(above[node], above, is_list=node.id == "dir")
            )
            yield ByText(node, _WHY, "" if is_fine else _WHY)


def asks_for_the_shell(trees: Iterable[ast.Module]) -> bool:
    """Whether a text of the notebook names what only a kernel has a value for."""
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and _OF_THE_SHELL.fullmatch(node.value)
        for tree in trees for node in ast.walk(tree)
    )  # fmt: skip


def _is_called_bare(node: ast.Name, above: Mapping[ast.AST, ast.AST]) -> bool:
    call = above.get(node)
    return isinstance(call, ast.Call) and call.func is node and not call.args and not call.keywords


def _is_in_function(node: ast.AST, above: Mapping[ast.AST, ast.AST]) -> bool:
    """Whether the innermost scope is one of a function: its names are no kernel's."""
    while node in above:
        node = above[node]
        if isinstance(node, ast.ClassDef):
            return False
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return True
    return False


def _asks_for_one(call: ast.AST, above: Mapping[ast.AST, ast.AST], *, is_list: bool) -> bool:
    """Whether what holds all names is only asked for single ones; a list of them, only whether it has one."""
    around = above.get(call)
    if is_list and not isinstance(around, ast.Compare):
        return False
    match around:
        case ast.Subscript():
            return around.value is call
        case ast.Attribute(attr=name):
            return name in _METHODS
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return around.left is not call
        case ast.BinOp(op=ast.Mod()):
            return around.right is call
        case ast.keyword():
            return _asked(above.get(around))
        case ast.Call():
            return _asked(around)
    return False


def _asked(call: ast.AST | None) -> bool:
    function = call.func if isinstance(call, ast.Call) else None
    return getattr(function, "id", getattr(function, "attr", "")) in _ASKED_FOR_ONE
