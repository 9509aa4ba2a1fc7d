"""The page that shows exported code shows what is exported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.export_shown import HEAD, NOTEBOOKS, steps_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/concepts/exported-code.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_page_shows_what_is_exported(name: str) -> None:
    """Written anew by `python -m benchmarks.export_shown > docs/concepts/exported-code.md`."""
    assert f"````python\n{steps_of(ROOT / 'tests/notebooks' / name)}````" in PAGE


def test_the_page_is_complete() -> None:
    """Its head, and each of the notebooks."""
    assert PAGE.startswith(HEAD)
    assert [line for line in PAGE.splitlines() if line.startswith("## ") and line.endswith(".ipynb")] == [
        f"## {Path(name).name}" for name in NOTEBOOKS
    ]
