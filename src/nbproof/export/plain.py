"""A cell of IPython as plain Python: each magic is left out, unwrapped, said otherwise, or refused.

Nothing is executed. What is left out shows or measures something and leaves nothing behind; where that cannot be
known, the cell is refused, with the line and with what to write instead.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..notebook.syntax import as_python, is_silenced, python_tree
from . import scripts
from .interactivity import USUAL, hides_all, is_setting, shows_assigned, with_shown
from .magics import Left, Refused, Said, Unwrapped, of_cell_magic, of_command, of_line_magic

_CALLS = {"run_line_magic", "run_cell_magic", "system", "getoutput", "magic"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a cell cannot become plain Python: the line (counted from 1), the reason, and the smallest change."""

    line: int
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Note:
    """What was left out or is said otherwise, and in which line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """A cell as plain Python.

    Line `i` of `source` (counted from 0) came from line `lines[i]` of the cell (counted from 1). `modules` are those
    that the new words use and the cell may not import; `needs` are requirements that the cell would have installed.
    With any `refusals` the source is not to be used. `is_silenced` where no last value is shown: a `;` hides it, or
    what stood last was left out, and what stands last now never showed. `runs` are the scripts beside the notebook that
    it runs.
    """

    source: str
    lines: tuple[int, ...]
    notes: tuple[Note, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    modules: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()
    is_silenced: bool = False
    runs: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    notes: list[Note] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    needs: list[str] = field(default_factory=list)
    is_last_silent: bool = False
    written: Mapping[str, str] = field(default_factory=dict)
    beside: Callable[[str], str | None] = lambda _: None
    runs: list[str] = field(default_factory=list)
    # Lines whose expression is another one than IPython's, and those that became several.
    said_otherwise: list[int] = field(default_factory=list)


_Lines = list[tuple[str, int]]


def as_plain(
    source: str,
    written: Mapping[str, str] | None = None,
    beside: Callable[[str], str | None] = lambda _: None,
    *,
    shows: str = USUAL,
) -> Plain:
    """Read a cell; raises `SyntaxError` where IPython could not read it either.

    `written` are the texts of files that cells above write, by the names that `%%writefile` was given; `beside` tells
    the text of a script that lies beside the notebook, None where there is none. `shows` is IPython's word for which
    values the cell shows.
    """
    found = _Found(written=written or {}, beside=beside)
    lines = _plain_lines(source, 0, found)
    text = "\n".join(text for text, _ in lines) + ("\n" if lines else "")
    try:
        python_tree(text)
    except SyntaxError:
        # A line that a backslash joins to what was left out, say.
        found.refusals.append(Refusal(1, "a magic shares its line with other code", "write it on a line of its own"))
    is_last_gone = found.is_last_silent
    if shows != USUAL and not found.refusals:
        text, lines = _showing(source, text, lines, shows, found)
    return Plain(
        text,
        tuple(line for _, line in lines),
        tuple(sorted(found.notes, key=lambda note: note.line)),
        tuple(sorted(found.refusals, key=lambda refusal: refusal.line)),
        frozenset(found.modules),
        tuple(found.needs),
        is_last_gone or is_silenced(text) or shows == "none",
        tuple(found.runs),
    )


def _showing(source: str, text: str, lines: _Lines, shows: str, found: _Found) -> tuple[str, _Lines]:
    """The plain cell that shows what IPython does, and its lines."""
    # A magic for all of the cell is one expression, whatever stands in it.
    if source.lstrip().startswith("%%") or hides_all(source):
        return text, lines
    found.refusals += [
        Refusal(line, "a magic in a cell that shows more than its last value", "use it in a cell that does not")
        for line in found.said_otherwise
    ]
    assigned = shows_assigned(source, shows)
    if assigned and lines:
        return f"{text}{assigned}\n", [*lines, (assigned, lines[-1][1])]
    return with_shown(text, shows, is_last_gone=found.is_last_silent), lines


def indented(source: str, by: str = "    ") -> str:
    """The source in a block; what lies inside of texts over several lines stays as it is."""
    inside: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING or tokenize.tok_name[token.type].startswith("FSTRING"):
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
    return "".join(
        line if number in inside or not line.strip() else by + line
        for number, line in enumerate(source.splitlines(keepends=True), start=1)
    )


def _plain_lines(source: str, above: int, found: _Found) -> _Lines:
    """The plain lines of a cell that stands `above` lines below its real top, each with the line it came from."""
    try:
        python_tree(source)
        transformed, origins = source, list(range(1, source.count("\n") + 2))
    except SyntaxError:
        transformed, origins = _transformed(source)
    tree = python_tree(transformed)
    written = transformed.split("\n")
    lines: _Lines = [(text, above + origins[min(at, len(origins) - 1)]) for at, text in enumerate(written)]
    is_last_silent = False
    # From the bottom up, so that what stands further up keeps its place.
    for place in sorted(_places(tree), key=lambda place: -place.statement.lineno):
        is_silent = _rewrite(lines, place, found)
        is_last_silent = is_last_silent or (is_silent and place.statement is tree.body[-1])
    found.is_last_silent = is_last_silent
    while lines and not lines[-1][0].strip():
        lines.pop()
    return lines


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the shell is spoken to: the statement, the call that it is, and whether a block around it needs it."""

    statement: ast.stmt
    call: ast.Call | None
    is_in_block: bool


def _places(tree: ast.Module) -> Iterator[_Place]:
    """Every statement in which the shell is spoken to."""
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, None)
            if not isinstance(statements, list):
                continue
            for statement in statements:
                if isinstance(statement, ast.stmt) and (_speaks(statement) or is_setting(statement)):
                    yield _Place(statement, _call_of(statement), not isinstance(node, ast.Module))


def _speaks(statement: ast.stmt) -> bool:
    """Whether the statement itself, apart from blocks in it, names the shell."""
    blocks = {id(inner) for block in ("body", "orelse", "finalbody", "handlers", "cases")
              for inner in getattr(statement, block, None) or ()}  # fmt: skip
    left: list[ast.AST] = [statement]
    while left:
        node = left.pop()
        if isinstance(node, ast.Name) and node.id == "get_ipython":
            return True
        left.extend(child for child in ast.iter_child_nodes(node) if id(child) not in blocks)
    return False


def _call_of(statement: ast.stmt) -> ast.Call | None:
    """The call to the shell that is the statement, or whose result is bound by it; None where it hides elsewhere."""
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _CALLS):
        return None
    shell = value.func.value
    is_shell = isinstance(shell, ast.Call) and isinstance(shell.func, ast.Name) and shell.func.id == "get_ipython"
    is_plain = not value.keywords and all(
        isinstance(argument, ast.Constant) and isinstance(argument.value, str) for argument in value.args
    )
    return value if is_shell and is_plain and value.args else None


def _rewrite(lines: _Lines, place: _Place, found: _Found) -> bool:
    """Put plain Python in a magic's place; whether the magic, as the last of a cell, shows no value."""
    first, last = place.statement.lineno - 1, (place.statement.end_lineno or place.statement.lineno) - 1
    line = lines[first][1]
    said = _script(place, found) or _said(place)
    if isinstance(said, Refused):
        found.refusals.append(Refusal(line, said.reason, said.hint))
        return True
    found.notes += [Note(line, text) for text in said.notes]
    found.needs += said.needs
    indent = lines[first][0][: place.statement.col_offset]
    if not isinstance(said, Left) and isinstance(place.statement, ast.Expr):
        found.said_otherwise.append(line)
    new: _Lines
    if isinstance(said, Left):
        new = [(f"{indent}pass", line)] if place.is_in_block else []
        is_silent = True
    elif isinstance(said, Said):
        found.modules |= said.modules
        target = _target(place.statement)
        if target and not said.is_value:
            found.refusals.append(Refusal(line, "the result of this magic cannot be said in Python", said.hint))
            return True
        new = [(indent + text, line) for text in f"{target}{said.code}".split("\n")]
        is_silent = not said.is_value
    else:
        new = _unwrapped(said, line, found)
        is_silent = found.is_last_silent
        target = _target(place.statement)
        if target:
            if len(new) != 1 or not _is_expression(new[0][0]):
                found.refusals.append(Refusal(line, "the result of this magic cannot be said in Python", ""))
                return True
            new = [(target + new[0][0], line)]
        found.modules |= said.modules
        new = [(indent + text if text.strip() else text, origin) for text, origin in _in_block(new, said.opening, line)]
    lines[first : last + 1] = new
    return is_silent


def _unwrapped(said: Unwrapped, line: int, found: _Found) -> _Lines:
    try:
        return _plain_lines(said.body, line if said.is_below else line - 1, found)
    except SyntaxError as error:
        found.refusals.append(Refusal(line + (error.lineno or 1), f"{error.msg}", "mend the code"))
        return []


def _in_block(lines: _Lines, opening: str, line: int) -> _Lines:
    """The lines below `opening`, if there is one."""
    if not opening:
        return lines
    if not lines:
        return [(opening, line), ("    pass", line)]
    text = indented("\n".join(text for text, _ in lines) + "\n").rstrip("\n").split("\n")
    return [(opening, line), *((new, origin) for new, (_, origin) in zip(text, lines, strict=True))]


def _is_expression(text: str) -> bool:
    try:
        body = python_tree(text).body
    except SyntaxError:
        return False
    return len(body) == 1 and isinstance(body[0], ast.Expr)


def _target(statement: ast.stmt) -> str:
    if not isinstance(statement, ast.Assign):
        return ""
    return "".join(f"{ast.unparse(target)} = " for target in statement.targets)


def _said(place: _Place) -> Left | Said | Unwrapped | Refused:
    """What the statement is in plain Python."""
    if is_setting(place.statement):
        return Left(("what cells show is written into them",))
    call = place.call
    if call is None:
        return Refused("it speaks to IPython's shell, which a package has not", "leave `get_ipython` out")
    assert isinstance(call.func, ast.Attribute)
    texts = [str(argument.value) for argument in call.args if isinstance(argument, ast.Constant)]
    is_bound = isinstance(place.statement, ast.Assign)
    match call.func.attr, texts:
        case "run_cell_magic", [name, line, body]:
            return of_cell_magic(name, line, body)
        case "run_line_magic", [name, line]:
            return of_line_magic(name, line, is_bound=is_bound)
        case "magic", [text]:
            name, _, line = text.strip().lstrip("%").partition(" ")
            return of_line_magic(name, line.strip(), is_bound=is_bound)
        case "system", [command]:
            return of_command(command, is_captured=False, is_bound=is_bound)
        case "getoutput", [command]:
            return of_command(command.removeprefix("!"), is_captured=True, is_bound=is_bound)
    return Refused("it speaks to IPython's shell in a way that is not known here", "leave it out")


def _script(place: _Place, found: _Found) -> Said | None:
    """What runs a script that the notebook has written itself, or that lies beside it; None where that is unclear."""
    words = [argument.value for argument in place.call.args if isinstance(argument, ast.Constant)] if place.call else []
    if words[:1] != ["run"] or place.is_in_block or _target(place.statement):
        return None
    asked = scripts.RUN.fullmatch(str(words[-1]).strip())
    name = (asked["bare"] or asked["quoted"]) if asked else ""
    own = found.written.get(name)
    text = own if own is not None else found.beside(name) if name else None
    if asked is None or text is None:
        return None
    code = scripts.among_names(text) if asked["among"] else scripts.by_itself(name, text)
    if code is None:
        return None
    if own is None:
        found.runs.append(name)
    if asked["among"]:
        whose = "which a cell above writes" if own is not None else "which lies beside the notebook"
        return Said(code, notes=(f"`%run -i` became the text of the file, {whose}",))
    return Said(code, frozenset({"runpy"}), notes=("`%run` runs the script by itself, and takes its names over",))


def _transformed(source: str) -> tuple[str, list[int]]:
    """The cell as IPython reads it, and the line of the cell from which each of its lines came."""
    transformed = as_python(source)
    given = source.split("\n")
    at = next((number for number, text in enumerate(given) if text.strip()), 0)
    origins: list[int] = []
    for _ in transformed.split("\n"):
        origins.append(min(at, len(given) - 1) + 1)
        # A magic or a command may go on behind a backslash; IPython joins the lines.
        if at < len(given) and given[at].lstrip()[:1] in "%!" and given[at].strip():
            while at + 1 < len(given) and given[at].endswith("\\"):
                at += 1
        at += 1
    return transformed, origins
