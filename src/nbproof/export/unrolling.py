"""Notebooks that a notebook runs by `%run`: their cells stand where it runs them, as IPython would run them there.

IPython runs every code cell of such a notebook among the names of the one that runs it, whatever its tags are, shows no
last value of any, and ends each as a cell of its own. Its name is looked up from the working folder, and its own folder
is the first to import from meanwhile.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.machinery import PathFinder
from pathlib import Path, PurePosixPath

from ..errors import NotebookInvalid
from ..notebook import contract as contracts
from ..notebook import document as documents
from ..notebook.document import Cell, Document
from ..notebook.syntax import cell_tree

# Whatever IPython would fill in, or the shell expand, is not known here.
_RUN = re.compile(
    r"%run[ \t]+(?:-[in][ \t]+)*"
    r"(?:(?P<bare>[\w./+-]+\.ipynb)|(?P<quote>['\"])(?P<quoted>[^'\"{}$~\\]+\.ipynb)(?P=quote))[ \t]*(?:#.*)?"
)
_ADDED_TO_PATH = re.compile(r"\bsys\.path\.(?:append\(|insert\(\s*0\s*,)|\bin\s+sys\.path\b")
_PATH = re.compile(r"\bsys\s*\.\s*path\b|\bfrom\s+sys\s+import\b|\b__path__\b")
_POSTPONED = re.compile(r"^from\s+__future__\s+import\b.*\bannotations\b", re.MULTILINE)
_MODULES = (".py", ".pyc", ".so", ".pyd")

Find = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Ran:
    """A notebook or a script that a notebook runs: the name that it is run by, its file, and the SHA-256 of that."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A cell, or a part of one, at its place in the order in which all run.

    `place` says in which cell it is written, and `above` how many lines of that cell stand above it. `is_silent`: its
    last value is not shown. `is_of_another` notebook, or `leads_to` one that is run right behind it.
    """

    cell: Cell
    number: int
    place: str
    above: int = 0
    is_silent: bool = False
    is_of_another: bool = False
    leads_to: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a notebook cannot be run by another one: where that is said, the line in its cell, and what would help."""

    piece: Piece
    line: int
    reason: str
    hint: str


@dataclass(slots=True)
class _Unrolled:
    find: Find
    pieces: list[Piece] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def unrolled(document: Document, find: Find) -> tuple[tuple[Piece, ...], tuple[Ran, ...], tuple[Problem, ...]]:
    """All cells in the order in which they run, the notebooks that are run by it, and what speaks against them.

    `find` gives the file that a name stands for in the working folder, be it there or not.
    """
    made = _Unrolled(find)
    postponed: Piece | None = None
    for number, cell in enumerate(document.cells, start=1):
        _unroll(Piece(cell, number, f"cell {number}"), (), made)
        if _POSTPONED.search(cell.source) and cell.kind == "code":
            postponed = postponed or Piece(cell, number, f"cell {number}")
    if postponed and made.ran:
        reason = "annotations are put off here, and not in the notebook that is run"
        made.problems.append(Problem(postponed, 1, reason, "import a module instead of running a notebook"))
    return tuple(made.pieces), tuple(made.ran), tuple(made.problems)


def _unroll(piece: Piece, around: Sequence[Path], made: _Unrolled) -> None:
    """Add a cell, and in the place of each `%run` in it the cells of that notebook."""
    parts = _parts(piece.cell) if piece.is_of_another or "skip-execution" not in piece.cell.tags else ()
    if not parts:
        made.pieces.append(piece)
        return
    for at, (above, source, name) in enumerate(parts):
        if source.strip():
            is_tail = at == len(parts) - 1
            own = replace(piece.cell, source=source, id=piece.cell.id if is_tail else f"{piece.cell.id}-{at}")
            made.pieces.append(
                replace(piece, cell=own, above=above, is_silent=piece.is_silent or not is_tail, leads_to=not is_tail)
            )
        if name is not None:
            line = above + source.count("\n") + (1 if source else 0) + 1
            _add(name, replace(piece, above=line, cell=replace(piece.cell, id=f"{piece.cell.id}-{at}")), around, made)


def _parts(cell: Cell) -> list[tuple[int, str, str | None]]:
    """What stands between the lines that run a notebook, with how many lines are above it, and the name behind it.

    Empty where the cell runs none, or where such a line is part of something else.
    """
    if cell.kind != "code" or cell.source.lstrip().startswith("%%") or contracts.TAG in cell.tags:
        return []
    lines = cell.source.split("\n")
    found = [(at, match) for at, line in enumerate(lines) if (match := _RUN.fullmatch(line.rstrip()))]
    parts: list[tuple[int, str, str | None]] = []
    begin = 0
    for at, match in found:
        parts.append((begin, "\n".join(lines[begin:at]), match["bare"] or match["quoted"]))
        begin = at + 1
    parts.append((begin, "\n".join(lines[begin:]), None))
    return parts if found and all(_is_whole(source) for _, source, _ in parts) else []


def _is_whole(source: str) -> bool:
    try:
        cell_tree(source)
    except SyntaxError:
        return False
    return True


def _add(name: str, by: Piece, around: Sequence[Path], made: _Unrolled) -> None:
    """Add the cells of the notebook `name`, which `by` runs in the line that its `above` says."""
    path = made.find(name).resolve()
    reason = _cannot_run(path, around)
    document = None
    if not reason:
        written = path.read_bytes()
        try:
            document = documents.parse(path, written)
        except NotebookInvalid as error:
            reason = f"it is {error.found}"
    if document is None:
        made.problems.append(Problem(by, by.above, f"`%run {name}`: {reason}", "run a notebook that lies beside it"))
        return
    sources = [cell.source for cell in document.cells if cell.kind == "code"]
    reasons = [*_against(document, sources), *_of_its_folder(path, made.find(".").resolve(), sources)]
    if reasons:
        made.problems += [
            Problem(by, by.above, f"`%run {name}`: {each}", "import a module instead") for each in reasons
        ]
        return
    made.ran.append(Ran(name, path, hashlib.sha256(written).hexdigest()))
    for number, cell in enumerate(document.cells, start=1):
        own = replace(cell, id=f"{by.cell.id}-{cell.id}", tags=())
        place = f"cell {number} of {PurePosixPath(name).name}"
        _unroll(Piece(own, by.number, place, is_silent=True, is_of_another=True), (*around, path), made)


def _cannot_run(path: Path, around: Sequence[Path]) -> str:
    if path in around:
        return "it is run by itself"
    return "" if path.is_file() else "there is no such notebook"


def _against(document: Document, sources: Sequence[str]) -> Iterator[str]:
    """What such a notebook does that means something else where its cells stand now."""
    if not document.is_python:
        yield f"it is in {document.language}"
    if any("__file__" in source for source in sources):
        yield "it asks for its own file"
    if any(_PATH.search(_ADDED_TO_PATH.sub("", source)) for source in sources):
        yield "it looks at where modules come from, which is another place while it is run"
    if any(_has_future(source) for source in sources):
        yield "it imports from `__future__`, which is for its own cell alone"


def _has_future(source: str) -> bool:
    return re.search(r"^\s*from\s+__future__\s+import\b", source, re.MULTILINE) is not None


def _of_its_folder(path: Path, home: Path, sources: Sequence[str]) -> Iterator[str]:
    if path.parent != home and may_import_from(path.parent, sources):
        yield "it lies in another folder, and may import what is there"


def may_import_from(folder: Path, sources: Iterable[str]) -> bool:
    """Whether code that is run from a folder may find modules there which nobody finds who runs it from elsewhere.

    Those that it imports, and those that hide others: whatever it imports may import them in turn.
    """
    imported = {name for source in sources for name in _imported(source)}
    for each in folder.iterdir():
        name = each.name.partition(".")[0]
        if each.suffix in _MODULES or each.is_dir():
            is_hiding = each.suffix in _MODULES and (name in sys.stdlib_module_names or _is_installed(name))
            if name in imported or is_hiding:
                return True
    return False


def _is_installed(name: str) -> bool:
    return PathFinder.find_spec(name, [place for place in sys.path if "-packages" in place]) is not None


def _imported(source: str) -> Iterator[str]:
    try:
        tree = cell_tree(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
