"""The module that a notebook becomes: what stands at its top, and a function for each of its sections."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ...notebook.dataflow import bindings, global_writes
from ...notebook.dataflow import steps as top_level
from ..edits import Edits, end_of_arguments
from ..interactivity import SHOWN
from ..plain import indented
from ..reading import Step
from ..watching.seen import Run
from .flow import Section
from .scopes import uses
from .standing import Definition, Standing

_DISPLAYING = {"IPython.display", "IPython.core.display", "IPython.core.display_functions"}
_WIDTH = 88
# Where none of this stands, nothing is drawn, whatever the parameters are.
_DRAWING = re.compile(r"matplotlib|pylab|seaborn|plot|hist|draw|fig", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)

Line = tuple[str, tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Module:
    """The text of a module; `origins[i]` is the cell, and the line of its plain source, behind line `i` (from 0)."""

    text: str
    origins: tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Helpers:
    """By which names the module calls what keeps results: other ones where the notebook has these itself."""

    keep: str
    keep_bound: str
    keep_figures: str
    show: str

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The helpers as `_results` calls them, and as the module does."""
        return tuple((name, getattr(self, name)) for name in self.__slots__)

    @classmethod
    def beside(cls, taken: Collection[str]) -> Helpers:
        return cls(*(free(name, taken) for name in ("keep", "keep_bound", "keep_figures", "show")))

    def imports(self, text: str) -> list[str]:
        """The statement that imports those of them that a text uses."""
        used = [
            name if name == own else f"{name} as {own}"
            for name, own in self.named
            if re.search(rf"(?<![\w.]){re.escape(own)}\b", text)
        ]
        return [f"from ._results import {', '.join(used)}"] if used else []


@dataclass(frozen=True, slots=True)
class Displays:
    """By which names the notebook calls IPython's `display`, and the module that has it.

    With other values of the parameters cells that showed nothing and drew nothing may do so: `varies` where there are
    parameters, `may_draw` where the notebook then speaks of pictures at all. Calls of `silent` names have no value.
    """

    names: frozenset[str]
    modules: frozenset[str]
    varies: bool = False
    may_draw: bool = False
    silent: frozenset[str] = frozenset({"print", "display", SHOWN})

    @classmethod
    def of(cls, steps: Sequence[Step], *, varies: bool = False) -> Displays:
        names, modules, own = {"display", SHOWN}, set[str](), set[str]()
        for cell in steps:
            for node in ast.walk(cell.tree):
                if isinstance(node, ast.Import):
                    modules |= {alias.asname or alias.name for alias in node.names if alias.name in _DISPLAYING}
                    modules |= {
                        f"{alias.asname or alias.name}.display" for alias in node.names if alias.name == "IPython"
                    }
                elif isinstance(node, ast.ImportFrom) and node.module in _DISPLAYING:
                    names |= {alias.asname or alias.name for alias in node.names if alias.name == "display"}
                elif isinstance(node, ast.ImportFrom) and node.module == "IPython":
                    # Here `display` is the module.
                    found = {alias.asname or alias.name for alias in node.names if alias.name == "display"}
                    modules, own = modules | found, own | found
            for name, made in bindings(top_level({cell.number: cell.tree})).items():
                own |= {name} if any(binding.kind != "import" for binding in made) else set()
        # A name that the notebook gives a value of its own means that.
        may_draw = varies and any(_DRAWING.search(cell.source) for cell in steps)
        silent = frozenset((names | {"print"}) - own)
        return cls(frozenset(names - own), frozenset(modules), varies, may_draw, silent)


def free(name: str, taken: Collection[str]) -> str:
    """The name, or one like it that nothing else has."""
    while name in taken:
        name += "_"
    return name


def module(
    title: str,
    steps: Sequence[Step],
    sections: Sequence[Section],
    standing: Standing,
    run: Run,
    *,
    varies: bool = False,
) -> Module:
    """Write the module `steps`; it `varies` where the notebook has parameters."""
    helpers = Helpers.beside({*standing.names, *(name for cell in run.cells for name in cell.binds)})
    displays = Displays.of(steps, varies=varies)
    cells = {cell.number: changed(cell, standing, run, helpers, displays) for cell in steps}
    lines: list[Line] = [(one_line(title), None), ("", None)]
    lines += [("from __future__ import annotations", None), ("", None)]
    imports = sorted({each.text for each in standing.imports if each.is_needed})
    body: list[Line] = []
    for constant in standing.constants:
        body += _between(cells, constant.lines.cell, constant.lines.first, constant.lines.last)
    said = _said_elsewhere(sections, cells, standing)
    by_number = {cell.number: cell for cell in steps}
    for definition in standing.definitions:
        body += [("", None), ("", None)]
        if definition.lines.cell not in said:
            said.add(definition.lines.cell)
            body += ((line, None) for line in _remark(by_number[definition.lines.cell].words, ""))
        body += _between(cells, definition.lines.cell, definition.lines.first, definition.lines.last)
    for section in sections:
        body += [("", None), ("", None), *_function(section, cells, standing, helpers)]
    text = "\n".join(text for text, _ in body)
    imports += [f"import {name}" for name in ("functools",) if f"{name}.partial(" in text]
    used = helpers.imports(text)
    lines += [(text, None) for text in imports]
    if used:
        lines += [("", None), *((text, None) for text in used)]
    lines += [("", None), *body]
    return Module("\n".join(text for text, _ in lines).rstrip() + "\n", tuple(origin for _, origin in lines))


def _between(cells: dict[int, list[tuple[str, int]]], cell: int, first: int, last: int) -> Iterator[Line]:
    for text, at in cells[cell]:
        if first <= at <= last:
            yield text, (cell, at)


def _function(
    section: Section, cells: dict[int, list[tuple[str, int]]], standing: Standing, helpers: Helpers
) -> Iterator[Line]:
    is_waiting = any(waits(cell.tree) for cell in section.cells)
    yield f"{'async ' if is_waiting else ''}def {section.name}({', '.join(section.takes)}):", None
    yield from ((line, None) for line in _docstring(section))
    # A name without a value belongs to the function all the same.
    yield from ((f"    {name}: object", None) for name in _unbound(section, standing))
    has_body, words = False, ""
    for cell in section.cells:
        body = _staying(cell, cells, standing)
        if cell is not section.cells[0] and (body or not _defines(cell, standing)):
            words = f"{words}\n\n{cell.words}".strip()
        if not body:
            continue
        if has_body:
            yield "", None
        has_body = True
        yield from ((line, None) for line in _remark(words, "    "))
        words = ""
        moved_right = indented("\n".join(text for text, _ in body) + "\n").split("\n")
        yield from ((text, (cell.number, at)) for text, (_, at) in zip(moved_right, body, strict=False))
    if section.leaves:
        yield f"    {helpers.keep}({', '.join(f'{name}={name}' for name in section.leaves)})", None
    if section.perhaps:
        names = ", ".join(f'"{name}"' for name in section.perhaps)
        yield f"    {helpers.keep_bound}(locals(), {names})", None
    if section.gives:
        yield f"    return {', '.join(section.gives)}", None


def _staying(cell: Step, cells: dict[int, list[tuple[str, int]]], standing: Standing) -> list[tuple[str, int]]:
    """The lines of a cell that do not leave for the top, without empty ones around them."""
    moved = {at for lines in standing.lines_of(cell.number) for at in range(lines.first, lines.last + 1)}
    body = [(text, at) for text, at in cells[cell.number] if at not in moved]
    while body and not body[0][0].strip():
        body.pop(0)
    while body and not body[-1][0].strip():
        body.pop()
    return body


def _defines(cell: Step, standing: Standing) -> bool:
    return any(each.lines.cell == cell.number for each in standing.definitions)


def _said_elsewhere(
    sections: Sequence[Section], cells: dict[int, list[tuple[str, int]]], standing: Standing
) -> set[int]:
    """The cells whose words stand in a section: in its docstring, or above what it does."""
    return {
        cell.number for section in sections for cell in section.cells
        if cell is section.cells[0] or _staying(cell, cells, standing)
    }  # fmt: skip


def _remark(words: str, indent: str) -> Iterator[str]:
    """Words of the notebook as comments."""
    plain = _untagged(words)
    for line in plain.split("\n") if plain else ():
        if line.strip():
            yield from textwrap.wrap(line, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        else:
            yield f"{indent}#"


def _untagged(words: str) -> str:
    """Markdown without HTML, and without the empty lines that it leaves."""
    return re.sub(r"\n\s*\n\s*\n+", "\n\n", _TAG.sub("", words)).strip()


def _docstring(section: Section) -> Iterator[str]:
    title, found = sentence(section.title or section.name.replace("_", " ")), section.cells[0].words
    words = [title]
    if plain := _untagged(found):
        words += ["", *plain.replace('"""', "'''").split("\n")]
    # A backslash of a formula stays one.
    raw = "r" if "\\" in "".join(words) else ""
    if len(words) == 1:
        yield f'    {raw}"""{words[0]}"""'
        return
    yield f'    {raw}"""{words[0]}'
    for line in words[1:]:
        yield from textwrap.wrap(line, _WIDTH, initial_indent="    ", subsequent_indent="    ") or [""]
    yield '    """'


def one_line(title: str) -> str:
    """A docstring of one sentence; a backslash in it stays one."""
    told = sentence(title)
    return f'{"r" if chr(92) in told else ""}"""{told}"""'


def sentence(title: str) -> str:
    # The number of a heading means nothing outside of its notebook.
    text = re.sub(r"^\d+(\.\d+)*[.):]\s+|^\d+(\.\d+)+\s+|[:;,\s]+$", "", title.strip()) or title.strip()
    text = text.replace('"', "'").strip() or "A notebook."
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else f"{text}."


def waits(tree: ast.Module) -> bool:
    """Whether a cell waits at its top level."""
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or getattr(node, "is_async", False):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))
    return False


def changed(
    cell: Step, standing: Standing, run: Run, helpers: Helpers, displays: Displays, *, is_main: bool = False
) -> list[tuple[str, int]]:
    """The lines of a cell in which calls have what they need, and what is shown is kept.

    With `is_main` it runs as the main program, as the notebook does.
    """
    edits = Edits(cell.source)
    seen = next((each for each in run.cells if each.cell == cell.number), None)
    definitions = {each.name: each for each in standing.definitions}
    calls = {id(node.func): node for node in ast.walk(cell.tree) if isinstance(node, ast.Call)}
    needs = standing.needs
    # Whether what was not shown would have changed later, nobody has seen.
    is_unseen = displays.varies and not (seen is not None and seen.shows)
    as_it_is = "as_it_is=True" if is_unseen or (seen is not None and seen.shows_what_changes) else ""
    for use in uses(cell.tree):
        name = use.node.id
        if name in needs:
            given = ", ".join(f"{need}={need}" for need in needs[name])
            if id(use.node) in calls:
                _give(edits, calls[id(use.node)], cell.source, given)
            else:
                edits.replace(use.node, f"functools.partial({name}, {given})")
        elif name == "__name__" and not is_main:
            edits.replace(use.node, '"__main__"')
        elif name in displays.names:
            _show(edits, use.node, calls.get(id(use.node)), cell, helpers.show, as_it_is)
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Attribute) and node.attr == "display" and ast.unparse(node.value) in displays.modules:
            _show(edits, node, calls.get(id(node)), cell, helpers.show, as_it_is)
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Global) and not is_main:
            edits.replace(node, _reaching(node, standing, is_outside=node in cell.tree.body))
    for node in cell.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in needs:
            _take(edits, definitions[node.name], cell.source)
        # It stands first in the module, and holds for all of it.
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            edits.drop(node.lineno, node.end_lineno or node.lineno)
    last = cell.tree.body[-1] if cell.tree.body else None
    if (
        isinstance(last, ast.Expr)
        and not cell.is_silenced
        and (displays.varies or (seen is not None and seen.shows))
        and _is_shown(last.value, displays)
    ):
        opening, closing = ("(", ")") if _is_bare_tuple(last.value, cell.source) else ("", "")
        closing += f", {as_it_is})" if as_it_is else ")"
        edits.wrap(last.value, f'{helpers.show}("{cell.id}", {opening}', closing)
    lines = edits.done()
    if (seen is not None and seen.figures) or (displays.may_draw and _carries_out(cell)):
        lines.append((f'{helpers.keep_figures}("{cell.id}")', cell.source.count("\n") + 2))
    return lines


def _show(edits: Edits, name: ast.expr, call: ast.Call | None, cell: Step, show: str, as_it_is: str) -> None:
    """Keep what `display` would show."""
    opening = None if call is None else _opening(name, cell.source)
    if call is None or opening is None or not call.args or isinstance(call.args[0], ast.GeneratorExp):
        kept = ", ".join(part for part in (show, f'"{cell.id}"', as_it_is) if part)
        edits.replace(name, f"functools.partial({kept})")
        return
    edits.replace(name, show)
    edits.insert(*opening, f'"{cell.id}", ')
    if as_it_is:
        _give(edits, call, cell.source, as_it_is)


def _opening(name: ast.expr, source: str) -> tuple[int, int] | None:
    """The place right behind the bracket that opens a call of `name`; None where it does not follow the name."""
    assert name.end_lineno is not None
    assert name.end_col_offset is not None
    behind = source.split("\n")[name.end_lineno - 1].encode()[name.end_col_offset :]
    spaces = len(behind) - len(behind.lstrip())
    is_open = behind[spaces : spaces + 1] == b"("
    return (name.end_lineno, name.end_col_offset + spaces + 1) if is_open else None


def _reaching(node: ast.Global, standing: Standing, *, is_outside: bool) -> str:
    """What `global` is in a function: the names of the notebook are those of the function around it."""
    if is_outside:
        return "pass"
    top = [name for name in node.names if name in standing.names]
    around = [name for name in node.names if name not in standing.names]
    parts = [f"global {', '.join(top)}"] if top else []
    return "; ".join([*parts, *([f"nonlocal {', '.join(around)}"] if around else [])])


def _unbound(section: Section, standing: Standing) -> list[str]:
    """The names that functions of the section bind for all of it, and nothing else in it."""
    known = {*section.takes, *standing.names}
    for cell in section.cells:
        own = {name for name, made in bindings(top_level({cell.number: cell.tree})).items()
               if any(name not in global_writes(binding.step.node) for binding in made)}  # fmt: skip
        known |= own
    return sorted({name for cell in section.cells for name in global_writes(cell.tree)} - known)


def _is_shown(value: ast.expr, displays: Displays) -> bool:
    """Whether an expression at the end of a cell may have a value: what only prints or displays has none."""
    if not isinstance(value, ast.Call) or any(keyword.arg == "display_id" for keyword in value.keywords):
        return True
    if isinstance(value.func, ast.Attribute):
        return not (value.func.attr == "display" and ast.unparse(value.func.value) in displays.modules)
    return not (isinstance(value.func, ast.Name) and value.func.id in displays.silent)


def _carries_out(cell: Step) -> bool:
    """Whether a cell calls anything itself, and not only in functions and classes that it defines."""
    left: list[ast.AST] = list(cell.tree.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Call):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(node))
    return False


def _is_bare_tuple(value: ast.expr, source: str) -> bool:
    """Whether the expression is a tuple without brackets of its own, which a call would take for its arguments."""
    if not isinstance(value, ast.Tuple):
        return False
    call = ast.parse(f"f({ast.get_source_segment(source, value)}\n)", mode="eval").body
    assert isinstance(call, ast.Call)
    return not (len(call.args) == 1 and isinstance(call.args[0], ast.Tuple))


def _give(edits: Edits, call: ast.Call, source: str, given: str) -> None:
    line, column, wants_comma = end_of_arguments(call, source)
    only = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if isinstance(only, ast.GeneratorExp) and (only.end_lineno, only.end_col_offset) == (
        call.end_lineno,
        call.end_col_offset,
    ):
        # A generator without brackets of its own must be the only argument; it shares those of the call.
        edits.insert(only.lineno, only.col_offset, "(")
        edits.insert(line, column, f"), {given}")
        return
    edits.insert(line, column, f", {given}" if wants_comma else given)


def _take(edits: Edits, definition: Definition, source: str) -> None:
    """Write what a function needs into its signature, by keyword."""
    node = definition.node
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    arguments = node.args
    needs = ", ".join(definition.needs)
    is_open = bool(arguments.vararg or arguments.kwonlyargs)
    star = "" if is_open else "*, "
    if arguments.kwarg is not None:
        line, column = arguments.kwarg.lineno, arguments.kwarg.col_offset
        text = source.split("\n")[line - 1].encode()
        edits.insert(line, text.rindex(b"**", 0, column), f"{star}{needs}, ")
        return
    line, column, wants_comma = _end_of_signature(node, source)
    edits.insert(line, column, f"{', ' if wants_comma else ''}{star}{needs}")


def _end_of_signature(node: ast.FunctionDef | ast.AsyncFunctionDef, source: str) -> tuple[int, int, bool]:
    """The place of the bracket that closes a function's parameters, and whether a comma is wanted before it."""
    depth, before = 0, ""
    has_begun = False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.start < (node.lineno, node.col_offset):
            continue
        if token.type == tokenize.OP and token.string in "([{":
            depth += 1
            has_begun = True
        elif token.type == tokenize.OP and token.string in ")]}":
            depth -= 1
            if has_begun and depth == 0:
                column = len(source.split("\n")[token.start[0] - 1][: token.start[1]].encode())
                return token.start[0], column, before not in ("(", ",")
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            before = token.string
    raise AssertionError("a function without brackets")
