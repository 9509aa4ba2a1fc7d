"""How the sources of two notebooks differ, cell by cell and line by line: plain values in and out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Change = Literal["same", "changed", "added", "removed"]
Mark = Literal[" ", "+", "-"]

MOST_CELLS, MOST_LINES, LONGEST_LINE = 1000, 4000, 2000
ALIKE = 0.4
# How far ahead a cell's partner is looked for, and up to which size cells are compared line by line and letter by
# letter: these take time with the square of the size.
LOOK_AHEAD, LINES_COMPARED, LETTERS_COMPARED = 8, 2000, 500


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell as it was written."""

    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell of either notebook; `left` and `right` are its numbers there, from 1 (None: it is not there).

    `lines` are those of both, each with a mark: `-` only left, `+` only right. A cell that is the same has none.
    """

    change: Change
    kind: str
    left: int | None
    right: int | None
    lines: tuple[tuple[Mark, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDifference:
    """The cells in order; `is_whole` is false when there were more cells or lines than are listed."""

    cells: tuple[CellChange, ...]
    is_whole: bool

    @property
    def is_same(self) -> bool:
        """Whether the notebooks say the same; what was not looked at is not the same."""
        return self.is_whole and all(cell.change == "same" for cell in self.cells)


def differences(left: Sequence[Cell], right: Sequence[Cell]) -> SourceDifference:
    """Line up the cells of two notebooks, and mark what is only in one of them."""
    is_whole = len(left) <= MOST_CELLS and len(right) <= MOST_CELLS
    found: list[CellChange] = []
    room = MOST_LINES
    for change in _aligned(left[:MOST_CELLS], right[:MOST_CELLS]):
        room -= len(change.lines)
        if room < 0:
            is_whole = False
            break
        found.append(change)
    return SourceDifference(tuple(found), is_whole)


def _aligned(left: Sequence[Cell], right: Sequence[Cell]) -> Iterator[CellChange]:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                yield CellChange("same", left[i].kind, i + 1, j + 1)
        else:
            yield from _replaced(left, right, range(i1, i2), range(j1, j2))


def _replaced(left: Sequence[Cell], right: Sequence[Cell], old: range, new: range) -> Iterator[CellChange]:
    """A stretch of cells that became another stretch: cells that resemble one another are changed, the rest is not."""
    j = new.start
    for i in old:
        ahead = range(j, min(j + LOOK_AHEAD, new.stop))
        partner = next((k for k in ahead if _is_alike(left[i], right[k])), None)
        if partner is None:
            yield CellChange("removed", left[i].kind, i + 1, None, _marked("-", left[i].source))
            continue
        for k in range(j, partner):
            yield CellChange("added", right[k].kind, None, k + 1, _marked("+", right[k].source))
        lines = tuple(_changed_lines(left[i].source, right[partner].source))
        yield CellChange("changed", right[partner].kind, i + 1, partner + 1, lines)
        j = partner + 1
    for k in range(j, new.stop):
        yield CellChange("added", right[k].kind, None, k + 1, _marked("+", right[k].source))


def _is_alike(one: Cell, other: Cell) -> bool:
    if one.kind != other.kind:
        return False
    old, new = _lines(one.source), _lines(other.source)
    if max(len(old), len(new)) > LINES_COMPARED:
        return False
    if _ratio(old, new) >= ALIKE:
        return True
    # Cells of a line or two share few whole lines even when they are nearly the same.
    is_short = max(len(one.source), len(other.source)) <= LETTERS_COMPARED
    return is_short and _ratio(one.source, other.source) >= ALIKE


def _ratio(one: Sequence[str], other: Sequence[str]) -> float:
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    # An upper bound comes cheap, and spares most pairs the exact answer.
    return matcher.ratio() if matcher.quick_ratio() >= ALIKE else 0.0


def _changed_lines(left: str, right: str) -> Iterator[tuple[Mark, str]]:
    old, new = _lines(left), _lines(right)
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from ((" ", line[:LONGEST_LINE]) for line in old[i1:i2])
        else:
            yield from (("-", line[:LONGEST_LINE]) for line in old[i1:i2])
            yield from (("+", line[:LONGEST_LINE]) for line in new[j1:j2])


def _marked(mark: Mark, source: str) -> tuple[tuple[Mark, str], ...]:
    return tuple((mark, line[:LONGEST_LINE]) for line in _lines(source))


def _lines(source: str) -> list[str]:
    return source.splitlines()
