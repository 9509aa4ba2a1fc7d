"""Checks that read the source: contract, syntax, paths, installs, names."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from ...errors import ContractInvalid
from ...notebook import contract as contracts
from ...notebook.dataflow import bindings, names_read, steps
from ...notebook.syntax import cell_tree
from .findings import Finding, Inspected, NotEvaluated

# Folders of one machine; `/tmp` too, which is another one everywhere. `~` is somebody's home.
_ABSOLUTE = re.compile(
    r"(?:/(?:home|Users|root|mnt|media|data|tmp|var|opt|srv|work|workspace|content|scratch|Volumes|dbfs)/[\w.@-]"
    r"|~/[\w.@-]|[A-Za-z]:[\\/](?:[\w.@ -]+[\\/])?[\w.@-]|\\\\[\w.-]+\\[\w$.-]+)"
)
_INSTALL = re.compile(
    r"(?:^|[\s;&|(\[\"',])(?:(?:uv|python[\d.]*\s+-m)\s+)?"
    r"(?:pip[\d.]*|conda|mamba|micromamba|apt|apt-get|brew|npm|poetry|pipenv|easy_install)[\s\"',]+"
    r"(?:-\S+\s+)*(?:install|add|uninstall|remove|upgrade)\b"
)
_BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display", "In", "Out", "exit", "quit", "__file__", "__name__",
                                        "_", "__", "___", "__doc__", "__builtins__"}  # fmt: skip
_BINDING_MAGICS = ("%run", "%load", "%pylab", "%store", "%%capture", "%%bash", "%%script", "%env", "%%sql", "%sql")


_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def contract(found: Inspected) -> Iterator[Finding]:
    """The contract can be read, and each parameter has a default to run with."""
    try:
        declared = contracts.read(found.document)
    except ContractInvalid as error:
        yield Finding(f"{error.found}; expected {error.expected}")
        return
    number, cell = next((n, c) for n, c in found.code() if contracts.TAG in c.tags)
    for parameter in declared.parameters:
        if parameter.is_required:
            yield Finding(f"`{parameter.name}` has no default", cell.id, number, parameter.line)


def syntax(found: Inspected) -> Iterator[Finding]:
    """Every cell is Python as IPython reads it."""
    _only_python(found)
    for number, cell in found.code():
        if "raises-exception" not in cell.tags:
            try:
                cell_tree(cell.source)
            except SyntaxError as error:
                yield Finding(f"{error.msg}", cell.id, number, error.lineno or 1)


def paths(found: Inspected) -> Iterator[Finding]:
    """No text in the code begins as an absolute path."""
    for number, cell in found.code():
        for line, text in _texts(found, cell.source):
            match = _ABSOLUTE.match(text.strip())
            if match:
                yield Finding(f"`{text.strip()[:60]}` is an absolute path", cell.id, number, line)


def installs(found: Inspected) -> Iterator[Finding]:
    """No shell line, magic or call installs a package."""
    for number, cell in found.code():
        for line, text in enumerate(cell.source.splitlines(), start=1):
            said = text.strip()
            # What is neither a shell line nor a call that starts a process only speaks of installing.
            is_shell = said.startswith(("!", "%", "pip ")) or cell.source.lstrip().startswith(
                ("%%bash", "%%sh", "%%script")
            )
            is_call = any(
                word in said for word in ("subprocess", "os.system", "Popen", "check_call", "getoutput", "system(")
            )
            if (is_shell or is_call) and _INSTALL.search(" " + said.lstrip("!%")):
                yield Finding(f"`{said[:60]}` installs", cell.id, number, line)


def names(found: Inspected) -> Iterator[Finding]:
    """What a cell reads is bound in it or above it, at the latest where a function is called below."""
    _only_python(found)
    trees = _trees(found)
    blind = [cell.source for _, cell in found.code() if any(f"\n{m}" in f"\n{cell.source}" for m in _BINDING_MAGICS)]
    if blind or any(_binds_unseen(tree) for tree in trees.values()):
        raise NotEvaluated("a star import, a magic or `exec` binds names that no reader can see")
    cells = dict(found.code())
    all_steps = list(steps(trees))
    everywhere = set(bindings(all_steps))
    known: set[str] = set(_BUILTINS)
    for step in all_steps:
        bound_here = set(bindings([step]))
        # The words of a text that pandas evaluates are most often columns.
        spoken = {node.id for node in ast.walk(step.node) if isinstance(node, ast.Name)}
        for name in sorted((names_read(step.node) & spoken) - known - bound_here):
            # A function may be defined above what it uses; only what is nowhere is missing then.
            if name in everywhere and any(isinstance(node, _LATER) for node in ast.walk(step.node)):
                continue
            cell = cells[step.cell]
            where = "only further down" if name in everywhere else "nowhere"
            yield Finding(f"`{name}` is read, and bound {where}", cell.id, step.cell, step.node.lineno)
        known |= bound_here


def _only_python(found: Inspected) -> None:
    if not found.document.is_python:
        raise NotEvaluated(f"the notebook is in {found.document.language}")


def _trees(found: Inspected) -> dict[int, ast.Module]:
    trees = {}
    for number, cell in found.code():
        try:
            trees[number] = cell_tree(cell.source)
        except SyntaxError:
            raise NotEvaluated(f"cell {number} cannot be read") from None
    return trees


def _binds_unseen(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"exec", "globals"}:
            return True
        # `files = !ls` and `%run` come as calls of the shell.
        if isinstance(node, ast.Delete):
            return True
    return False


def _texts(found: Inspected, source: str) -> Iterator[tuple[int, str]]:
    """The strings of a cell with their lines; the lines themselves where it is no Python."""
    try:
        tree = cell_tree(source) if found.document.is_python else None
    except SyntaxError:
        tree = None
    if tree is None:
        for number, line in enumerate(source.splitlines(), start=1):
            yield from ((number, text) for text in re.findall(r"[\"']([^\"']+)[\"']", line))
        return
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            # A shell line comes as one text; the paths are among its words.
            for word in node.value.split() if "get_ipython" in ast.unparse(tree) else [node.value]:
                yield getattr(node, "lineno", 1), word
