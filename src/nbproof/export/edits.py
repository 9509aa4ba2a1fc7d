"""Changes to a text of Python at places that its syntax tree names; all else stays as it was written."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Edit:
    start: tuple[int, int]
    end: tuple[int, int]
    text: str


class Edits:
    """Collects changes to one source, and carries them out together. Lines count from 1, columns are bytes from 0."""

    def __init__(self, source: str) -> None:
        self._lines = [line.encode() for line in source.split("\n")]
        self._edits: list[_Edit] = []
        self._dropped: set[int] = set()

    def replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        """Put `text` in the place of an expression or a statement."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        self._edits.append(_Edit((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset), text))

    def insert(self, line: int, column: int, text: str) -> None:
        """Put `text` before what stands at a place."""
        self._edits.append(_Edit((line, column), (line, column), text))

    def wrap(self, node: ast.expr | ast.stmt, before: str, after: str) -> None:
        """Put an expression or a statement between two texts."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        self.insert(node.lineno, node.col_offset, before)
        self.insert(node.end_lineno, node.end_col_offset, after)

    def drop(self, first: int, last: int) -> None:
        """Leave lines out."""
        self._dropped.update(range(first, last + 1))

    def done(self) -> list[tuple[str, int]]:
        """The lines as changed, each with the line that it came from."""
        lines = list(self._lines)
        # From the end, so that what stands further up keeps its place, and what is put before a text goes before what
        # stands in its place; of two that are put at one place, the later stands first.
        for edit in sorted(self._edits, key=lambda edit: (edit.start, edit.end), reverse=True):
            (first, start), (last, end) = edit.start, edit.end
            before, after = lines[first - 1][:start], lines[last - 1][end:]
            lines[first - 1] = before + edit.text.encode() + after
            for gone in range(first, last):
                # What stood on several lines stands on one now.
                lines[gone] = b"\0"
        return [
            (line.decode(), at) for at, line in enumerate(lines, start=1) if line != b"\0" and at not in self._dropped
        ]


def end_of_arguments(call: ast.Call, source: str) -> tuple[int, int, bool]:
    """The place of a call's closing bracket, and whether a comma is wanted before another argument."""
    assert call.end_lineno is not None
    assert call.end_col_offset is not None
    column = call.end_col_offset - 1
    end = call.end_lineno, len(source.split("\n")[call.end_lineno - 1].encode()[:column].decode())
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.start >= end:
            break
        if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE):
            before = token.string
    return call.end_lineno, column, bool(call.args or call.keywords) and before != ","
