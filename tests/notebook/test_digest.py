"""The digest: blind to what a run leaves, open-eyed to what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jupytext
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.digest import digest
from nbproof.notebook.document import Cell, Document, read

TAGS = st.lists(st.sampled_from(["parameters", "hide", "raises-exception"]), unique=True, max_size=3).map(tuple)
CELLS = st.builds(Cell, st.just("c"), st.sampled_from(["code", "markdown", "raw"]), st.text(max_size=40), TAGS)
NOTEBOOKS = st.lists(CELLS, min_size=1, max_size=4)


def notebook(cells: list[Cell], language: str = "python") -> Document:
    return Document(Path("n.ipynb"), tuple(cells), language=language)


def renamed(cell: Cell, id_: str) -> Cell:
    return Cell(id_, cell.kind, cell.source, cell.tags)


@given(NOTEBOOKS, st.text(max_size=20), st.integers(0, 4))
def test_ids_and_injected_cells_do_not_count(cells: list[Cell], source: str, place: int) -> None:
    """The digest outlives new cell ids and a cell that a runner injected."""
    injected = Cell("new", "code", source, ("injected-parameters",))
    other = [renamed(cell, f"id-{number}") for number, cell in enumerate(cells)]
    other.insert(place, injected)

    assert digest(notebook(other)) == digest(notebook(cells))


@given(NOTEBOOKS, st.data())
def test_any_change_of_a_source_counts(cells: list[Cell], data: st.DataObject) -> None:
    """One other character anywhere gives another digest."""
    at = data.draw(st.integers(0, len(cells) - 1))
    source = data.draw(st.text(max_size=40).filter(lambda text: text != cells[at].source))
    changed = [*cells]
    changed[at] = Cell("c", cells[at].kind, source, cells[at].tags)

    assert digest(notebook(changed)) != digest(notebook(cells))


@given(NOTEBOOKS, TAGS, st.data())
def test_any_change_of_tags_counts_but_their_order_does_not(cells: list[Cell], tags: Any, data: st.DataObject) -> None:
    """The digest sees a cell's set of tags."""
    at = data.draw(st.integers(0, len(cells) - 1))
    changed = [*cells]
    changed[at] = Cell("c", cells[at].kind, cells[at].source, tags)

    is_same = digest(notebook(changed)) == digest(notebook(cells))

    assert is_same == (set(tags) == set(cells[at].tags))


@given(NOTEBOOKS)
def test_order_and_number_of_cells_count(cells: list[Cell]) -> None:
    """A cell more is another notebook."""
    assert digest(notebook([*cells, cells[0]])) != digest(notebook(cells))


def test_the_kind_and_the_language_count() -> None:
    """The same words as code, as markdown and in R are three contents."""
    code, markdown = Cell("c", "code", "x"), Cell("c", "markdown", "x")

    found = {digest(notebook([code])), digest(notebook([markdown])), digest(notebook([code], "R"))}

    assert len(found) == 3


def content(**cell: Any) -> dict[str, Any]:
    code = {
        "id": "a",
        "cell_type": "code",
        "metadata": {},
        "source": "x = 1\nx",
        "outputs": [],
        "execution_count": None,
    }
    text = {"id": "b", "cell_type": "markdown", "metadata": {}, "source": "# Title"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{**code, **cell}, text]}


def saved(folder: Path, name: str, notebook: dict[str, Any]) -> Document:
    (folder / name).write_text(json.dumps(notebook))
    return read(folder / name)


def test_running_a_notebook_keeps_its_digest(tmp_path: Path) -> None:
    """Outputs, execution counts, timings and kernel metadata do not count."""
    ran = content(
        execution_count=7,
        outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}],
        metadata={"papermill": {"duration": 0.1}},
        source=["x = 1\n", "x"],
    )
    ran["metadata"] = {"kernelspec": {"name": "other", "display_name": "Other"}, "papermill": {"version": "2"}}

    assert digest(saved(tmp_path, "ran.ipynb", ran)) == digest(saved(tmp_path, "new.ipynb", content()))


def test_an_attached_image_counts(tmp_path: Path) -> None:
    """A reader sees an attachment, so another image is another content."""
    first, second = content(), content()
    first["cells"][1]["attachments"] = {"a.png": {"image/png": "AAAA"}}
    second["cells"][1]["attachments"] = {"a.png": {"image/png": "AAAB"}}

    assert digest(saved(tmp_path, "a.ipynb", first)) != digest(saved(tmp_path, "b.ipynb", second))


@pytest.mark.parametrize("suffix", [".py", ".md"])
def test_a_text_notebook_has_the_digest_of_its_ipynb(tmp_path: Path, suffix: str) -> None:
    """One content has one digest, in whichever format it is kept."""
    original = saved(tmp_path, "a.ipynb", content(metadata={"tags": ["parameters"]}))
    text = jupytext.writes(original.node(), fmt="py:percent" if suffix == ".py" else "md")
    (tmp_path / f"a{suffix}").write_text(text)

    assert digest(read(tmp_path / f"a{suffix}")) == digest(original)


def test_the_digest_is_written_out() -> None:
    """The spelling that is hashed never changes by accident: signed digests rest on it."""
    document = notebook([Cell("any", "code", "x = 1", ("b", "a")), Cell("other", "markdown", "é")])

    assert digest(document).hex == "0addb5cd3b6cce9ec15b765aac180e7773b0439324d1f4f4c4cd38164b19b7aa"
