"""Which names of a notebook later cells may read, and how those names came to be; nothing is executed.

Wherever the code does not say for certain, a name counts as read: one name too many costs a file, one too few a result.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind = Literal["import", "definition", "variable"]
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = (ast.Import, ast.ImportFrom)
_BINDERS = (ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, *_IMPORTS)
_QUERIES = {"query", "eval"}
_AFTER_AT = re.compile(r"@\s*([A-Za-z_]\w*)")
_WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Step:
    """One top-level statement: the `index`-th of the cell `cell` (both counted from 0)."""

    cell: int
    index: int
    node: ast.stmt


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a name gets its value; a `variable` is what is neither imported nor defined at the top level."""

    name: str
    kind: Kind
    step: Step


@dataclass(frozen=True, slots=True)
class Reading:
    """The first place, below a cell, that may read a name bound above it."""

    name: str
    cell: int
    line: int


def steps(trees: Mapping[int, ast.Module]) -> Iterator[Step]:
    """The top-level statements of some cells, in order."""
    for cell in sorted(trees):
        for index, node in enumerate(trees[cell].body):
            yield Step(cell, index, node)


def bindings(above: Iterable[Step]) -> dict[str, list[Binding]]:
    """Every place among `above` that binds a name of the notebook, by name and in order."""
    found: dict[str, list[Binding]] = {}
    for step in above:
        kind, own = _kind(step.node), getattr(step.node, "name", None)
        for name in _bound(step.node):
            # A default or a decorator of a definition may bind a name of its own.
            is_variable = own is not None and name != own
            found.setdefault(name, []).append(Binding(name, "variable" if is_variable else kind, step))
        # A function that says `global x` binds `x` when it is called, and nobody knows when that is.
        for name in sorted(_global_writes(step.node)):
            found.setdefault(name, []).append(Binding(name, "variable", step))
    return found


def readings(
    below: Mapping[int, ast.Module],
    bound: Mapping[str, Sequence[Binding]],
    *,
    abandoned: Collection[int] = (),
    words: bool = False,
) -> dict[str, Reading]:
    """The names in `bound` that the cells `below` may read before they bind them anew.

    A definition counts with all that its body reads, and so on, for it reads when it is called. The cells `abandoned`
    may stop anywhere, so what they bind counts as not bound. With `words` every word in a text counts as read, for
    libraries that look names up in the text of a formula or of SQL.
    """
    reader = _Reader(bound, words)
    killed: frozenset[str] = frozenset()
    for cell in sorted(below):
        reader.cell = cell
        after = reader.read_block(below[cell].body, killed)
        killed = killed if cell in abandoned else after
    return reader.found


def names_read(node: ast.AST) -> set[str]:
    """The names of the notebook that `node` may read, now or when a function in it is called later."""
    return {read.id for read in _reads(node, frozenset())}


def names_read_now(node: ast.stmt) -> set[str]:
    """The names that a statement may read when it runs, before it has certainly bound them itself.

    What the body of a function reads, it reads when it is called; that is left out where the statement defines it.
    """
    later = _parts_at_definition(node)
    if later is not None:
        return {
            name
            for part in later
            for name in (names_read_now(part) if isinstance(part, ast.stmt) else names_read(part))
        }
    reader = _Reader(dict.fromkeys(names_read(node), ()), words=False)
    reader.read_block([node], frozenset())
    return set(reader.found)


def bound_names(node: ast.AST) -> set[str]:
    """The names that running `node` may bind or unbind in the scope it stands in."""
    return set(_bound(node))


def certainly_bound(node: ast.stmt) -> frozenset[str]:
    """The names that a statement has bound once it has run to its end, whatever the values were."""
    return _Reader({}, words=False).read_block([node], frozenset())


def global_writes(node: ast.AST) -> set[str]:
    """The names that functions or classes inside `node` declare `global` and bind."""
    return _global_writes(node)


def is_constant(node: ast.AST | None) -> bool:
    """Whether evaluating `node` twice gives the same immutable value, whatever else has happened."""
    if node is None or isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Tuple):
        return all(is_constant(item) for item in node.elts)
    if isinstance(node, ast.UnaryOp):
        return is_constant(node.operand)
    return isinstance(node, ast.BinOp) and is_constant(node.left) and is_constant(node.right)


def root(node: ast.AST) -> ast.AST:
    """What `a.b[0].c` hangs on: `a`."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node


class _Reader:
    """A walk along the cells below, which knows what they have certainly bound so far."""

    def __init__(self, bound: Mapping[str, Sequence[Binding]], words: bool) -> None:
        self.bound, self.words, self.cell = bound, words, 0
        self.found: dict[str, Reading] = {}

    def read_block(self, block: Iterable[ast.stmt], killed: frozenset[str]) -> frozenset[str]:
        """Read statements that run one after another; return what is certainly bound when they have run."""
        for statement in block:
            killed = self._read_statement(statement, killed)
        return killed

    def _read_statement(self, node: ast.stmt, killed: frozenset[str]) -> frozenset[str]:
        if isinstance(node, ast.If):
            self._read(node.test, killed)
            return self.read_block(node.body, killed) & self.read_block(node.orelse, killed)
        if isinstance(node, ast.For | ast.AsyncFor):
            self._read(node.iter, killed)
            self._read(node.target, killed)
            # The body may run never, so what it binds is bound inside it alone.
            self.read_block(node.body, killed | _targets(node.target))
            self.read_block(node.orelse, killed)
            return killed
        if isinstance(node, ast.While):
            self._read(node.test, killed)
            self.read_block([*node.body, *node.orelse], killed)
            self.read_block(node.orelse, killed)
            return killed
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._read(item, killed)
                killed |= _targets(item.optional_vars) if item.optional_vars else frozenset()
            # A context may swallow an exception, and then its body stopped anywhere.
            self.read_block(node.body, killed)
            return killed
        if isinstance(node, ast.Try | ast.TryStar):
            self.read_block(node.body, killed)
            for statement in (*node.orelse, *node.finalbody):
                self._read(statement, killed)
            for handler in node.handlers:
                self._read(handler.type, killed)
                # The name of the exception is the handler's own, whatever had it before.
                own = killed | {handler.name} if handler.name else killed
                for statement in handler.body:
                    self._read(statement, own)
            return killed
        if isinstance(node, ast.Match):
            self._read(node, killed)
            return killed
        self._read(node, killed)
        if isinstance(node, _BINDERS):
            without_value = isinstance(node, ast.AnnAssign) and node.value is None
            return killed if without_value else killed | _certain(node)
        if isinstance(node, ast.Delete):
            return killed - {target.id for target in node.targets if isinstance(target, ast.Name)}
        return killed

    def _read(self, node: ast.AST | None, killed: frozenset[str]) -> None:
        if node is None:
            return
        for read in _reads(node, frozenset()):
            if read.id not in killed:
                self._note(read.id, read.lineno, killed)
        if self.words:
            for text in ast.walk(node):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    for word in _WORD.findall(text.value):
                        self._note(word, text.lineno, frozenset())

    def _note(self, name: str, line: int, killed: frozenset[str]) -> None:
        if name in self.found or name not in self.bound:
            return
        self.found[name] = Reading(name, self.cell, line)
        for binding in self.bound[name]:
            if binding.kind == "definition":
                for behind in names_read(binding.step.node) - killed:
                    self._note(behind, line, killed)


def _kind(node: ast.stmt) -> Kind:
    if isinstance(node, _IMPORTS):
        return "import"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return "definition"
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return "definition" if all(isinstance(target, ast.Name) for target in node.targets) else "variable"
    return "variable"


def _certain(node: ast.stmt) -> frozenset[str]:
    """What a simple statement has bound once it has run, whatever its values were."""
    if isinstance(node, ast.Assign):
        return frozenset[str]().union(*(_targets(target) for target in node.targets))
    if isinstance(node, ast.AnnAssign):
        return _targets(node.target)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return frozenset({node.name})
    return frozenset(_bound(node))


def _targets(node: ast.AST) -> frozenset[str]:
    """The names that an assignment to `node` binds; `a[0]` and `a.b` bind none."""
    if isinstance(node, ast.Name):
        return frozenset({node.id})
    if isinstance(node, ast.Tuple | ast.List):
        return frozenset[str]().union(*(_targets(item) for item in node.elts))
    return _targets(node.value) if isinstance(node, ast.Starred) else frozenset()


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that running `node` may bind or unbind in the scope it stands in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        if isinstance(node, ast.ClassDef):
            outside = [*node.bases, *(one.value for one in node.keywords)]
        else:
            outside = _at_definition(node.args)
        for part in (*node.decorator_list, *outside):
            yield from _bound(part)
        return
    if isinstance(node, ast.Lambda):
        for part in _at_definition(node.args):
            yield from _bound(part)
        return
    if isinstance(node, _COMPREHENSIONS):
        # Only a walrus reaches out of a comprehension.
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                yield inner.target.id
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.id
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _parts_at_definition(node: ast.stmt) -> list[ast.AST] | None:
    """What of a definition is evaluated where it stands; None for what is no definition."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, *_at_definition(node.args), *([node.returns] if node.returns else [])]
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(one.value for one in node.keywords), *node.body]
    is_named = isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets)
    if is_named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return list(_at_definition(node.value.args))
    return None


def _at_definition(arguments: ast.arguments) -> list[ast.expr]:
    """What is evaluated when a function is defined, annotations included."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    annotations = [one.annotation for one in every if one is not None and one.annotation is not None]
    return [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None), *annotations]


def _global_writes(node: ast.AST) -> set[str]:
    """The names that functions or classes inside `node` declare `global` and bind."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            declared = _declared(inner.body, ast.Global)
            found |= declared & {name for part in inner.body for name in _bound(part)}
    return found


def _declared(body: Iterable[ast.AST], kind: type[ast.Global | ast.Nonlocal]) -> set[str]:
    """The names declared `global` or `nonlocal` in one scope."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, kind):
            found.update(node.names)
        elif not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            found |= _declared(ast.iter_child_nodes(node), kind)
    return found


def _reads(node: ast.AST, hidden: frozenset[str]) -> Iterator[ast.Name]:
    """The names, other than those `hidden` by the functions around, that `node` reads or deletes."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Store) and node.id not in hidden:
            yield node
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name) and node.target.id not in hidden:
            yield node.target
        yield from _reads(node.target, hidden)
        yield from _reads(node.value, hidden)
    elif isinstance(node, _FUNCTIONS):
        yield from _function_reads(node, hidden)
    elif isinstance(node, _COMPREHENSIONS):
        yield from _comprehension_reads(node, hidden)
    else:
        yield from _text_reads(node)
        # A class body that binds a name looks elsewhere for it in the notebook, past the functions around.
        own = {name for part in node.body for name in _bound(part)} if isinstance(node, ast.ClassDef) else set()
        for child in ast.iter_child_nodes(node):
            yield from _reads(child, hidden - own)


def _text_reads(node: ast.AST) -> Iterator[ast.Name]:
    """The names in the text of `frame.query("a > @limit")` and `frame.eval("a + @limit")`, which pandas looks up."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _QUERIES:
        pattern = _AFTER_AT if node.func.attr == "query" else _WORD
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                yield from (_named(name, node) for name in pattern.findall(inner.value))


def _named(name: str, node: ast.expr) -> ast.Name:
    return ast.Name(name, ast.Load(), lineno=node.lineno, col_offset=node.col_offset)


def _function_reads(node: _Function, hidden: frozenset[str]) -> Iterator[ast.Name]:
    arguments = node.args
    outside: list[ast.AST] = list(_at_definition(arguments))
    if not isinstance(node, ast.Lambda):
        outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
    for part in outside:
        yield from _reads(part, hidden)
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    own = {one.arg for one in every if one is not None} | {name for part in body for name in _bound(part)}
    of_notebook = _declared(body, ast.Global)
    inside = (hidden | own - _declared(body, ast.Nonlocal)) - of_notebook
    for part in body:
        yield from _reads(part, inside)


def _comprehension_reads(node: _Comprehension, hidden: frozenset[str]) -> Iterator[ast.Name]:
    # The first iterable is evaluated outside.
    yield from _reads(node.generators[0].iter, hidden)
    inside = hidden.union(*(_targets(generator.target) for generator in node.generators))
    for number, generator in enumerate(node.generators):
        for part in (generator.target, *([generator.iter] if number else []), *generator.ifs):
            yield from _reads(part, inside)
    for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
        yield from _reads(part, inside)
