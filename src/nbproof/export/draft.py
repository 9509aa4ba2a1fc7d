"""A draft of a package, with the proof that it gives what its notebook gives."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import NotExported, NotWatched, ParameterInvalid
from ..notebook import document as documents
from ..notebook.dataflow import bindings, steps
from ..notebook.shapes import as_json
from .equivalence.compare import Equivalence, Roots, compare
from .reading import Reading, read
from .shaping.package import Shape, Shaped, shaped
from .shaping.parameters import says_its_defaults, sets
from .watching.executor import CellCode
from .watching.seen import Run
from .watching.watch import carried_out, watch

NAME = "draft"
# Cells of a notebook are counted from 1.
_INJECTED = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """The modules of a package, what was read and seen of its notebook, and the comparison that holds.

    `first` and `second` are two runs of the notebook, in fresh processes, with `parameters` where any were asked for.
    """

    reading: Reading
    first: Run
    second: Run
    shaped: Shaped
    equivalence: Equivalence
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, str]:
        """The modules, by their paths in the package."""
        return self.shaped.modules

    @property
    def shape(self) -> Shape:
        """Which of the shapes was proven equal."""
        return self.shaped.shape


def draft(notebook: Path, *, parameters: Mapping[str, Any] | None = None, timeout_s: float | None = None) -> Draft:
    """Make a package of a notebook, in the most pleasant shape that is proven equal.

    The notebook runs twice, and each draft once, in its own folder; with `parameters`, all of them with these values.
    Raises `NotExported` with every reason, and `ParameterInvalid` for values that the notebook does not take.
    """
    document = documents.read(notebook)
    reading = read(document)
    if reading.refusals:
        raise NotExported(notebook, [str(refusal) for refusal in reading.refusals])
    folder = notebook.resolve().parent
    asked = dict(parameters or {})
    injected = injection(reading, asked)
    first, second = (watched(reading, folder, injected=injected, timeout_s=timeout_s) for _ in range(2))
    ids = {step.number: step.id for step in reading.steps}
    reasons = []
    shapes: tuple[Shape, ...] = ("sections", "one function")
    for shape in shapes:
        made = shaped(reading, first, shape=shape)
        try:
            left = run_files(made.modules, folder, parameters=asked, timeout_s=timeout_s)
        except NotWatched as error:
            reasons.append(f"as {shape}: {error.reason}")
            continue
        equivalence = compare(first, second, left, ids, Roots(folder, folder, folder))
        if equivalence.holds:
            return Draft(reading, first, second, made, equivalence, asked)
        reasons.append(f"as {shape}: {_told(equivalence)}")
    raise NotExported(notebook, reasons)


def run_files(
    made: Mapping[str, str],
    folder: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
) -> Mapping[str, Any]:
    """Run a draft in `folder`, in a fresh process; raises `NotWatched` when it does not come to its end."""
    with tempfile.TemporaryDirectory(prefix="nbproof-draft-") as place:
        package = Path(place) / NAME
        for name, text in made.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_text(text, encoding="utf-8")
        values = as_json(dict(parameters or {}))
        job = {"package": NAME, "package_parent": place, "folder": str(folder), "parameters": values}
        return carried_out("nbproof.export.equivalence", job, timeout_s=timeout_s)


def injection(reading: Reading, parameters: Mapping[str, Any]) -> str:
    """The source of the cell that gives a notebook other values; empty where it runs as it stands.

    Raises `ParameterInvalid` for values that the notebook does not take.
    """
    contract = reading.contract
    if contract is None:
        if parameters:
            problems = [f"unknown parameter `{name}`" for name in parameters]
            raise ParameterInvalid("the call", problems, hint="declare it in a cell tagged `parameters`")
        return ""
    plumbing = {name: parameters[name] for name in ("upstream", "product") if name in parameters}
    unknown = [name for name in plumbing if not sets(reading, name)]
    own = {name: value for name, value in parameters.items() if name not in plumbing or name in unknown}
    contract.validate(own, where="the call")
    if not parameters and says_its_defaults(reading):
        return ""
    return contract.injected_source(own, upstream=plumbing.get("upstream"), product=plumbing.get("product"))


def watched(reading: Reading, folder: Path, *, injected: str = "", timeout_s: float | None = None) -> Run:
    """Watch a notebook run, with `injected` right after its parameters cell; raises `NotExported` where it fails."""
    cells: list[CellCode] = []
    for step in reading.steps:
        cells.append(CellCode(step.number, step.source, step.is_silenced))
        if injected and step is reading.parameters_cell:
            cells.append(CellCode(_INJECTED, injected))
    run = watch(cells, folder, timeout_s=timeout_s)
    if run.error is not None:
        raise NotExported(reading.document.path, [f"cell {run.error.cell} fails: {run.error.error}"])
    imported = only_imported(reading, run)
    return replace(
        run,
        cells=tuple(cell for cell in run.cells if cell.cell != _INJECTED),
        values={name: value for name, value in run.values.items() if name not in imported},
    )


def only_imported(reading: Reading, run: Run) -> frozenset[str]:
    """The names of a run that imports alone have brought: they are no results."""
    bound = bindings(steps({step.number: step.tree for step in reading.steps}))
    found = {name for name, made in bound.items() if all(binding.kind == "import" for binding in made)}
    # A star brings names that no statement says.
    starred = {step.number for step in reading.steps if has_star(step.tree)}
    found |= {name for cell in run.cells if cell.cell in starred for name in cell.binds if name not in bound}
    return frozenset(found)


def has_star(tree: ast.Module) -> bool:
    """Whether it imports whatever a module has."""
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def _told(equivalence: Equivalence) -> str:
    wrong = equivalence.wrong
    first = wrong[0]
    if first.what == "error":
        return f"its run fails: {first.package}"
    where = f"first the {first.what} `{first.name}`: {first.notebook[:80]} in the notebook, {first.package[:80]} in it"
    return f"{len(wrong)} of {len(equivalence.rows)} differ, {where}"
