"""The code cells of a foreign notebook as syntax trees whose places are places in the cell as it was written.

Lines that only IPython reads are hidden from the parser by Python of the same line, so that no place moves.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..export import magics
from ..notebook.document import Document
from ..notebook.syntax import cell_tree, python_tree
from .remarks import Remark

# Cell magics whose body is Python that binds the notebook's own names.
_TRANSPARENT = {"time", "capture", "prun"}
_TIMED = re.compile(r"(?P<indent>\s*)%(?:time|prun)\s+(?P<code>\S.*)")
_ASSIGNED = re.compile(r"(?P<indent>\s*)(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<sign>[!%])(?P<rest>.*)")
_INSTALLS = re.compile(r"\s*(?:pip[\d.]*|conda|mamba|uv|\S*python\S*\s+-m\s+pip)\s.*\binstall\b|\s*pip[\d.]*\s+install")
_HIDDEN_LINKS = {
    "store": "`%store` keeps values between notebooks, outside of any file",
    "run": "`%run` brings the names of another file",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a cell's source: lines from 1, columns in characters from 0, the end not included."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell; `number` counts all cells of the notebook from 1, and `shifts` says by how much a line was moved."""

    number: int
    source: str
    tree: ast.Module
    tags: tuple[str, ...]
    shown: str
    shifts: Mapping[int, int]

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """Where `node` stands in the cell as it was written."""
        lines = self.shown.split("\n")
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return Span(
            node.lineno,
            _characters(lines[node.lineno - 1], node.col_offset) + self.shifts.get(node.lineno, 0),
            node.end_lineno,
            _characters(lines[node.end_lineno - 1], node.end_col_offset) + self.shifts.get(node.end_lineno, 0),
        )

    def text(self, node: ast.expr | ast.stmt) -> str:
        """What is written there."""
        span = self.span(node)
        lines = self.source.split("\n")[span.line - 1 : span.end_line]
        lines[-1] = lines[-1][: span.end_column]
        lines[0] = lines[0][span.column :]
        return "\n".join(lines)


def _characters(line: str, offset: int) -> int:
    return len(line.encode()[:offset].decode())


def code_cells(document: Document, notebook: str) -> tuple[tuple[CodeCell, ...], tuple[Remark, ...]]:
    """The code cells that hold code, and what nobody can follow in them; raises `SyntaxError` for what is no code."""
    cells, remarks = [], []
    for number, cell in enumerate(document.cells, start=1):
        if cell.kind != "code" or not cell.source.strip() or "injected-parameters" in cell.tags:
            continue
        try:
            shown, shifts, said = _hidden(cell.source)
            tree = python_tree(shown)
        except SyntaxError:
            if "raises-exception" not in cell.tags:
                # The whole pipeline could not be read with a cell that Python cannot read.
                _check_readable(cell.source, number)
            shown, shifts, tree = cell.source, {}, ast.Module([], [])
            said = [(1, "the cell cannot be followed: what it reads and writes is not seen", "look at it yourself")]
        remarks += [Remark(notebook, number, line, words, edit) for line, words, edit in said]
        cells.append(CodeCell(number, cell.source, tree, cell.tags, shown, shifts))
    return tuple(cells), tuple(remarks)


def _check_readable(source: str, number: int) -> None:
    try:
        cell_tree(source)
    except SyntaxError as error:
        old = re.search(r"^\s*print\s+[^\s(=]", source, re.MULTILINE)
        words = "Python 2" if old else error.msg
        raise SyntaxError(f"cell {number}, line {error.lineno or 1}: {words}") from None


_Said = tuple[int, str, str]


def _hidden(source: str) -> tuple[str, dict[int, int], list[_Said]]:
    """The cell with IPython's lines hidden, by how much lines were moved, and what is to be said of what was hidden."""
    try:
        python_tree(source)
    except SyntaxError:
        pass
    else:
        return source, {}, []
    lines = source.split("\n")
    first = next(at for at, line in enumerate(lines) if line.strip())
    said: list[_Said] = []
    if lines[first].lstrip().startswith("%%"):
        name, _, rest = lines[first].strip()[2:].partition(" ")
        if name not in _TRANSPARENT:
            return "", {}, list(_of_cell_magic(name, rest, lines, first))
        lines[first] = "#"
    shifts: dict[int, int] = {}
    continues = False
    for at, line in enumerate(lines):
        if continues:
            lines[at], continues = "#", line.rstrip().endswith("\\")
            continue
        hidden = _hidden_line(line, at + 1, shifts, said)
        if hidden is not None:
            lines[at], continues = hidden, line.rstrip().endswith("\\")
    return "\n".join(lines), shifts, said


def _hidden_line(line: str, number: int, shifts: dict[int, int], said: list[_Said]) -> str | None:
    """What stands in the place of one line that only IPython reads; None for any other."""
    timed = _TIMED.fullmatch(line)
    if timed is not None:
        shifts[number] = timed.start("code") - timed.end("indent")
        return timed["indent"] + timed["code"]
    assigned = _ASSIGNED.fullmatch(line)
    if assigned is not None:
        said.extend(_of_line(number, assigned["sign"], assigned["rest"], is_bound=True))
        return f"{assigned['indent']}{assigned['name']} = get_ipython()"
    bare = line.strip()
    if bare.startswith(("%cd ", "cd ")):
        # What it does is what the call does; whoever looks for such calls will find it.
        return f"{line[: len(line) - len(line.lstrip())]}os.chdir({bare.partition(' ')[2].strip()!r})"
    if bare[:1] in ("%", "!"):
        said.extend(_of_line(number, bare[0], bare[1:], is_bound=False))
        return line[: len(line) - len(line.lstrip())] + "pass"
    if bare[:1] == "?" or (bare.endswith("?") and not bare.startswith("#")):
        return line[: len(line) - len(line.lstrip())] + "pass"
    return None


def _of_line(number: int, sign: str, rest: str, *, is_bound: bool) -> Iterator[_Said]:
    if sign == "!" and _INSTALLS.match(rest):
        yield number, f"`!{rest.strip()[:60]}` installs packages while it runs: every run will do so", ""
    elif sign == "!":
        meaning = magics.of_command(rest.lstrip("!"), is_captured=is_bound, is_bound=is_bound)
        if isinstance(meaning, magics.Refused) or is_bound:
            yield number, f"`!{rest.strip()[:60]}` runs a program: what it reads and writes is not seen", (
                "if it makes a file that a notebook needs, make it before, or in Python"
            )  # fmt: skip
    name, _, line = rest.strip().partition(" ")
    if sign == "%" and name in _HIDDEN_LINKS:
        yield number, _HIDDEN_LINKS[name], {
            "store": "write the value to a file, and read it in the other notebook",
            "run": f"import what is needed of `{line.strip()[:60]}` from a module",
        }[name]  # fmt: skip


def _of_cell_magic(name: str, rest: str, lines: list[str], first: int) -> Iterator[_Said]:
    if name in ("bash", "sh", "script", "!", "system", "sx", "perl", "ruby", "cmd", "R", "julia", "sql"):
        yield first + 1, f"`%%{name}` is no Python: what it reads and writes is not seen", (
            "if it makes a file that a notebook needs, make it before, or in Python"
        )  # fmt: skip
    elif name in ("writefile", "file"):
        yield first + 1, f"`%%{name} {rest.strip()}` writes a file that is no product", (
            "keep such a file beside pipeline.yaml instead"
        )  # fmt: skip
    elif name in ("timeit", "html", "HTML", "latex", "markdown", "javascript", "js", "svg"):
        return
    else:
        yield first + 1, f"`%%{name}` is not known: what its cell reads and writes is not seen", "look at it yourself"
