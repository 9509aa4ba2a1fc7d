"""From text that does the right thing to code that is pleasant to read: typed, documented, formatted, lint-clean."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ..watching.kinds import ANY, alternatives, united
from ..watching.seen import Run
from .annotating import Facts, Signature, annotated
from .documenting import commanding, documented, quoting
from .flow import Section
from .following import followed
from .module import Module
from .parameters import Parameters
from .tidying import findings, formatted, tidied

_WHERE = {"Path": "pathlib.Path", "date": "datetime.date", "datetime": "datetime.datetime", "Literal": "typing.Literal"}


def polished(module: Module, sections: Sequence[Section], run: Run, asked: Parameters) -> Module:
    """Write types, docstrings and layout into a module. No statement moves, and none does anything else.

    `sections` are its functions, `run` one that was watched while somebody listened to calls, and `asked` what the
    caller gives, whose types the notebook declares.
    """
    try:
        ast.parse(module.text)
    except SyntaxError:
        # It will not run, and that is how it is told.
        return module
    facts = _facts(sections, run, asked)
    text = formatted(module.text)
    text = annotated(text, followed(module.text, module.origins, text), facts)
    text = formatted(documented(text))
    text = commanding(text, _rows(text, "D401"))
    text = tidied(quoting(text, _rows(text, "D400", "D401", "D404"), {section.name for section in sections}))
    return Module(text, followed(module.text, module.origins, text))


def _rows(text: str, *codes: str) -> list[int]:
    return [each["location"]["row"] for each in findings(text) if each["code"] in codes]


def _facts(sections: Sequence[Section], run: Run, asked: Parameters) -> Facts:
    seen = {cell.cell: cell for cell in run.cells}
    declared = {each.name: kind_declared(each.annotation) for each in asked.taken}
    kinds: dict[str, str] = {}
    for cell in run.cells:
        kinds |= cell.kinds
    # What a name of the notebook is for a function that is given it, however often it is called.
    names = kinds | declared
    known: dict[str, Signature] = {}
    for section in sections:
        own = [cell.number for cell in section.cells if cell.number in seen]
        before: dict[str, str] = {}
        for cell in run.cells:
            if own and cell.cell < own[0]:
                before |= cell.kinds
        before |= {name: kind for name, kind in declared.items() if name in section.takes}
        after, changed = dict(before), set()
        for number in own:
            after |= seen[number].kinds
            changed |= {*seen[number].mutates}
        takes = {
            # What is put into a container within the section belongs to its type, too.
            name: _grown(before.get(name, ANY), after.get(name, ANY)) if name in changed else before.get(name, ANY)
            for name in section.takes
        }
        known[section.name] = Signature(takes, _returned(section.gives, after))
    return Facts(known, {(each.cell, each.line): each for each in run.calls}, names)


def kind_declared(annotation: str) -> str:
    """A declared type without its limits, by full names: `Annotated[float, Ge(0)]` is `float`."""
    tree = ast.parse(annotation, mode="eval").body
    if isinstance(tree, ast.Subscript) and ast.unparse(tree.value) == "Annotated":
        assert isinstance(tree.slice, ast.Tuple)
        return kind_declared(ast.unparse(tree.slice.elts[0]))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = _WHERE.get(node.id, node.id)
    return ast.unparse(tree)


def _returned(gives: Sequence[str], kinds: Mapping[str, str]) -> str:
    if not gives:
        return "None"
    if len(gives) == 1:
        return kinds.get(gives[0], ANY)
    return f"tuple[{', '.join(kinds.get(name, ANY) for name in gives)}]"


def _grown(before: str, after: str) -> str:
    """One type for a value that changed in place; another one altogether was bound anew."""
    found = united([before, after])
    return found if len(list(alternatives(found))) == 1 else before
