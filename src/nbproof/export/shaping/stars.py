"""`from module import *` as the names that the notebook really uses: what a star brings is known from a watched run."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import replace

from ...notebook.dataflow import bindings, names_read, steps
from ..edits import Edits
from ..reading import Step
from ..watching.seen import Run, Seen


def resolved(cells: Sequence[Step], run: Run) -> list[Step]:
    """The cells with each star written out."""
    seen = {each.cell: each for each in run.cells}
    if not any(each.stars for each in seen.values()):
        return list(cells)
    bound = bindings(steps({cell.number: cell.tree for cell in cells}))
    used = set(bound).union(*(names_read(cell.tree) for cell in cells), *(each.reads for each in run.cells))
    return [_resolved(cell, seen[cell.number], used) if cell.number in seen else cell for cell in cells]


def _resolved(cell: Step, seen: Seen, used: Collection[str]) -> Step:
    brought = dict(seen.stars)
    stars = [node for node in ast.walk(cell.tree) if isinstance(node, ast.ImportFrom) and is_star(node, brought)]
    if not stars:
        return cell
    edits = Edits(cell.source)
    for node in stars:
        names = sorted(name for name in set(brought[str(node.module)]) if name in used)
        # What nobody uses still has to be loaded, under no name.
        text = f"from {node.module} import {', '.join(names)}" if names else f'__import__("{node.module}")'
        edits.replace(node, text)
    source = "\n".join(text for text, _ in edits.done())
    return replace(cell, source=source, tree=ast.parse(source))


def is_star(node: ast.ImportFrom, brought: Collection[str]) -> bool:
    """Whether it imports all that a module offers, and it is known what that is."""
    return not node.level and node.names[0].name == "*" and node.module in brought
