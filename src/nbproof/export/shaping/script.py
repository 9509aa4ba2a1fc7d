"""A notebook as one module that runs from its top to its end: the shape that changes the least.

Names are global as in the notebook, and so whatever a function, a class or a library does with them stays as it was.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence

from ..reading import Step
from ..watching.seen import Run
from .module import Displays, Helpers, Line, Module, changed, one_line, waits
from .standing import Standing

_WIDTH = 86


def can_be_script(steps: Sequence[Step]) -> bool:
    """Whether the cells can follow one another in a module: there no code waits at the top level."""
    return not any(waits(step.tree) for step in steps)


def script(title: str, steps: Sequence[Step], run: Run, *, varies: bool = False) -> Module:
    """Write the module `steps`; it `varies` where the notebook has parameters."""
    helpers = Helpers.beside({name for cell in run.cells for name in cell.binds})
    displays = Displays.of(steps, varies=varies)
    body: list[Line] = []
    for step in steps:
        body += [("", None), *((text, None) for text in _words(step))]
        lines = changed(step, Standing(), run, helpers, displays, is_main=True)
        while lines and not lines[0][0].strip():
            lines.pop(0)
        body += [(text, (step.number, at)) for text, at in lines]
    text = "\n".join(text for text, _ in body)
    features = sorted(set(_features(steps)))
    lines_above: list[Line] = [(one_line(title), None), ("", None)]
    if features:
        lines_above += [(f"from __future__ import {', '.join(features)}", None), ("", None)]
    imports = [f"import {name}" for name in ("functools",) if f"{name}.partial({helpers.show}" in text]
    imports += helpers.imports(text)
    whole = [*lines_above, *((line, None) for line in imports), *body]
    return Module("\n".join(text for text, _ in whole).rstrip() + "\n", tuple(origin for _, origin in whole))


def _features(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        for node in step.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                yield from (alias.name for alias in node.names)


def _words(step: Step) -> Iterator[str]:
    """The heading and the words above a cell, as comments."""
    title = step.title if step.is_first_below else ""
    for paragraph in re.split(r"\n", "\n\n".join(part for part in (title, step.words) if part)):
        wrapped = textwrap.wrap(paragraph, _WIDTH) or ([""] if title or step.words else [])
        yield from (f"# {line}".rstrip() for line in wrapped)
