"""The page on refusals names each of them, and says of each what would be wrong otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nbproof import errors

PAGE = Path(__file__).parents[2] / "docs/concepts/refusals.md"


def below(kind: type[errors.NbproofError]) -> Iterator[str]:
    """The names of the errors of that kind in the tree."""
    for found in kind.__subclasses__():
        if found.__module__ == errors.__name__:
            yield found.__name__
            yield from below(found)


def rows() -> dict[str, list[str]]:
    """The rows of the table, by the name of the refusal."""
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in found}


def test_every_refusal_is_explained() -> None:
    """Each class below `Refused` has its row, and no row is of a class that is gone."""
    assert set(rows()) == set(below(errors.Refused))


def test_every_row_says_what_why_and_what_then() -> None:
    """No cell of the table is empty."""
    assert {name: len([cell for cell in cells if cell]) for name, cells in rows().items()} == dict.fromkeys(rows(), 3)
