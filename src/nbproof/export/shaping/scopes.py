"""Where a name means the notebook's own, and where a function around it has made it another."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_READING_METHODS = {"copy", "count", "get", "index", "items", "keys", "union", "values"}
_READING_CALLS = {"all", "any", "dict", "enumerate", "frozenset", "len", "list", "max", "min", "print", "range", "set",
                  "sorted", "str", "sum", "tuple", "zip"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """A name where it is read: the node, what it hangs in, and the names that functions around it hide."""

    node: ast.Name
    parent: ast.AST
    hidden: frozenset[str]


def uses(tree: ast.AST) -> Iterator[Use]:
    """Every name that is read and means one of the notebook's, with what the scopes around it bind themselves."""
    yield from _uses(tree, tree, frozenset())


def is_only_read(name: str, tree: ast.AST) -> bool:
    """Whether a list, dict or set of that name is nowhere given to anybody who could change it."""
    above = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return all(
        _only_reads(use, above[id(use)], above)
        for use in ast.walk(tree)
        if isinstance(use, ast.Name) and use.id == name and not isinstance(use.ctx, ast.Store)
    )


def _only_reads(use: ast.expr, parent: ast.AST, above: Mapping[int, ast.AST]) -> bool:
    if isinstance(parent, ast.Subscript):
        return parent.value is use and isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        call = above[id(parent)]
        return parent.attr in _READING_METHODS and isinstance(call, ast.Call) and call.func is parent
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id in _READING_CALLS and use in parent.args
    if isinstance(parent, ast.For | ast.AsyncFor | ast.comprehension):
        return parent.iter is use
    return isinstance(parent, ast.Compare | ast.Starred | ast.FormattedValue | ast.UnaryOp | ast.BinOp)


def _uses(node: ast.AST, parent: ast.AST, hidden: frozenset[str]) -> Iterator[Use]:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in hidden:
            yield Use(node, parent, hidden)
        return
    if isinstance(node, _FUNCTIONS):
        yield from _in_function(node, hidden)
        return
    if isinstance(node, _COMPREHENSIONS):
        yield from _in_comprehension(node, hidden)
        return
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, node, hidden)


def _in_function(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, hidden: frozenset[str]) -> Iterator[Use]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    outside: list[ast.AST] = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    outside += [one.annotation for one in every if one is not None and one.annotation is not None]
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    if not isinstance(node, ast.Lambda):
        outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
    for part in outside:
        yield from _uses(part, node, hidden)
    own = {one.arg for one in every if one is not None}
    declared: set[str] = set()
    for part in body:
        for inner in _same_scope(part):
            if isinstance(inner, ast.Global | ast.Nonlocal):
                declared.update(inner.names)
            else:
                own |= _bound_by(inner)
    for part in body:
        yield from _uses(part, node, (hidden | own) - declared)


def _in_comprehension(
    node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, hidden: frozenset[str]
) -> Iterator[Use]:
    yield from _uses(node.generators[0].iter, node, hidden)
    own = {
        inner.id
        for generator in node.generators
        for inner in ast.walk(generator.target)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }
    inside = hidden | own
    for at, generator in enumerate(node.generators):
        for part in (generator.target, *([generator.iter] if at else []), *generator.ifs):
            yield from _uses(part, node, inside)
    for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
        yield from _uses(part, node, inside)


def passes_over(tree: ast.AST, above: frozenset[str] = frozenset()) -> bool:
    """Whether a function means a name of the notebook by `global` that a function around it has of its own.

    What stands within a function cannot say so: there `nonlocal` means the nearest.
    """
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if passes_over(node, above):
                return True
            continue
        parts = [inner for part in node.body for inner in _same_scope(part)]
        declared = {name for part in parts if isinstance(part, ast.Global) for name in part.names}
        if declared & above:
            return True
        own = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        own = own.union(*(_bound_by(part) for part in parts))
        if passes_over(node, above | (own - declared)):
            return True
    return False


def _same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is in it, but not what functions and classes in it do inside."""
    yield node
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return
    for child in ast.iter_child_nodes(node):
        yield from _same_scope(child)


def _bound_by(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        return {node.id}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return {node.name}
    if isinstance(node, ast.MatchMapping) and node.rest:
        return {node.rest}
    return set()
