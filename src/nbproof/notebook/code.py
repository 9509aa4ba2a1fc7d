"""What decides whether a notebook's code changed: comments, markdown and whitespace do not."""

from __future__ import annotations

import ast
import json
from functools import lru_cache

from ..errors import NotebookInvalid
from ..records import ContentHash
from .document import Cell, Document
from .syntax import cell_tree, is_silenced

INJECTED = "injected-parameters"
# With these a cell is skipped, may fail, or is followed by the injected parameters.
EXECUTION_TAGS = frozenset({"parameters", "raises-exception", "skip-execution"})


def normalised(document: Document) -> tuple[str, ...]:
    """Return one string for each code cell that has any code; raise `NotebookInvalid` on a syntax error.

    Python is reduced to its syntax tree, so that a comment or a blank line changes nothing.
    A final `;`, magics, shell lines and the bodies of cell magics count, and so do the tags that change
    execution. Cells tagged `injected-parameters` are left out: what is injected counts as parameter values.
    Other languages count as they are written, less trailing whitespace.
    """
    cells = (cell for cell in document.cells if cell.kind == "code" and INJECTED not in cell.tags)
    strings = (_normalised_cell(document, cell) for cell in cells)
    return tuple(string for string in strings if string)


def code_hash(document: Document) -> ContentHash:
    """Return the hash of the normalised code and of the language it is written in."""
    language = "python" if document.is_python else document.language.lower()
    spelled = json.dumps([language, *normalised(document)], ensure_ascii=True, separators=(",", ":"))
    return ContentHash.of(spelled.encode("ascii"))


def _normalised_cell(document: Document, cell: Cell) -> str:
    tags = sorted(EXECUTION_TAGS.intersection(cell.tags))
    code = _python(document, cell) if document.is_python else cell.source.rstrip()
    # An empty parameters cell still says where the parameters go.
    if not code and "parameters" not in tags:
        return ""
    return f"{','.join(tags)}|{code}"


def _python(document: Document, cell: Cell) -> str:
    try:
        return _dumped(cell.source)
    except SyntaxError as error:
        # A cell that may fail may fail by its syntax; then it counts as written.
        if "raises-exception" in cell.tags:
            return f"unreadable {cell.source.rstrip()}"
        number = document.cells.index(cell) + 1
        found = f"a syntax error in cell {number} ({cell.id}), line {error.lineno or 1}: {error.msg}"
        raise NotebookInvalid(
            document.path, found, "code that Python can read", hint=f"jupyter lab {document.path}"
        ) from None


@lru_cache(maxsize=4096)
def _dumped(source: str) -> str:
    tree = cell_tree(source)
    if not tree.body:
        return ""
    silenced = ";" if is_silenced(source) else ""
    return ast.dump(tree) + silenced
