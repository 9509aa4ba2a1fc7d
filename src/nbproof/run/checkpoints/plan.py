"""What each checkpoint of a notebook will hold, decided before any kernel starts.

A cell tagged `checkpoint` asks for one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import CheckpointRefused, NotebookInvalid
from ...notebook import dataflow, hidden_state, kinds
from ...notebook.code import INJECTED
from ...notebook.contract import TAG as PARAMETERS
from ...notebook.contract import Contract
from ...notebook.dataflow import Binding, Reading, Step
from ...notebook.document import Cell, Document
from ...notebook.syntax import as_python, cell_tree, python_tree

if TYPE_CHECKING:
    from ..pipeline.declared import Loaded

TAG = "checkpoint"
# Libraries that look up the notebook's names in the text of a formula or of a query.
_READS_TEXT = {"duckdb", "formulaic", "linearmodels", "numexpr", "pandasql", "patsy", "polars", "statsmodels"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """Statements of one cell that a resumed run executes again; `number` counts the code cells from 1."""

    source: str
    raw: str
    number: int
    statements: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is kept after one cell: `kinds` maps the names that later cells may read to the kind of their value."""

    cell_id: str
    index: int
    kinds: Mapping[str, str]
    replay: tuple[Replayed, ...]

    @property
    def number(self) -> int:
        """The cell as people count it."""
        return self.index + 1


@dataclass(frozen=True, slots=True)
class _Problem:
    cell: int
    line: int
    found: str
    expected: str
    hint: str

    def __str__(self) -> str:
        return f"cell {self.cell + 1}, line {self.line}: found {self.found}, expected {self.expected}"


def plan_checkpoints(document: Document, contract: Contract) -> tuple[Checkpoint, ...]:
    """Return the checkpoints that `document` asks for, in order.

    Raises `CheckpointRefused`, naming every cell and line, when one could not be restored exactly as it was.
    """
    tagged = [index for index, cell in enumerate(document.cells) if TAG in cell.tags]
    if not tagged:
        return ()
    _check_place(document, contract, tagged)
    trees = _trees(document)
    found: list[Checkpoint] = []
    problems: list[_Problem] = []
    for index in tagged:
        checkpoint, more = _plan(document, contract, trees, index)
        found.append(checkpoint)
        problems.extend(problem for problem in more if problem not in problems)
    if problems:
        problems.sort(key=lambda problem: (problem.cell, problem.line))
        raise CheckpointRefused(document.path, map(str, problems), hint=problems[0].hint)
    return tuple(found)


def plan_all(loaded: Loaded) -> Mapping[str, tuple[Checkpoint, ...]]:
    """The checkpoints of every task; raises `CheckpointRefused` for the first notebook that cannot have its own."""
    return {
        task.name: plan_checkpoints(loaded.documents[task.name], loaded.contracts[task.name])
        for task in loaded.pipeline.tasks
        if loaded.notebooks[task.name].says(TAG)
    }


def _check_place(document: Document, contract: Contract, tagged: list[int]) -> None:
    parameters = next(index for index, cell in enumerate(document.cells) if PARAMETERS in cell.tags)
    for index in tagged:
        cell = document.cells[index]
        if cell.kind != "code" or {"raises-exception", "skip-execution", INJECTED} & {*cell.tags}:
            found = f"the tag `{TAG}` on a cell that is no code or may not run to its end"
            problem = f"cell {index + 1}: found {found}, expected a code cell"
            raise CheckpointRefused(document.path, [problem], hint=f"move the tag `{TAG}`")
        if index <= parameters:
            problem = f"cell {index + 1}: found the tag `{TAG}` above the parameters, expected it below them"
            raise CheckpointRefused(document.path, [problem], hint=f"move the tag `{TAG}`")
    if contract.secrets:
        # What a secret went into, no reader of the code can say for certain.
        names = ", ".join(f"`{name}`" for name in contract.secrets)
        found = f"a checkpoint in a notebook with the secret {names}"
        problem = f"cell {tagged[0] + 1}: found {found}, expected no secrets, for no file may hold one"
        raise CheckpointRefused(
            document.path, [problem], hint="read the secret in a notebook of its own, without checkpoints"
        )


def _trees(document: Document) -> dict[int, ast.Module]:
    """The code cells that run, by their place in the notebook."""
    trees = {}
    for index, cell in enumerate(document.cells):
        if cell.kind == "code" and not {INJECTED, "skip-execution"} & {*cell.tags}:
            try:
                trees[index] = cell_tree(cell.source)
            except SyntaxError as error:
                # A cell that may fail may fail by its syntax.
                if "raises-exception" in cell.tags:
                    continue
                found = f"a syntax error in cell {index + 1} ({cell.id}), line {error.lineno or 1}: {error.msg}"
                raise NotebookInvalid(
                    document.path, found, "code that Python can read", hint=f"jupyter lab {document.path}"
                ) from None
    return trees


def _plan(
    document: Document, contract: Contract, trees: Mapping[int, ast.Module], index: int
) -> tuple[Checkpoint, list[_Problem]]:
    above = {cell: tree for cell, tree in trees.items() if cell <= index}
    below = {cell: tree for cell, tree in trees.items() if cell > index}
    steps = list(dataflow.steps(above))
    imported = hidden_state.aliases(list(trees.values()))
    bound = dataflow.bindings(steps)
    _bind_injected(bound, steps, document)
    abandoned = {cell for cell in below if "raises-exception" in document.cells[cell].tags}
    words = any(name.partition(".")[0] in _READS_TEXT for name in imported.values())
    readings = dataflow.readings(below, bound, abandoned=abandoned, words=words)
    problems = list(_hazards(document, steps, list(dataflow.steps(below)), imported, bound))
    for cell in above:
        if "raises-exception" in document.cells[cell].tags:
            found = "a cell above a checkpoint that may stop anywhere (`raises-exception`)"
            problems.append(
                _Problem(cell, 1, found, "cells that run to their end", "take the tag off, or the checkpoint above")
            )
    stored: dict[str, Reading] = {}
    defined: dict[str, list[Binding]] = {}
    for name, reading in sorted(readings.items()):
        of = {binding.kind for binding in bound[name]}
        if of == {"definition"} and all(_is_plain_statement(binding) for binding in bound[name]):
            defined[name] = bound[name]
        elif of != {"import"}:
            stored[name] = reading
    used_in = {name: reading.cell + 1 for name, reading in readings.items()}
    _add_what_they_are_made_of(defined, bound, used_in)
    available = _always_there(bound)
    for name, places in defined.items():
        for binding in places:
            for line, found in hidden_state.unrepeatable(binding, imported, available):
                problems.append(_Problem(
                    binding.step.cell, line, f"{found}, in `{name}`, which cell {used_in[name]} uses",
                    "a definition that can be made again", "move it to a module, or below the checkpoint",
                ))  # fmt: skip
    every = kinds.planned_kinds(bound, imported, frozenset({*contract.names, "upstream", "product"}))
    for name, reading in stored.items():
        if every[name] is None:
            last = bound[name][-1].step
            problems.append(_Problem(
                last.cell, last.node.lineno,
                f"`{name}`, whose kind the code does not say and which cell {reading.cell + 1} reads",
                f"one of: {', '.join(kinds.KINDS)}",
                f"annotate it, as in `{name}: pandas.DataFrame = …`, or bind it below the checkpoint",
            ))  # fmt: skip
    kept = {name: kind for name in stored if (kind := every[name]) is not None}
    replay = tuple(
        _replayed(document, steps, imported, {binding.step for places in defined.values() for binding in places})
    )
    return Checkpoint(document.cells[index].id, index, kept, replay), problems


def _add_what_they_are_made_of(
    defined: dict[str, list[Binding]], bound: Mapping[str, list[Binding]], used_in: dict[str, int]
) -> None:
    """Add the definitions that others need while they are made again, even where cells below bind the name anew."""
    pending = list(defined)
    while pending:
        name = pending.pop()
        for behind in sorted({read for one in defined[name] for read in dataflow.names_read(one.step.node)}):
            kinds_of = {one.kind for one in bound.get(behind, ())}
            if behind not in defined and kinds_of == {"definition"}:
                defined[behind] = bound[behind]
                used_in.setdefault(behind, used_in[name])
                pending.append(behind)


def _bind_injected(bound: dict[str, list[Binding]], steps: list[Step], document: Document) -> None:
    """`upstream` and `product` are injected even where the parameters cell leaves them out."""
    first = next((step for step in steps if PARAMETERS in document.cells[step.cell].tags), None)
    for name in ("upstream", "product"):
        if name not in bound and first is not None:
            bound[name] = [Binding(name, "variable", first)]


def _hazards(
    document: Document,
    above: list[Step],
    below: list[Step],
    imported: Mapping[str, str],
    bound: Mapping[str, list[Binding]],
) -> Iterator[_Problem]:
    definitions = {name for name, places in bound.items() if any(binding.kind == "definition" for binding in places)}
    everywhere = {*bound, *dataflow.bindings(below)}
    for hazard in hidden_state.above(above, imported, definitions):
        yield _Problem(
            hazard.cell, hazard.line, hazard.found, "nothing above a checkpoint that it cannot restore", hazard.hint
        )
    for hazard in hidden_state.below(below, imported, everywhere):
        yield _Problem(
            hazard.cell, hazard.line, hazard.found, "code below a checkpoint that names what it reads", hazard.hint
        )


def _is_plain_statement(binding: Binding) -> bool:
    return isinstance(binding.step.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign)


def _always_there(bound: Mapping[str, list[Binding]]) -> set[str]:
    """The names that are imports or definitions whatever happens."""
    return {
        name
        for name, places in bound.items()
        if len({one.kind for one in places}) == 1 and places[0].kind != "variable"
    }


def _replayed(
    document: Document, steps: list[Step], imported: Mapping[str, str], defined: set[Step]
) -> Iterator[Replayed]:
    """Imports, settings and what `defined` lists, cell by cell. The rest of a cell is left alone."""
    chosen: dict[int, list[int]] = {}
    for step in steps:
        if (
            isinstance(step.node, ast.Import | ast.ImportFrom)
            or hidden_state.is_setting(step.node, imported)
            or step in defined
        ):
            chosen.setdefault(step.cell, []).append(step.index)
    # What is injected is run as a cell of its own, after the parameters.
    code = [index for index, cell in enumerate(document.cells) if cell.kind == "code" for _ in range(_runs(cell))]
    for cell, statements in sorted(chosen.items()):
        source = document.cells[cell].source
        yield Replayed(_as_run(document.cells[cell]), source, code.index(cell) + 1, tuple(statements))


def _runs(cell: Cell) -> int:
    return 2 if PARAMETERS in cell.tags else 1


def _as_run(cell: Cell) -> str:
    try:
        python_tree(cell.source)
    except SyntaxError:
        return as_python(cell.source)
    return cell.source
