"""Tiny notebooks in a project of their own, and the packages that the command line makes of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from nbproof.cli.main import carry_out

Cell = str | tuple[str, list[str]]


def write_notebook(path: Path, *cells: Cell) -> Path:
    """A notebook of these cells; what begins with `# ` is markdown, and tags stand beside a source."""
    made = []
    for number, cell in enumerate(cells, start=1):
        source, tags = cell if isinstance(cell, tuple) else (cell, [])
        metadata = {"tags": tags} if tags else {}
        if source.startswith("# "):
            made.append({"cell_type": "markdown", "id": f"m{number}", "metadata": metadata, "source": source})
        else:
            made.append({"cell_type": "code", "id": f"c{number}", "metadata": metadata, "source": source,
                         "outputs": [], "execution_count": None})  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_project(folder: Path) -> Path:
    """A project with a notebook that reads data, a module of its own, prints and writes; the notebook comes back."""
    (folder / "notebooks/data").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (folder / "notebooks/data/rates.csv").write_text("2\n4\n6\n")
    (folder / "notebooks/own_module.py").write_text("def half(number):\n    return number / 2\n")
    return write_notebook(
        folder / "notebooks/rates.ipynb",
        "# Rates of a year",
        ("rows: int = 2\nscale: float = 1.0", ["parameters"]),
        "# Read the rates",
        "from pathlib import Path\nfrom own_module import half\n"
        "lines = Path('data/rates.csv').read_text().split()\nrates = [int(line) for line in lines[:rows]]\n"
        "print('rows:', len(rates))",
        "# Mean rate",
        "def mean(numbers):\n    # There may be none.\n    return sum(numbers) / len(numbers)\n\n"
        "rate = half(mean(rates)) * scale\nrate",
        "# Write it down",
        "done = Path('rate.txt').write_text(f'{rate}')",
    )


def exported(notebook: Path, *options: str) -> Path:
    """Export a draft by the command; the folder of the package comes back."""
    out = notebook.parent.parent / "made"
    code = carry_out(["export", str(notebook), "--draft", "--out", str(out), *options])
    assert code == 0
    return next(place for place in out.iterdir() if not place.name.startswith("."))


def python(*words: str, folder: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with one folder to import from and nothing of nbproof."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environ["PYTHONPATH"] = str(path)
    return subprocess.run([sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True)
