"""Notebooks read as values, and files that are none."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nbproof.errors import NotebookInvalid
from nbproof.notebook.document import Cell, read

CONTENT: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "credit", "display_name": "Credit", "language": "python"}},
    "cells": [
        {"id": "intro", "cell_type": "markdown", "metadata": {}, "source": ["# One\n", "two"]},
        {
            "id": "parameters",
            "cell_type": "code",
            "metadata": {"tags": ["parameters"]},
            "source": "rows: int = 1",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}],
            "execution_count": 3,
        },
        {"id": "note", "cell_type": "raw", "metadata": {}, "source": ""},
    ],
}


def write(folder: Path, content: Any, name: str = "notebook.ipynb") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def changed(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(CONTENT)) | changes


def without_ids() -> dict[str, Any]:
    content = changed(nbformat_minor=4)
    for cell in content["cells"]:
        del cell["id"]
    return content


def test_cells_tags_and_kernel_are_read(tmp_path: Path) -> None:
    """A document holds each cell's kind, whole source and tags, and the kernel it asks for."""
    document = read(write(tmp_path, CONTENT))

    assert document.cells == (
        Cell("intro", "markdown", "# One\ntwo"),
        Cell("parameters", "code", "rows: int = 1", ("parameters",)),
        Cell("note", "raw", ""),
    )
    assert (document.kernel, document.language, document.is_python) == ("credit", "python", True)
    assert document.tagged("parameters") == (document.cells[1],)


def test_a_node_is_a_fresh_valid_copy(tmp_path: Path) -> None:
    """Changing a node changes neither the document nor the next node."""
    document = read(write(tmp_path, CONTENT))

    node = document.node()
    nbformat.validate(node)
    node.cells[0].source = "changed"
    node.cells[1].outputs.clear()

    assert document.node().cells[0].source == "# One\ntwo"
    assert document.node().cells[1].outputs[0].text == "a\nb"


def test_missing_ids_are_made_from_positions(tmp_path: Path) -> None:
    """A notebook older than cell ids gets the same ids at every reading, without a warning."""
    path = write(tmp_path, without_ids())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = read(path), read(path)
        nbformat.validate(first.node())

    assert [cell.id for cell in first.cells] == ["cell-1", "cell-2", "cell-3"]
    assert first == second


def test_a_repeated_id_is_replaced(tmp_path: Path) -> None:
    """Two cells never share an id, and a made id never meets one that is there."""
    content = changed()
    for cell, id_ in zip(content["cells"], ("same", "cell-3", "same"), strict=True):
        cell["id"] = id_

    document = read(write(tmp_path, content))

    assert [cell.id for cell in document.cells] == ["same", "cell-3", "cell-3-2"]


def test_a_notebook_without_metadata_runs_on_python3(tmp_path: Path) -> None:
    """The kernel is python3 and the language Python where the file says nothing."""
    document = read(write(tmp_path, changed(metadata={}, cells=[])))

    assert (document.kernel, document.language, document.cells) == ("python3", "python", ())


OLD_CODE = {"cell_type": "code", "language": "python", "collapsed": False, "prompt_number": 3, "outputs": []}
OLD_OUTPUT = {"output_type": "pyout", "prompt_number": 3, "metadata": {}, "text": ["2"]}


def test_a_notebook_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """The cells of a worksheet are cells, a heading is markdown, and each reading gives the same ids."""
    cells = [
        {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Sums"]},
        {**OLD_CODE, "metadata": {"tags": ["parameters"]}, "input": ["rows = 2\n", "rows"], "outputs": [OLD_OUTPUT]},
    ]
    content = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    path = write(tmp_path, content)

    document = read(path)

    assert [(cell.id, cell.kind, cell.source, cell.tags) for cell in document.cells] == [
        ("cell-1", "markdown", "## Sums", ()),
        ("cell-2", "code", "rows = 2\nrows", ("parameters",)),
    ]
    assert document.content == read(path).content
    nbformat.validate(document.node())


@pytest.mark.parametrize("suffix", [".py", ".md"])
def test_text_notebooks_are_the_notebook_they_came_from(tmp_path: Path, suffix: str) -> None:
    """A percent script or a markdown notebook has the cells of the .ipynb that jupytext wrote it from."""
    import jupytext

    content = without_ids()
    content["cells"] = content["cells"][:2]
    content["cells"][1]["source"] = "%matplotlib inline\nrows: int = 1"
    original = read(write(tmp_path, content))
    text = jupytext.writes(original.node(), fmt="py:percent" if suffix == ".py" else "md")

    document = read(write(tmp_path, text, f"notebook{suffix}"))

    assert document.cells == original.cells
    assert document.kernel == original.kernel
    nbformat.validate(document.node())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file"),
        ("hello", "no JSON (line 1)"),
        ("[1, 2]", "JSON that is no notebook"),
        ('{"a": 1}', "JSON that is no notebook"),
        (json.dumps(CONTENT)[:200], "a notebook cut short"),
        (json.dumps(CONTENT)[:-1], "a notebook cut short"),
        (changed(nbformat=3), "nbformat 3 that cannot be brought up to date, expected nbformat 4"),
        (changed(nbformat=True), "nbformat True, expected nbformat 4"),
        (changed(nbformat=5), "nbformat 5, expected nbformat 4"),
        (changed(nbformat="4"), "nbformat '4', expected nbformat 4"),
        (changed(nbformat_minor=None), "$.nbformat_minor"),
        (changed(metadata=[]), "$.metadata"),
        (changed(metadata={"kernelspec": {"name": 1}}), "$.metadata.kernelspec"),
        (changed(cells={}), "$.cells"),
        (changed(cells=["a"]), "$.cells"),
        (changed(cells=[{"cell_type": "code", "metadata": {}, "source": ""}]), "no outputs @ $.cells[0].outputs"),
        (changed(cells=[{"cell_type": "heading", "metadata": {}, "source": ""}]), "$.cells[0].cell_type"),
        (changed(cells=[{"cell_type": "markdown", "source": ""}]), "no metadata @ $.cells[0].metadata"),
        (changed(cells=[{"cell_type": "markdown", "metadata": {}, "source": [1]}]), "$.cells[0].source"),
        (changed(cells=[{"cell_type": "markdown", "metadata": {"tags": "a"}, "source": ""}]), "bad tags"),
        (changed(cells=[{"id": "a b", "cell_type": "markdown", "metadata": {}, "source": ""}]), "a bad id"),
    ],
)
def test_a_file_that_is_no_notebook_is_refused_in_one_line(tmp_path: Path, content: Any, message: str) -> None:
    """The error says what was found and what to type next."""
    path = write(tmp_path, content)

    with pytest.raises(NotebookInvalid) as caught:
        read(path)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


OUTPUTS = [
    {"output_type": "stream", "name": "stdout", "text": "a"},
    {"output_type": "stream", "text": "a"},
    {"output_type": "display_data", "data": {"text/plain": "a"}, "metadata": {}},
    {"output_type": "display_data", "data": []},
    {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": 1},
    {"output_type": "execute_result", "data": {}, "metadata": {}, "execution_count": -1},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
    {"output_type": "error", "ename": "E", "evalue": "v", "traceback": "t"},
    {"output_type": "unknown"},
    "text",
]


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_are_judged_as_nbformat_judges_them(tmp_path: Path, output: Any) -> None:
    """What the schema of nbformat refuses in an output is refused, and nothing else."""
    content = changed()
    content["cells"][1]["outputs"] = [output]
    try:
        nbformat.validate(json.loads(json.dumps(content)))
        is_valid = True
    except nbformat.ValidationError:
        is_valid = False

    try:
        read(write(tmp_path, content))
        is_read = True
    except NotebookInvalid:
        is_read = False

    assert is_read == is_valid


@pytest.mark.parametrize("name", ["missing.ipynb", "folder", "notebook.txt", "notebook"])
def test_what_is_no_notebook_file_is_refused(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and a foreign ending each have their error."""
    (tmp_path / "folder").mkdir()
    for other in ("notebook.txt", "notebook"):
        (tmp_path / other).write_text("a")

    with pytest.raises(NotebookInvalid, match=r"no such file|a folder|a file ending in|without an ending"):
        read(tmp_path / name)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """A binary file called .ipynb is named as such."""
    path = tmp_path / "picture.ipynb"
    path.write_bytes(b"\x89PNG\xff")

    with pytest.raises(NotebookInvalid, match="no UTF-8 at offset 0"):
        read(path)
