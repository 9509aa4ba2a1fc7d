"""A draft of a package, with the proof that it gives what its notebook gives."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotExported, NotWatched
from ..notebook import document as documents
from ..notebook.document import Document
from .equivalence.compare import Compared, Equivalence, compare
from .reading import Reading, read
from .shaping.package import Shape, Shaped, shaped
from .watching.executor import CellCode
from .watching.seen import Run
from .watching.watch import carried_out, watch

NAME = "draft"


@dataclass(frozen=True, slots=True)
class Draft:
    """The modules of a package, what was read and seen of its notebook, and the comparison that holds.

    `first` and `second` are two runs of the notebook, in fresh processes.
    """

    reading: Reading
    first: Run
    second: Run
    shaped: Shaped
    equivalence: Equivalence

    @property
    def files(self) -> Mapping[str, str]:
        """The modules, by their paths in the package."""
        return self.shaped.modules

    @property
    def shape(self) -> Shape:
        """Which of the shapes was proven equal."""
        return self.shaped.shape


def draft(notebook: Path, *, timeout_s: float | None = None) -> Draft:
    """Make a package of a notebook, in the most pleasant shape that is proven equal.

    The notebook runs twice, and each draft once, in its own folder. Raises `NotExported` with every reason.
    """
    document = documents.read(notebook)
    reading = read(document)
    if reading.refusals:
        raise NotExported(notebook, [str(refusal) for refusal in reading.refusals])
    folder = notebook.resolve().parent
    first, second = (_watched(document, reading, folder, timeout_s) for _ in range(2))
    ids = {step.number: step.id for step in reading.steps}
    reasons = []
    shapes: tuple[Shape, ...] = ("sections", "one function")
    for shape in shapes:
        made = shaped(reading, first, shape=shape)
        try:
            left = run_files(made.modules, folder, timeout_s=timeout_s)
        except NotWatched as error:
            reasons.append(f"as {shape}: {error.reason}")
            continue
        equivalence = compare(first, second, left, ids)
        if equivalence.holds:
            return Draft(reading, first, second, made, equivalence)
        reasons.append(f"as {shape}: {_told(equivalence)}")
    raise NotExported(notebook, reasons)


def run_files(made: Mapping[str, str], folder: Path, *, timeout_s: float | None = None) -> Mapping[str, Any]:
    """Run a draft in `folder`, in a fresh process; raises `NotWatched` when it does not come to its end."""
    with tempfile.TemporaryDirectory(prefix="nbproof-draft-") as place:
        package = Path(place) / NAME
        package.mkdir()
        for name, text in made.items():
            (package / name).write_text(text, encoding="utf-8")
        job = {"package": NAME, "package_parent": place, "folder": str(folder), "parameters": {}}
        return carried_out("nbproof.export.equivalence", job, timeout_s=timeout_s)


def _watched(document: Document, reading: Reading, folder: Path, timeout_s: float | None) -> Run:
    cells = [CellCode(step.number, step.source, step.is_silenced) for step in reading.steps]
    run = watch(cells, folder, timeout_s=timeout_s)
    if run.error is not None:
        raise NotExported(document.path, [f"cell {run.error.cell} fails: {run.error.error}"])
    return run


def _told(equivalence: Equivalence) -> str:
    wrong: list[Compared] = [row for row in equivalence.rows if row.verdict in ("differs", "missing")]
    first = wrong[0]
    return f"{len(wrong)} of {len(equivalence.rows)} differ, first the {first.what} `{first.name}`"
