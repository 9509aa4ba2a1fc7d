"""What of a notebook stands for itself, and so at the top of a module: imports, constants, functions and classes.

An import stands there if nothing that a cell does before it could change what it finds. A function that reads names of
the notebook stands there with these names as parameters, if each of them is given a value only once.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...notebook.dataflow import Binding, bindings, names_read, steps
from ..reading import Step
from ..watching.seen import Run
from .scopes import is_only_read, uses
from .settings import Prologue, is_of_python, modules_of, prologue

_IMPORTS = (ast.Import, ast.ImportFrom)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# A cell imports these to say types, and nothing happens when they are loaded.
_FOR_TYPES = {"annotated_types", "datetime", "nbproof.notebook.secrets", "pathlib", "pydantic", "typing",
              "typing_extensions"}  # fmt: skip
_PLACES_OF_MODULES = {"sys.path", "working folder"}


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a cell's plain source, from 1, inclusive."""

    cell: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Import:
    """An import at the top of the module, and the names that it binds there.

    One that only brought types for the parameters is not `is_needed`.
    """

    text: str
    names: tuple[str, ...]
    lines: Lines
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Constant:
    """A name that is given a literal once, and that nobody changes; `copied` is the type of a list, dict or set."""

    name: str
    lines: Lines
    copied: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class; `needs` are the names of the notebook that it takes as parameters besides its own."""

    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    lines: Lines
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at the top of the module, each in the order of the notebook."""

    imports: tuple[Import, ...] = ()
    prologue: Prologue = field(default_factory=lambda: Prologue((), (), frozenset()))
    constants: tuple[Constant, ...] = ()
    definitions: tuple[Definition, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Every name that it binds."""
        return frozenset(
            [name for each in self.imports for name in each.names]
            + [each.name for each in self.constants]
            + [each.name for each in self.definitions]
        )

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """What each function takes besides its own parameters."""
        return {each.name: each.needs for each in self.definitions if each.needs}

    def lines_of(self, cell: int) -> Iterator[Lines]:
        """The lines that leave a cell for the top of the module."""
        every = [each.lines for each in self.imports]
        every += [
            Lines(each.cell, each.node.lineno, each.node.end_lineno or each.node.lineno)
            for each in self.prologue.settings
        ]
        every += [each.lines for each in self.constants] + [each.lines for each in self.definitions]
        yield from (lines for lines in every if lines.cell == cell)


def standing(cells: Sequence[Step], run: Run, *, parameters: Collection[str]) -> Standing:
    """Find what stands for itself. `parameters` are names that the notebook is given."""
    bound = bindings(steps({cell.number: cell.tree for cell in cells}))
    before = _alone(prologue(cells), cells)
    imports = tuple(_imports(cells, run, bound, before))
    imported = {name for each in imports for name in each.names}
    literals = {each.name: each for each in _literals(cells, run, bound, imported) if each.name not in parameters}
    definitions = _definitions(cells, run, bound, imported=imported, literals=literals, parameters=parameters)
    wanted = {name for name in literals if name.isupper()}
    for each in definitions:
        wanted |= names_read(each.node) & literals.keys()
    # A type that is wanted may be made of others.
    made = {name: names_read(bound[name][0].step.node) & literals.keys() for name in literals}
    for name in reversed(list(literals)):
        wanted |= made[name] if name in wanted else set()
    constants = tuple(literals[name] for name in literals if name in wanted)
    return Standing(imports, before, constants, tuple(definitions))


def _alone(found: Prologue, cells: Sequence[Step]) -> Prologue:
    """The prologue, if each of its settings can leave its place."""
    bodies = {cell.number: cell.tree.body for cell in cells}
    is_alone = all(_is_alone(each.node, bodies[each.cell]) for each in found.settings)
    return found if is_alone else Prologue((), (), found.inert - {id(each.node) for each in found.settings})


def _imports(
    cells: Sequence[Step], run: Run, bound: Mapping[str, Sequence[Binding]], before: Prologue
) -> Iterator[Import]:
    """The imports that find the same wherever they stand."""
    seen = {each.cell: each for each in run.cells}
    read = {name for cell in cells for name in names_read(cell.tree)}
    given_parts = {name for cell in cells for name in _given_parts(cell.tree)}
    made: set[str] = set()
    is_disturbed = False
    written: set[str] = set()
    for cell in cells:
        changes = set(seen[cell.number].changes) if cell.number in seen else set()
        # A module that the notebook itself writes is not there before.
        paths = map(Path, seen[cell.number].files_written if cell.number in seen else ())
        written |= {part for path in paths if path.suffix == ".py" for part in (path.stem, *path.parts)}
        changes -= {change for each in before.settings if each.cell == cell.number for change in each.changes}
        for node in cell.tree.body:
            if not isinstance(node, _IMPORTS):
                # Within a cell it is not known which statement made the change, so any but an import may have.
                is_disturbed = is_disturbed or (
                    id(node) not in before.inert and bool(changes & {*_PLACES_OF_MODULES, "environment variables"})
                )
                continue
            names, text = tuple(alias.asname or alias.name.partition(".")[0] for alias in node.names), ast.unparse(node)
            is_plain = "*" not in names and not _is_relative(node) and _is_alone(node, cell.tree.body)
            # Made once, it is made: whatever was disturbed since, to make it again changes nothing.
            is_found = (not is_disturbed or text in made or is_of_python(node)) and not given_parts & set(names)
            if is_found and is_plain and not (modules_of(node) & written) and _agree(names, bound):
                made.add(text)
                is_needed = not _serves_types(node) or any(name in read for name in names)
                yield Import(text, names, Lines(cell.number, node.lineno, node.end_lineno or node.lineno), is_needed)


def _given_parts(tree: ast.Module) -> Iterator[str]:
    """The names of which a part is given a value: `module.level = 3`. Who imports that anew may find it changed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
            yield node.value.id


def _serves_types(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import may be left out where nothing uses it: it brings types, and loading it does nothing else."""
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return all(module in _FOR_TYPES for module in modules)


def _is_relative(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and bool(node.level)


def _agree(names: Sequence[str], bound: Mapping[str, Sequence[Binding]]) -> bool:
    """Whether each name is bound by this import alone, in whatever cells it is repeated."""
    for name in names:
        made = {ast.dump(binding.step.node) if binding.kind == "import" else "" for binding in bound[name]}
        # `import a.b` and `import a.c` both bind `a`, and belong together.
        is_package = all(
            binding.kind == "import" and isinstance(binding.step.node, ast.Import)
            and all(alias.asname is None for alias in binding.step.node.names)
            for binding in bound[name]
        )  # fmt: skip
        if "" in made or (len(made) > 1 and not is_package):
            return False
    return True


def _literals(
    cells: Sequence[Step], run: Run, bound: Mapping[str, Sequence[Binding]], imported: Collection[str]
) -> Iterator[Constant]:
    types = _types(cells, bound, imported)
    changed = {name for cell in run.cells for name in (*cell.mutates, *cell.deletes)}
    shared = {name for group in run.together for name in group}
    for cell in cells:
        for node in cell.tree.body:
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
                continue
            name = node.targets[0].id
            is_once = len(bound[name]) == 1 and name not in changed
            is_type = isinstance(node.value, ast.Name | ast.Subscript) and _is_alias(node.value, types)
            # Nobody can change a type, whoever else has it.
            if is_once and (is_type or name not in shared) and _is_alone(node, cell.tree.body):
                types |= {name} if is_type else set()
                copied = "" if is_type else _kind_of_literal(node.value)
                # What runs with other values of the parameters may change what this run did not.
                if copied == "" or (copied and all(is_only_read(name, each.tree) for each in cells)):
                    yield Constant(name, Lines(cell.number, node.lineno, node.end_lineno or node.lineno), copied)


def _is_alias(node: ast.expr, known: Collection[str]) -> bool:
    """Whether it is another name for a type: `Dates = set`, or `Row = tuple[Date, int]` with known names in it."""
    if isinstance(node, ast.Name):
        return node.id in known
    if isinstance(node, ast.Subscript):
        return _is_alias(node.value, known) and _is_alias(node.slice, known)
    if isinstance(node, ast.Tuple | ast.List):
        return all(_is_alias(part, known) for part in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_alias(node.left, known) and _is_alias(node.right, known)
    return isinstance(node, ast.Constant) and (node.value is None or node.value is ...)


def _types(cells: Sequence[Step], bound: Mapping[str, Sequence[Binding]], imported: Collection[str]) -> set[str]:
    """Names of types that mean the same everywhere: Python's own, and those of `typing`."""
    found = {name for name, value in vars(builtins).items() if isinstance(value, type)}
    for cell in cells:
        for node in cell.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module in ("typing", "collections.abc"):
                found |= {name for alias in node.names if (name := alias.asname or alias.name) in imported}
    return {name for name in found if all(each.kind == "import" for each in bound.get(name, ()))}


def _kind_of_literal(node: ast.expr) -> str | None:
    """Empty for a literal that nobody can change, the type that copies one that holds only such; None for all else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list | dict | set):
        return "" if _is_fixed(value) else None
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return type(value).__name__ if all(map(_is_fixed, parts)) else None


def _is_fixed(value: object) -> bool:
    return all(map(_is_fixed, value)) if isinstance(value, tuple) else not isinstance(value, list | dict | set)


def _definitions(
    cells: Sequence[Step],
    run: Run,
    bound: Mapping[str, Sequence[Binding]],
    *,
    imported: Collection[str],
    literals: Collection[str],
    parameters: Collection[str],
) -> list[Definition]:
    found: dict[str, Definition] = {}
    # At the top of a module it would be made once, and each run would find what the one before has left in it.
    changed = {name for cell in run.cells for name in cell.mutates}
    for cell in cells:
        for node in cell.tree.body:
            if (
                isinstance(node, _DEFINITIONS)
                and len(bound[node.name]) == 1
                and node.name not in changed
                and not any("cache" in ast.unparse(decorator) for decorator in node.decorator_list)
                and node.name not in parameters
                and _is_alone(node, cell.tree.body)
                and not any(isinstance(inner, ast.Global | ast.Nonlocal) for inner in ast.walk(node))
            ):
                found[node.name] = Definition(node.name, node, _with_words_above(node, cell))
    free = {name: names_read(each.node) - {name} for name, each in found.items()}
    # A parameter that is given another value later is as any name that has two.
    given = {name for name, made in bound.items() if len(made) == 1 and name not in parameters}
    given |= {name for name in parameters if name not in bound}
    while True:
        needs = _needs(found, free, imported=imported, literals=literals, own={*bound, *parameters})
        needy = {name for name, wanted in needs.items() if wanted}
        wrong = {
            name
            for name, each in found.items()
            if _does_something(each.node, found)
            or any(names_read(part) & needy for part in _outside(each.node))
            or _is_given_by_keyword(name, needs[name], cells)
            or not _may_stand(each, free[name], needs[name], given, bound, parameters, {*imported, *literals, *found})
            or not _is_used_well(name, needs[name], cells, bound, parameters)
        }
        if not wrong:
            return [
                Definition(each.name, each.node, each.lines, tuple(sorted(needs[name]))) for name, each in found.items()
            ]
        for name in wrong:
            del found[name]


def _needs(
    found: Mapping[str, Definition],
    free: Mapping[str, set[str]],
    *,
    imported: Collection[str],
    literals: Collection[str],
    own: Collection[str],
) -> dict[str, set[str]]:
    """What each definition must be given: what it reads of the notebook, and what those need that it calls.

    A name that the notebook has as its `own` is none of Python's, though it may be called like one.
    """
    needs = {
        name: {
            read for read in free[name]
            if read not in imported and read not in literals and read not in found
            and (read in own or not hasattr(builtins, read))
        }
        for name in found
    }  # fmt: skip
    while True:
        grown = {
            name: held.union(*(needs[other] for other in free[name] if other in found)) for name, held in needs.items()
        }
        if grown == needs:
            return needs
        needs = grown


def _may_stand(
    each: Definition,
    reads: set[str],
    needs: set[str],
    given: Collection[str],
    bound: Mapping[str, Sequence[Binding]],
    parameters: Collection[str],
    known: Collection[str],
) -> bool:
    if any(read not in known and read not in bound and read not in parameters and not hasattr(builtins, read)
           for read in reads):  # fmt: skip
        return False
    if needs and isinstance(each.node, ast.ClassDef):
        return False
    if not isinstance(each.node, ast.ClassDef):
        own = {one.arg for one in ast.walk(each.node.args) if isinstance(one, ast.arg)}
        if own & needs:
            return False
    # What a decorator makes of a function may not take what the function needs.
    if needs and each.node.decorator_list:
        return False
    if any(names_read(part) & needs for part in _outside(each.node)):
        return False
    return all(name in given for name in needs)


def _outside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[ast.expr]:
    """What is evaluated where it is defined, and so must know nothing of the notebook: decorators and defaults."""
    yield from node.decorator_list
    if isinstance(node, ast.ClassDef):
        yield from node.bases
        yield from (keyword.value for keyword in node.keywords)
    else:
        yield from node.args.defaults
        yield from (one for one in node.args.kw_defaults if one is not None)


def _does_something(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, found: Collection[str]) -> bool:
    """Whether it may do more than to define something: at the top of a module it would do that once, and too early."""
    if not isinstance(node, ast.ClassDef):
        defaults = [*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
        return any(isinstance(inner, ast.Call) for default in defaults for inner in ast.walk(default))
    for part in node.body:
        if isinstance(part, _DEFINITIONS):
            if _does_something(part, found):
                return True
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            called = {inner.func.id for inner in ast.walk(part)
                      if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)}  # fmt: skip
            if called & {*found, "print", "next", "input", "open"}:
                return True
        elif not isinstance(part, ast.Pass) and not (
            isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        ):
            return True
    return False


def _is_given_by_keyword(name: str, needs: set[str], cells: Sequence[Step]) -> bool:
    """Whether some call of it gives a keyword that is called like one of its needs."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        and any(keyword.arg in needs for keyword in node.keywords)
        for cell in cells for node in ast.walk(cell.tree)
    )  # fmt: skip


def _is_used_well(
    name: str,
    needs: set[str],
    cells: Sequence[Step],
    bound: Mapping[str, Sequence[Binding]],
    parameters: Collection[str],
) -> bool:
    """Whether everywhere that the function is used, what it needs is there under its own name."""
    if not needs:
        return True
    last = max((bound[need][0].step.cell for need in needs if need not in parameters), default=-1)
    for cell in cells:
        for use in uses(cell.tree):
            if use.node.id == name and (use.hidden & needs or cell.number < last):
                return False
    return True


def _with_words_above(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, cell: Step) -> Lines:
    """The lines of a definition, its decorators, and the comment right above it."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = cell.source.split("\n")
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return Lines(cell.number, first, node.end_lineno or node.lineno)


def _is_alone(node: ast.stmt, body: Sequence[ast.stmt]) -> bool:
    """Whether no other statement shares a line with it."""
    last = node.end_lineno or node.lineno
    return not any(
        other is not node and other.lineno <= last and (other.end_lineno or 0) >= node.lineno for other in body
    )
