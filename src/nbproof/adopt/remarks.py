"""What is said of a notebook that was taken over, in words, and what the reader would type to change it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that could not be followed, or had to be decided.

    `cell` counts all cells of the notebook as it was from 1, and is 0 where the whole notebook is meant; `notebook` is
    empty where the folder is. `edit` says what to do, and is empty where nothing needs to be done.
    """

    notebook: str
    cell: int
    line: int
    words: str
    edit: str = ""

    def __str__(self) -> str:
        place = f", cell {self.cell}, line {self.line}" if self.cell else ""
        where = f"{self.notebook}{place}: " if self.notebook else ""
        return where + self.words


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A piece of code that became the name of a product, of an upstream product or of data."""

    notebook: str
    cell: int
    line: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.notebook}, cell {self.cell}, line {self.line}: `{self.old}` → `{self.new}`"
