"""A tiny project below a server's root: `make` → `use` → `tell`; `use` waits for a file, so that a test sees it run."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS = "[tool.nbproof]\ntracking = false\nworkers = 1\n"
PIPELINE = """\
meta: {extract_upstream: true}
tasks:
  - {source: make.ipynb, name: make, product: {nb: build/make.ipynb, data: build/data.txt}}
  - {source: use.ipynb, name: use, product: {nb: build/use.ipynb}}
  - {source: tell.ipynb, name: tell, product: {nb: build/tell.ipynb}}
"""
CELLS = {
    "make": (
        "from typing import Annotated, Literal\n"
        "from annotated_types import Ge\n"
        "from nbproof.notebook.secrets import Secret\n"
        "upstream = None\nproduct = None\n"
        "rows: Annotated[int, Ge(1)] = 3\n"
        'kind: Literal["a", "b"] = "a"\n'
        'token: Secret = "env:HOME"\n'
        "quick: bool = True",
        "open(product['data'], 'w').write('line\\n' * rows)\nprint('made', rows)",
    ),
    "use": (
        "upstream = ['make']\nproduct = None",
        "lines = open(upstream['make']['data']).read().splitlines()\nprint('read', len(lines))",
        "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.05)",
        "assert 'broken' not in lines\nassert len(lines) < 100, 'too many lines'",
    ),
    "tell": ("upstream = ['use']\nproduct = None", "print('told')"),
}


def write_project(folder: Path) -> Path:
    """Write the project; the file that `use` waits for is there."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "go").touch()
    for name, cells in CELLS.items():
        write_notebook(folder / f"{name}.ipynb", *cells)
    return folder


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook whose first cell is its contract."""
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": f"cell-{number}", "metadata": {"tags": [] if number else ["parameters"]},
             "source": source, "outputs": [], "execution_count": None}
            for number, source in enumerate(cells)
        ],
    }  # fmt: skip
    path.write_text(json.dumps(content))


def edit(path: Path, old: str, new: str) -> None:
    """Change the source of a notebook."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
