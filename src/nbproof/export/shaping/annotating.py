"""Annotations from what was seen: parameters and returns of the sections, and of the notebook's own functions."""

from __future__ import annotations

import ast
import io
import tokenize
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..edits import Edits
from ..watching.called import Called
from ..watching.kinds import ANY, NONE, united
from .following import Origin
from .imports import Imports

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Other decorators may read the annotations of what they are given, and do something else for it.
_DEAF = {
    "property", "staticmethod", "classmethod", "setter", "getter", "deleter", "cached_property", "cache", "lru_cache",
    "wraps", "contextmanager", "abstractmethod", "no_grad", "inference_mode", "final", "override", "vectorize",
}  # fmt: skip
_OF_MAGIC = {
    "__init__": NONE, "__post_init__": NONE, "__str__": "str", "__repr__": "str", "__len__": "int", "__bool__": "bool",
    "__hash__": "int", "__eq__": "bool", "__ne__": "bool", "__contains__": "bool", "__setitem__": NONE,
    "__delitem__": NONE, "__setattr__": NONE, "__exit__": NONE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a function's parameters, as far as they are known, and of what it returns (None: unknown)."""

    takes: Mapping[str, str]
    gives: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a module's functions: the sections by name, and what was heard of those of the notebook.

    `names` are the types of the notebook's names, for functions that are given some of these as parameters.
    """

    sections: Mapping[str, Signature]
    called: Mapping[tuple[int, int], Called]
    names: Mapping[str, str]


def annotated(text: str, origins: Sequence[Origin], facts: Facts) -> str:
    """Write types where the author wrote none; what they are imported for is loaded by type checkers alone."""
    tree = ast.parse(text)
    edits, imports = Edits(text), Imports(tree)
    closing = _Brackets(text)
    for function, owner in _functions(tree):
        if not all(_is_deaf(each) for each in function.decorator_list):
            continue
        known = _known(function, owner, origins, facts)
        for argument, star in _arguments(function, owner):
            if argument.annotation is None:
                kind = imports.spelled(_of_argument(function, argument, known, star))
                assert argument.end_lineno is not None
                assert argument.end_col_offset is not None
                edits.insert(argument.end_lineno, argument.end_col_offset, f": {kind}")
        if function.returns is None:
            line, column = closing.of(function)
            edits.insert(line, column, f" -> {imports.spelled(_of_return(function, known))}")
    return imports.added("\n".join(line for line, _ in edits.done()))


def _functions(tree: ast.Module) -> Iterator[tuple[Function, ast.AST]]:
    """Every function, with what it stands in."""
    for owner in ast.walk(tree):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, _FUNCTIONS):
                yield node, owner


def _is_deaf(decorator: ast.expr) -> bool:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(node, "attr", getattr(node, "id", "")) in _DEAF


def _known(function: Function, owner: ast.AST, origins: Sequence[Origin], facts: Facts) -> Signature:
    if isinstance(owner, ast.Module) and function.name in facts.sections:
        return facts.sections[function.name]
    first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
    at = origins[first - 1] if first <= len(origins) else None
    heard = facts.called.get(at) if at is not None else None
    # What it is given besides its own parameters are names of the notebook.
    needs = {each.arg: facts.names[each.arg] for each in function.args.kwonlyargs if each.arg in facts.names}
    if heard is None or heard.name != function.name:
        return Signature(needs)
    return Signature({**needs, **heard.takes}, heard.gives)


def _arguments(function: Function, owner: ast.AST) -> Iterator[tuple[ast.arg, bool]]:
    """The parameters that an annotation is wanted for: not the instance or the class that a method belongs to."""
    arguments = function.args
    own = [*arguments.posonlyargs, *arguments.args]
    is_static = any(getattr(each, "id", "") == "staticmethod" for each in function.decorator_list)
    if isinstance(owner, ast.ClassDef) and not is_static:
        own = own[1:]
    yield from ((each, False) for each in [*own, *arguments.kwonlyargs])
    yield from ((each, True) for each in (arguments.vararg, arguments.kwarg) if each is not None)


def _of_argument(function: Function, argument: ast.arg, known: Signature, is_star: bool) -> str:
    default = _default(function, argument)
    seen = [known.takes[argument.arg]] if argument.arg in known.takes else []
    kinds = seen + ([kind] if (kind := _of_literal(default)) else [])
    if kinds == [NONE] or not kinds:
        # Nothing was seen of it. Whoever only hands it on can do so with anything.
        return "object" if is_star or _is_handed_on(function, argument.arg) else ANY
    found = united(kinds)
    return "object" if found == ANY and _is_handed_on(function, argument.arg) else found


def _default(function: Function, argument: ast.arg) -> ast.expr | None:
    arguments = function.args
    own = [*arguments.posonlyargs, *arguments.args]
    by_name = dict(zip([each.arg for each in reversed(own)], reversed(arguments.defaults), strict=False))
    by_name |= {
        each.arg: value for each, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if value is not None
    }  # fmt: skip
    return by_name.get(argument.arg)


def _of_literal(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.UnaryOp):
        return _of_literal(node.operand)
    if isinstance(node, ast.Constant):
        return NONE if node.value is None else type(node.value).__name__
    return None


def _is_handed_on(function: Function, name: str) -> bool:
    """Whether a function does no more with a parameter than to print it, or nothing at all."""
    parents = {id(child): node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name:
            parent = parents[id(node)]
            is_printed = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in (
                "print", "str", "repr", "isinstance", "id", "type", "bool"
            )  # fmt: skip
            if not (is_printed or isinstance(parent, ast.FormattedValue)):
                return False
    return True


def _of_return(function: Function, known: Signature) -> str:
    if function.name in _OF_MAGIC and known.gives is None:
        return _OF_MAGIC[function.name]
    own = list(_own(function))
    is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own)
    if is_generator:
        iterator = "AsyncIterator" if isinstance(function, ast.AsyncFunctionDef) else "Iterator"
        return f"collections.abc.{iterator}[{known.gives or ANY}]"
    returns = [node for node in own if isinstance(node, ast.Return)]
    values = [node.value for node in returns if node.value is not None]
    if not values or all(isinstance(value, ast.Constant) and value.value is None for value in values):
        return NONE
    literal = [kind for value in values if (kind := _of_literal(value)) is not None]
    kinds: list[str] = [known.gives] if known.gives else literal
    if not known.gives and len(kinds) < len(values):
        # Nobody called it, so nobody uses what it returns.
        return "object"
    if len(values) < len(returns) or any(isinstance(v, ast.Constant) and v.value is None for v in values) or _may_end(
        function.body
    ):  # fmt: skip
        kinds.append(NONE)
    return united(kinds)


def _own(function: Function) -> Iterator[ast.AST]:
    """What stands in a function itself, and in no function or class within it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            left.extend(ast.iter_child_nodes(node))


def _may_end(body: Sequence[ast.stmt]) -> bool:
    """Whether Python may come to the end of a block and go on behind it, as a type checker sees it."""
    last = body[-1]
    if isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return False
    if isinstance(last, ast.If):
        return not last.orelse or _may_end(last.body) or _may_end(last.orelse)
    if isinstance(last, ast.With | ast.AsyncWith):
        return _may_end(last.body)
    if isinstance(last, ast.While):
        is_endless = isinstance(last.test, ast.Constant) and bool(last.test.value)
        return not is_endless or any(isinstance(node, ast.Break) for node in ast.walk(last))
    if isinstance(last, ast.Try):
        if last.finalbody and not _may_end(last.finalbody):
            return False
        ends = [last.orelse or last.body, *(handler.body for handler in last.handlers)]
        return any(_may_end(block) for block in ends)
    if isinstance(last, ast.Match):
        return True
    return True


class _Brackets:
    """Where the brackets around the parameters of functions close; the text is read once for all of them."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tokens = [
            token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.OP
        ]
        self._starts = [token.start for token in self._tokens]

    def of(self, function: Function) -> tuple[int, int]:
        """The line, and the byte behind the bracket."""
        column = len(self._lines[function.lineno - 1].encode()[: function.col_offset].decode())
        depth = 0
        for token in self._tokens[bisect_left(self._starts, (function.lineno, column)) :]:
            depth += token.string in ("(", "[", "{")
            if token.string in (")", "]", "}"):
                depth -= 1
                if not depth:
                    line, end = token.end
                    return line, len(self._lines[line - 1][:end].encode())
        raise AssertionError("a function without brackets")
