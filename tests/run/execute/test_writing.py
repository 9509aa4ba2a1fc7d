"""A notebook written cell by cell is the notebook that nbformat writes."""

from __future__ import annotations

import json
from typing import Any

import nbformat
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from nbproof.run.execute.writing import cell_bytes, notebook_bytes

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r\\"\u2028\x0b'), max_size=30)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | texts,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(texts, values, max_size=3),
    max_leaves=8,
)
metadata = st.dictionaries(st.text("abc", min_size=1, max_size=3), plain, max_size=2)
bundles = st.dictionaries(
    st.sampled_from(["text/plain", "text/html", "image/png", "image/svg+xml", "application/javascript"]), texts
)
json_bundles = st.dictionaries(st.sampled_from(["application/json", "application/vnd.v1+json"]), plain)


def outputs(data: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda name, text: new_output("stream", name=name, text=text), st.sampled_from(["stdout"]), texts),
        st.builds(lambda data, held: new_output("display_data", data=data, metadata=held), data, metadata),
        st.builds(lambda data, count: new_output("execute_result", data=data, execution_count=count), data,
                  st.integers(1, 9)),
        st.builds(lambda name, lines: new_output("error", ename=name, evalue="", traceback=lines), texts,
                  st.lists(texts)),
    )  # fmt: skip


def notebooks(data: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    cells = st.one_of(
        st.builds(
            lambda source, made, held, count: new_code_cell(source, outputs=made, metadata=held, execution_count=count),
            texts, st.lists(outputs(data), max_size=3), metadata, st.none() | st.integers(1, 9),
        ),
        st.builds(lambda source, held: new_markdown_cell(source, metadata=held), texts, metadata),
        st.builds(lambda source, data: new_markdown_cell(source, attachments={"a.png": data}), texts, bundles),
        st.builds(new_raw_cell, texts),
    )  # fmt: skip
    return st.builds(
        lambda cells, held: new_notebook(cells=cells, metadata=held), st.lists(cells, max_size=4), metadata
    )


def written(notebook: Any) -> bytes:
    return notebook_bytes(notebook, [cell_bytes(cell) for cell in notebook.cells])


@given(notebooks(bundles))
def test_every_byte_is_nbformats(notebook: Any) -> None:
    """Saved again by Jupyter, an executed notebook does not change."""
    assert written(notebook).decode() == nbformat.writes(notebook)


@given(notebooks(bundles | json_bundles))
def test_the_content_is_nbformats(notebook: Any) -> None:
    """JSON that was displayed stands on one line; what is read back is the same."""
    assert json.loads(written(notebook)) == json.loads(nbformat.writes(notebook))


def test_what_is_transient_is_not_written() -> None:
    """Trust and signatures belong to one machine."""
    cell = new_code_cell("1", metadata={"trusted": True, "kept": 1})
    notebook = new_notebook(cells=[cell], metadata={"signature": "x", "orig_nbformat": 3, "kept": 2})

    assert written(notebook).decode() == nbformat.writes(notebook)
    assert b"trusted" not in written(notebook)


def test_half_a_character_is_written_as_json_spells_it() -> None:
    """UTF-8 has no half of a surrogate pair; a notebook that prints one is saved all the same."""
    notebook = new_notebook(cells=[new_code_cell("1", outputs=[new_output("stream", text="a\ud800b")])])

    assert json.loads(written(notebook))["cells"][0]["outputs"][0]["text"] == ["a\ud800b"]
