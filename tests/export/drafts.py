"""Tiny notebooks for the tests of the exporter, and their drafts."""

from __future__ import annotations

from pathlib import Path

import nbformat

from nbproof.export.draft import Draft, draft


def notebook(folder: Path, cells: tuple[str, ...]) -> Path:
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": "python"}})
    for cell in cells:
        is_heading = cell.startswith("# ")
        made.cells.append((nbformat.v4.new_markdown_cell if is_heading else nbformat.v4.new_code_cell)(cell))
    path = folder / "notebook.ipynb"
    nbformat.write(made, path)
    return path


def drafted(folder: Path, cells: tuple[str, ...]) -> Draft:
    return draft(notebook(folder, cells), timeout_s=300)
