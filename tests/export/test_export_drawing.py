"""Other values of the parameters: the same each time, allowed by the contract, and near what the notebook runs with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from exported import write_notebook

from nbproof.export.equivalence.drawing import drawn
from nbproof.notebook import contract as contracts
from nbproof.notebook.contract import Contract
from nbproof.notebook.document import read

IMPORTS = "from datetime import date\nfrom pathlib import Path\nfrom typing import Annotated, Literal\n" \
          "from annotated_types import Ge, Le\n"  # fmt: skip


def contract(folder: Path, source: str) -> Contract:
    return contracts.read(read(write_notebook(folder / "n.ipynb", (IMPORTS + source, ["parameters"]))))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("n: int = 5", [6, 4, 10]),
        ("n: Annotated[int, Ge(5), Le(7)] = 5", [6, 7]),
        ("n: Annotated[int, Le(1_000_000)] = 100", [101, 99, 200]),
        ("n: int = 0", [1, -1]),
        ("x: float = 0.5", [0.55, 0.45]),
        ("x: Annotated[float, Ge(0), Le(1)] = 1.0", [0.9, 0.0]),
        ("x: float = 0.0", [0.1, -0.1]),
        ("yes: bool = True", [False]),
        ("kind: Literal['a', 'b', 'c'] = 'b'", ["a", "c"]),
        ("n: int | None = 3", [4, 2, 6, None]),
        ("day: date = date(2026, 2, 28)", ["2026-03-01", "2026-02-27"]),
        ("names: list[str] = ['a', 'b']", [["a"]]),
        ("name: str = 'text'\nwhere: Path = Path('x')", []),
    ],
)
def test_the_neighbours_of_a_value(tmp_path: Path, source: str, values: list[Any]) -> None:
    """The next ones, the ends that are not far off, the other choices; nothing that the contract forbids."""
    found = list(drawn(contract(tmp_path, source), {}))

    assert [value for changed in found for value in changed.values()] == values


def test_many_change_at_once_first(tmp_path: Path) -> None:
    """Then one after the other, each parameter in turn; what was given stays given."""
    given = {"name": "x", "n": 3}

    found = list(drawn(contract(tmp_path, "n: int = 1\nyes: bool = False\nname: str"), given))

    assert found == [
        {"name": "x", "n": 4, "yes": True}, {"name": "x", "n": 4}, {"name": "x", "n": 3, "yes": True},
        {"name": "x", "n": 2}, {"name": "x", "n": 6},
    ]  # fmt: skip
