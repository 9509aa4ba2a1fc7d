"""Scripts that a notebook runs by `%run`: among its names, or by themselves, and then their names are handed over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..notebook.dataflow import bindings, steps
from ..notebook.syntax import python_tree

RUN = re.compile(
    r"(?P<among>-i[ \t]+)?(?:(?P<bare>[\w./-]+\.py)|(?P<quote>['\"])(?P<quoted>[\w./ -]+\.py)(?P=quote))[ \t]*(?:#.*)?"
)
# What a script is told by the command line, and what it finds out about where it runs, is another thing in a package.
_ASKS = re.compile(
    r"__file__|\bsys\s*\.\s*(?:argv|path|exit)\b|\bfrom\s+sys\b|\b(?:exit|quit|_exit)\s*\(|\bSystemExit\b|__future__|"
    r"\bget_ipython\b|\b(?:argparse|optparse|getopt|click|typer|fire|docopt|absl)\b|__builtins__|\b__main__\s*\."
)
_BLIND = {"eval", "exec", "globals", "locals", "vars", "dir", "input", "breakpoint", "__import__"}
_NAMES = "_names_of_script"


def among_names(text: str) -> str | None:
    """The text of a script as it runs among the names of its notebook; None where it would find something else."""
    return None if _is_other_in_place(text) else text.rstrip("\n")


def by_itself(name: str, text: str) -> str | None:
    """What runs a script in names of its own and hands them over; None where nobody knows which there will be."""
    if _is_other_in_place(text) or _NAMES in text:
        return None
    tree = python_tree(text)
    if any(isinstance(node, ast.Name) and node.id in _BLIND for node in ast.walk(tree)):
        return None
    certain = set(_certain(tree))
    lines = [f"{_NAMES} = runpy.run_path({name!r}, run_name='__main__')"]
    for bound in bindings(steps({0: tree})):
        if bound.startswith("__"):
            continue
        take = f"{bound} = {_NAMES}[{bound!r}]"
        lines += [take] if bound in certain else [f"if {bound!r} in {_NAMES}:", f"    {take}"]
    return "\n".join([*lines, f"del {_NAMES}"])


def _is_other_in_place(text: str) -> bool:
    try:
        tree = python_tree(text)
    except SyntaxError:
        return True
    has_star = any(
        isinstance(node, ast.ImportFrom) and (node.names[0].name == "*" or node.level) for node in ast.walk(tree)
    )
    return has_star or _ASKS.search(text) is not None


def _certain(tree: ast.Module) -> Iterator[str]:
    """The names that a script which comes to its end has for sure: bound at its top level, and never unbound."""
    gone = {
        target.id for node in ast.walk(tree) if isinstance(node, ast.Delete)
        for target in node.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    gone |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    plain = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Import, ast.ImportFrom, ast.FunctionDef,
             ast.AsyncFunctionDef, ast.ClassDef)  # fmt: skip
    for node in tree.body:
        is_bare = isinstance(node, ast.AnnAssign) and node.value is None
        if isinstance(node, plain) and not is_bare:
            for name in bindings(steps({0: ast.Module([node], [])})):
                if name not in gone:
                    yield name
