"""What a cell asks about the kernel that runs it. A package has none, and would give another answer without a word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# A kernel has loaded these before its first cell.
_OF_A_KERNEL = frozenset({
    "IPython", "comm", "debugpy", "ipykernel", "ipykernel_launcher", "jedi", "jupyter_client", "jupyter_core",
    "matplotlib_inline", "nest_asyncio", "parso", "prompt_toolkit", "pygments", "tornado", "traitlets", "zmq",
})  # fmt: skip
_MARK, _PROMPT = "__IPYTHON__", "ps1"
# Jupyter's variables of the environment.
_VARIABLES = frozenset({"JPY_API_TOKEN", "JPY_INTERRUPT_EVENT", "JPY_PARENT_PID", "JPY_SESSION_NAME"})
_LOOPS = ("get_running_loop", "current_task")
_DRAWING = ("matplotlib", "mpl", "plt", "pyplot", "pylab", "")
_PARSING = ("parse_args", "parse_known_args")
_ENDS = ("exit", "quit")


@dataclass(frozen=True, slots=True)
class Question:
    """A place that asks about the kernel, and what it asks, in words."""

    node: ast.AST
    about: str


def questions(tree: ast.Module, *, has_argv: bool) -> Iterator[Question]:
    """What a cell asks; `has_argv` where it or a cell above gives `sys.argv` a value of its own."""
    for node in ast.walk(tree):
        about = _about(node, has_argv=has_argv)
        if about:
            yield Question(node, about)
    if any(_name(node) == "get_event_loop" for node in ast.walk(tree)):
        yield from (
            Question(node, "whether a loop of events runs") for node in ast.walk(tree) if _name(node) == "is_running"
        )


def gives_argv(tree: ast.Module) -> bool:
    """Whether a cell gives `sys.argv` a value, which holds for those below it."""
    return any(
        _is_of_sys(node, "argv") and isinstance(getattr(node, "ctx", None), ast.Store) for node in ast.walk(tree)
    )


def ends(tree: ast.Module) -> Iterator[tuple[ast.Expr, str]]:
    """The statements with which IPython, and nobody else, ends the kernel: a name alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name) and node.value.id in _ENDS:
            yield node, node.value.id


def _about(node: ast.AST, *, has_argv: bool) -> str:
    name = _name(node)
    loaded = _asked_for(node)
    if loaded.partition(".")[0] in _OF_A_KERNEL:
        return f"whether `{loaded}` is loaded"
    if name == _MARK or (isinstance(node, ast.Constant) and node.value == _MARK):
        return "whether IPython runs it"
    if isinstance(node, ast.Constant) and node.value in _VARIABLES:
        return f"for Jupyter's `{node.value}`"
    if _is_of_sys(node, _PROMPT):
        return "whether somebody types"
    if not has_argv and _is_of_sys(node, "argv"):
        return "for the words that it was started with"
    if not has_argv and isinstance(node, ast.Call) and _name(node.func) in _PARSING and not node.args + node.keywords:
        return f"for the words that it was started with, by `{_name(node.func)}()`"
    if name in _LOOPS and _owner(node) in ("asyncio", ""):
        return "whether a loop of events runs"
    is_setting = isinstance(node, ast.Subscript) and _name(node.value) == "rcParams" and _text(node.slice) == "backend"
    return "what draws its figures" if is_setting or (name == "get_backend" and _owner(node) in _DRAWING) else ""


def _asked_for(node: ast.AST) -> str:
    """The module of which a node asks whether it is loaded, or nothing."""
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.In | ast.NotIn)
        and _is_loaded(node.comparators[0])
    ):
        return _text(node.left)
    if isinstance(node, ast.Subscript) and _is_loaded(node.value):
        return _text(node.slice)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.args
        and _is_loaded(node.func.value)
    ):
        return _text(node.args[0])
    return ""


def _is_loaded(node: ast.expr) -> bool:
    """`sys.modules`, `sys.modules.keys()` and the like."""
    if isinstance(node, ast.Call):
        inner = node.args[0] if node.args else node.func.value if isinstance(node.func, ast.Attribute) else node.func
        return _is_loaded(inner)
    return _name(node) == "modules"


def _is_of_sys(node: ast.AST, name: str) -> bool:
    """`sys.name`, `hasattr(sys, "name")` and the like."""
    if isinstance(node, ast.Call) and len(node.args) > 1:
        return _name(node.args[0]) == "sys" and _text(node.args[1]) == name
    return isinstance(node, ast.Attribute) and node.attr == name and _name(node.value) == "sys"


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.alias):
        return node.name
    return node.id if isinstance(node, ast.Name) else ""


def _owner(node: ast.AST) -> str:
    """The name of what an attribute is of; nothing for a name by itself."""
    return _name(node.value) or "?" if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
