"""A notebook as its exporter reads it: code cells as plain Python below their headings, and what must be refused."""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ContractInvalid
from ..notebook import contract as contracts
from ..notebook.contract import Contract
from ..notebook.dataflow import bindings
from ..notebook.dataflow import steps as top_level
from ..notebook.document import Cell, Document
from ..notebook.syntax import python_tree
from .by_text import asks_for_the_shell, looked_up
from .interactivity import USUAL, settings
from .kernel_asked import ends, gives_argv, questions
from .magics import LOADED
from .plain import Note, Plain, as_plain
from .unrolling import Find, Piece, Ran, may_import_from, unrolled

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*")
# Many write their headings so to colour them.
_TAGGED = re.compile(r"\s*<h([1-6])\b[^>]*>(.*?)</h\1>\s*", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
# A file that a cell writes anew.
_WRITTEN = re.compile(r"\s*%%(?:writefile|file)[ \t]+(?P<quote>['\"]?)(?P<file>[\w./-]+)(?P=quote)[ \t]*\n")
_MAY_WRITE = re.compile(
    r"\bcd\b|chdir|open\(|\.write_|shutil|rename|replace\(|^\s*!|^%%(?:!|bash|sh|script)", re.MULTILINE
)
_LOADS = re.compile(rf"%load(?:py)?[ \t]+({LOADED.pattern})[ \t]*")
_MOVES = re.compile(r"chdir|^\s*%?cd\b", re.MULTILINE)
_INLINE = r"['\"](?:inline|module://matplotlib_inline[\w.]*)"
_KEEPS_FIGURES = re.compile(
    r"^[ \t]*%(?:matplotlib|pylab)\b(?![ \t]+(?:-\S+[ \t]+)*(?:inline|-l|--list)\b).*$"
    r"|^[ \t]*%config[ \t]+InlineBackend\.close_figures\s*=\s*(?!True\b).*$"
    rf"|\b(?:matplotlib|mpl)\.use\(\s*(?!{_INLINE})[^)\n]*\)?|\bswitch_backend\(\s*(?!{_INLINE})[^)\n]*\)?",
    re.MULTILINE,
)
_FENCES = ("```", "~~~")
# The shell's memory of earlier cells is none that a package has.
_HISTORY = re.compile(r"In|Out|_{1,3}|_\d+|_i{1,3}|_i\d+|_[ido]h")
# papermill marks so what it has put in.
_INJECTED = "injected-parameters"
_SAID = "say what it does in Python"
_ASKING = "it waits for somebody to type"
_SHOWS = "what the cells below show is said in a way that is not known here"
_RUNS_AND_SHOWS = "it runs another notebook where a cell shows more than its last value"
_AT_THE_TOP = 'write `InteractiveShell.ast_node_interactivity = "all"`, in no block'


@dataclass(frozen=True, slots=True)
class CellRefusal:
    """Why a notebook cannot be exported: its cell (counted from 1), the line in it, the reason, and what would help.

    `place` names the cell where it stands in a notebook that this one runs.
    """

    cell: int
    line: int
    reason: str
    hint: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place or f'cell {self.cell}'}, line {self.line}: {self.reason}; {self.hint}"


@dataclass(frozen=True, slots=True)
class Step:
    """One code cell.

    `number` counts all cells from 1, with those of notebooks that are run; `title` is the heading that it
    stands below, `level` the level of that heading (0: none), and `words` the markdown since the last code cell.
    """

    number: int
    id: str
    source: str
    lines: tuple[int, ...]
    tree: ast.Module
    is_silenced: bool
    tags: tuple[str, ...]
    title: str
    level: int
    is_first_below: bool
    words: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a notebook. With any `refusals` nothing may be made of it.

    `contract` is what its `parameters` cell declares, None where it declares nothing that could be read as a contract.
    That cell is a step as any other. `runs` are the notebooks whose cells stand among the steps, and `inside` the
    numbers of these; `leading` are those of what stands in a cell above a line that runs one. `places` names the cells
    whose number is another one than that of the step. `by_text` are places where code or names stand in texts, which
    mean the same only where all names are global. `loads` are files that have to be there, whatever they hold.
    `keeps_figures` is the line that has figures stay open at the end of a cell, if there is one.
    """

    document: Document
    steps: tuple[Step, ...]
    refusals: tuple[CellRefusal, ...]
    notes: tuple[tuple[int, Note], ...]
    needs: tuple[str, ...]
    contract: Contract | None = None
    runs: tuple[Ran, ...] = ()
    inside: frozenset[int] = frozenset()
    leading: frozenset[int] = frozenset()
    places: Mapping[int, str] = field(default_factory=dict)
    by_text: tuple[CellRefusal, ...] = ()
    loads: frozenset[Path] = frozenset()
    keeps_figures: str = ""

    def place(self, number: int) -> str:
        """The cell that a step is, or is part of, as its reader would look for it."""
        return self.places.get(number, f"cell {number}")

    @property
    def parameters_cell(self) -> Step | None:
        """The step that declares the contract."""
        if self.contract is None:
            return None
        return next((step for step in self.steps if contracts.TAG in step.tags), None)


def read(document: Document, find: Find | None = None) -> Reading:
    """Read every cell; whatever is wrong with any of them is told at once.

    `find` gives the file that a name stands for where the notebook works: else in its own folder.
    """
    find = find or document.path.parent.joinpath
    has_moved = any(_MOVES.search(cell.source) for cell in document.cells if cell.kind == "code")
    beside = functools.partial(_text_beside, find=find, has_moved=has_moved)
    steps: list[Step] = []
    refusals: list[CellRefusal] = []
    notes: list[tuple[int, Note]] = []
    needs: list[str] = []
    modules: set[str] = set()
    by_text: list[CellRefusal] = []
    title, level, is_first, words = "", 0, False, ""
    written: dict[str, str] = {}
    shows, has_argv = USUAL, False
    if not document.is_python:
        refusals.append(CellRefusal(1, 1, f"the notebook is in {document.language}", "only Python becomes a package"))
        return Reading(document, (), tuple(refusals), (), ())
    pieces, runs, problems = unrolled(document, find)
    refusals += [
        CellRefusal(each.piece.number, each.line, each.reason, each.hint, each.piece.place) for each in problems
    ]
    for number, piece in enumerate(pieces, start=1):
        cell = piece.cell
        if cell.kind == "markdown":
            found = _last_heading(cell.source)
            if found is None or piece.is_of_another:
                words = f"{words}\n\n{found[2] if found else cell.source}".strip()
            else:
                level, title, words = found
                is_first = True
        is_left_out = "skip-execution" in cell.tags and not piece.is_of_another
        if cell.kind != "code" or is_left_out or not cell.source.strip():
            continue
        try:
            # Whoever runs another notebook shows nothing of it.
            plain = _below(as_plain(cell.source, written, beside, shows=USUAL if piece.is_of_another else shows), piece)
            tree = python_tree(plain.source) if not plain.refusals else ast.Module([], [])
            said = settings(cell.source)
        except SyntaxError as error:
            line = piece.above + (error.lineno or 1)
            refusals.append(CellRefusal(piece.number, line, f"{error.msg}", "mend the code", piece.place))
            continue
        if to_file := _WRITTEN.match(cell.source):
            written[to_file["file"]] = cell.source[to_file.end() :]
        elif _MAY_WRITE.search(cell.source):
            # Nobody who only reads knows any more what lies in the files above.
            written.clear()
        shows = next((each.mode for each in reversed(said) if each.mode), shows)
        told = [
            CellRefusal(piece.number, piece.above + each.line, _SHOWS, _AT_THE_TOP) for each in said if not each.mode
        ]
        if (piece.leads_to or piece.above) and shows != USUAL and not piece.is_of_another:
            told.append(CellRefusal(piece.number, piece.above + 1, _RUNS_AND_SHOWS, "run it in a cell of its own"))
        told += [CellRefusal(piece.number, each.line, each.reason, each.hint) for each in plain.refusals]
        has_argv = has_argv or gives_argv(tree)
        told += [*_blind(tree, plain, piece.number), *_asked(tree, plain, piece.number, has_argv=has_argv)]
        refusals += [replace(each, place=piece.place) for each in told]
        by_text += [
            CellRefusal(piece.number, _line_of(each.node, plain), f"`{each.node.id}`: {each.why}", _SAID, piece.place)
            for each in looked_up(tree) if not each.why_not
        ]  # fmt: skip
        refusals += [replace(each, place=piece.place) for each in _not_there(piece, find, has_moved)]
        notes += [(number, note) for note in plain.notes]
        needs += plain.needs
        runs += tuple(_script(name, find) for name in plain.runs)
        modules |= plain.modules
        if plain.source.strip():
            steps.append(_step(number, cell, plain, tree, title, level, is_first, words))
            is_first, words = False, ""
    places = {number: piece.place for number, piece in enumerate(pieces, start=1) if piece.place != f"cell {number}"}
    refusals += [replace(each, place=places.get(each.cell, "")) for each in _shadowed(steps, modules)]
    if by_text and asks_for_the_shell(step.tree for step in steps):
        refusals += by_text
    contract, remarks = _contract(document)
    if contract is not None:
        refusals += _injected(document)
    notes += [(_numbered(pieces, at), note) for at, note in remarks]
    return Reading(
        document,
        tuple(steps),
        tuple(refusals),
        tuple(notes),
        tuple(needs),
        contract,
        runs,
        frozenset(number for number, piece in enumerate(pieces, start=1) if piece.is_of_another),
        frozenset(number for number, piece in enumerate(pieces, start=1) if piece.leads_to),
        places,
        tuple(by_text),
        frozenset(find(match[1]) for piece in pieces for _, match in _loads(piece)),
        _keeping_figures(pieces),
    )


def _keeping_figures(pieces: Sequence[Piece]) -> str:
    """The first line after which a kernel does not close the figures of a cell at its end."""
    sources = (piece.cell.source for piece in pieces if piece.cell.kind == "code")
    found = (match for source in sources for match in _KEEPS_FIGURES.finditer(source))
    return next((match[0].strip() for match in found), "")


def _loads(piece: Piece) -> Iterator[tuple[int, re.Match[str]]]:
    """The lines of a piece that load a file, by their numbers."""
    lines = piece.cell.source.split("\n") if piece.cell.kind == "code" else ()
    found = ((at, _LOADS.fullmatch(line)) for at, line in enumerate(lines, start=piece.above + 1))
    return ((at, match) for at, match in found if match)


def _not_there(piece: Piece, find: Find, has_moved: bool) -> Iterator[CellRefusal]:
    """The files that `%load` would not find: nothing is done with them, but a notebook fails without."""
    for at, match in _loads(piece):
        if not find(match[1]).is_file():
            yield CellRefusal(piece.number, at, f"`%load {match[1]}`: there is no such file", "leave it out")
        elif has_moved:
            yield CellRefusal(piece.number, at, f"`%load {match[1]}` from a folder that is changed to", "leave it out")


def _text_beside(name: str, find: Find, has_moved: bool) -> str | None:
    """The text of a script whose imports are those that the notebook's own would be; None where nobody knows that."""
    path = find(name).resolve()
    if has_moved or not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    is_apart = path.parent != find(".").resolve()
    return None if is_apart and may_import_from(path.parent, [text]) else text


def _script(name: str, find: Find) -> Ran:
    path = find(name).resolve()
    return Ran(name, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _below(plain: Plain, piece: Piece) -> Plain:
    """A part of a cell, with the lines of the whole."""
    if not piece.above and not piece.is_silent:
        return plain
    return replace(
        plain,
        lines=tuple(line + piece.above for line in plain.lines),
        notes=tuple(replace(note, line=note.line + piece.above) for note in plain.notes),
        refusals=tuple(replace(each, line=each.line + piece.above) for each in plain.refusals),
        is_silenced=plain.is_silenced or piece.is_silent,
    )


def _numbered(pieces: Sequence[Piece], cell: int) -> int:
    """The last number of what a cell of the notebook itself became."""
    return max(number for number, piece in enumerate(pieces, start=1) if piece.number == cell)


def _contract(document: Document) -> tuple[Contract | None, list[tuple[int, Note]]]:
    """What the parameters cell declares; where it is none that a contract could be, it stays a cell as any other."""
    if not document.tagged(contracts.TAG):
        return None, []
    try:
        return contracts.read(document), []
    except ContractInvalid as error:
        at = document.cells.index(document.tagged(contracts.TAG)[0]) + 1
        return None, [(at, Note(1, f"nothing of it becomes a parameter: {error}"))]


def _injected(document: Document) -> Iterator[CellRefusal]:
    """The values of one run, which would win over every value that a package is given."""
    for number, cell in enumerate(document.cells, start=1):
        if _INJECTED in cell.tags:
            yield CellRefusal(
                number, 1, "it holds the values of one run", "export the notebook that was run, not a run"
            )


def _shadowed(steps: Sequence[Step], modules: Collection[str]) -> Iterator[CellRefusal]:
    """Where a name that a magic's Python needs for a module is one of the notebook's own."""
    roots = {module.partition(".")[0] for module in modules}
    for step in steps:
        for name, made in bindings(top_level({step.number: step.tree})).items():
            if name in roots and any(binding.kind != "import" for binding in made):
                yield CellRefusal(step.number, 1, f"`{name}` is what a magic needs for a module", "use another name")


def _step(
    number: int, cell: Cell, plain: Plain, tree: ast.Module, title: str, level: int, is_first: bool, words: str
) -> Step:
    imports = "".join(f"import {module}\n" for module in sorted(plain.modules))
    source, lines = imports + plain.source, (1,) * len(plain.modules) + plain.lines
    return Step(
        number,
        cell.id,
        source,
        lines,
        python_tree(source) if imports else tree,
        plain.is_silenced,
        cell.tags,
        title,
        level,
        is_first,
        words,
    )


def title_of(document: Document) -> str:
    """The first heading of a notebook, or nothing."""
    for cell in document.cells:
        if cell.kind == "markdown":
            for line in cell.source.split("\n"):
                match = _HEADING.fullmatch(line) or _TAGGED.fullmatch(line)
                if match is not None:
                    return _TAG.sub("", match[2]).strip()
    return ""


def _last_heading(source: str) -> tuple[int, str, str] | None:
    """The level and the title of the last heading of a markdown cell, and what stands below it."""
    found = None
    is_fenced = False
    lines = source.split("\n")
    for at, line in enumerate(lines):
        if line.lstrip().startswith(_FENCES):
            is_fenced = not is_fenced
        match = None if is_fenced else _HEADING.fullmatch(line)
        if match is not None:
            found = len(match[1]), match[2], "\n".join(lines[at + 1 :]).strip()
        tagged = None if is_fenced else _TAGGED.fullmatch(line)
        if tagged is not None:
            found = int(tagged[1]), _TAG.sub("", tagged[2]).strip(), "\n".join(lines[at + 1 :]).strip()
    return found


def _blind(tree: ast.Module, plain: Plain, number: int) -> Iterator[CellRefusal]:
    """What a cell does that nobody who reads it can follow."""
    for found in looked_up(tree):
        if found.why_not:
            line = _line_of(found.node, plain)
            yield CellRefusal(number, line, f"`{found.node.id}`: {found.why_not}", _SAID)
    for node in ast.walk(tree):
        line = _line_of(node, plain)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id == "input":
                yield CellRefusal(number, line, f"`input`: {_ASKING}", "make the answer a parameter")
            elif _HISTORY.fullmatch(node.id) and not _is_bound(tree, node.id):
                yield CellRefusal(
                    number, line, f"`{node.id}` is the shell's memory of earlier cells", "give the value a name"
                )
        elif isinstance(node, ast.Call) and "getpass" in (getattr(node.func, "attr", ""), getattr(node.func, "id", "")):
            yield CellRefusal(number, line, f"`getpass`: {_ASKING}", "make the answer a secret parameter")


def _asked(tree: ast.Module, plain: Plain, number: int, *, has_argv: bool) -> Iterator[CellRefusal]:
    """What a cell asks about its kernel, or does with it."""
    for question in questions(tree, has_argv=has_argv):
        yield CellRefusal(
            number, _line_of(question.node, plain), f"it asks {question.about}: a package runs in no kernel",
            "leave the question out, or let a parameter answer it",
        )  # fmt: skip
    for node, name in ends(tree):
        if not _is_bound(tree, name):
            yield CellRefusal(
                number, _line_of(node, plain), f"`{name}` ends the kernel, and what stands below does not run",
                "leave it out, with what stands below",
            )  # fmt: skip


def _line_of(node: ast.AST, plain: Plain) -> int:
    return plain.lines[min(getattr(node, "lineno", 1), len(plain.lines)) - 1] if plain.lines else 1


def _is_bound(tree: ast.Module, name: str) -> bool:
    """Whether the cell itself gives the name a value: `for _ in range(3)`."""
    return any(
        (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == name)
        for node in ast.walk(tree)
    )
