"""Three notebooks and the code that nbproof makes of them, as a page of the documentation.

python -m benchmarks.export_shown > docs/concepts/exported-code.md
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbproof.export.draft import draft
from nbproof.notebook import document as documents

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {
    "exported/rents.ipynb": "Parameters, a table, a model, and a function that reads names of the notebook.",
    "public/number_bracelets.ipynb": "By Peter Norvig, public: names of types, functions, asserts, and words.",
    "public/trapezoid_rule.ipynb": "A public notebook with arrays, a figure, and a heading that is the only one.",
}
HEAD = """\
# What exported code looks like

Each notebook below stands beside the module that `nbproof export` makes of it.
This page is written by `python -m benchmarks.export_shown`, and a test holds it true.

What was done to the code, and what was not:

- No statement moves, but for imports, constants and definitions that mean the same at the top of a module; functions take the names of the notebook that they read.
- Types are those that were seen while the notebook ran, or those that it declares; where nothing was seen, `object` or `Any` say so. They are imported for type checkers alone.
- A function without a docstring gets one line, made of its name; words of the notebook become docstrings of sections.
- Long sections are cut between cells, where the fewest names have to cross.
- Code is formatted by ruff. What ruff finds in an author's own code, with its default rules and those for docstrings and annotations, is mended where that changes nothing, and named in a `noqa` where it stands.
- What mypy finds is named in the same way.
- The values are proven equal after all of this, never before.

A function whose decorator may read annotations gets none: a web framework, say, does something else for it.
"""  # noqa: E501 (in the documentation a sentence is a line)


def main() -> None:
    print("\n".join(page()), end="")


def page() -> Iterator[str]:
    """The lines of the page."""
    yield HEAD
    for name, words in NOTEBOOKS.items():
        yield f"## {Path(name).name}\n\n{words}\n"
        yield f"The notebook:\n\n````python\n{_cells(ROOT / 'tests/notebooks' / name)}\n````\n"
        yield f"Its steps:\n\n````python\n{steps_of(ROOT / 'tests/notebooks' / name)}````\n"


def _cells(notebook: Path) -> str:
    cells = []
    for cell in documents.read(notebook).cells:
        lines = cell.source.strip().split("\n")
        if cell.kind == "markdown":
            lines = [f"# {line}".rstrip() for line in lines]
        cells.append("\n".join([f"# %%{' [markdown]' if cell.kind == 'markdown' else ''}", *lines]))
    return "\n\n".join(cells)


def steps_of(notebook: Path) -> str:
    """The module that is made of a notebook, which runs in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(shutil.copy(notebook, place))
        return draft(copy, checks_types=True).files["steps.py"]


if __name__ == "__main__":
    main()
