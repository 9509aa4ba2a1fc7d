"""An explanation in a notebook: JSON, SVG and text, which survive execution, validation and export."""

from __future__ import annotations

import base64
import json
import pickle
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest

from nbproof.explain import mime
from nbproof.explain.explanation import Explanation, Surrogate
from nbproof.explain.folder import Kept
from nbproof.explain.shown import Both, Shown, both, shown


def made(rows: int = 1, features: int = 3) -> Explanation:
    values = (np.arange(rows * features).reshape(rows, features, 1) / 10 - 0.1).astype(np.float32)
    base = np.full((rows, 1), 0.5)
    return Explanation(
        values=values,
        base=base,
        prediction=base + values.sum(axis=1, dtype=np.float64),
        data=np.array([[1.5, "a", float("nan"), *[0.0] * (features - 3)]] * rows, dtype=object).reshape(rows, features),
        feature_names=("age", "town", "debt", *[f"f{at}" for at in range(features - 3)]),
        output_names=("default",),
        unit="probability",
        method="by hand",
        is_exact=True,
        complement="repaid",
    )


def surrogate_of(shap: Explanation) -> Explanation:
    rows, features, outputs = shap.shape
    return replace(
        shap,
        method="LIME",
        is_exact=False,
        seed=0,
        surrogate=Surrogate(
            coefficients=shap.values.astype(np.float64),
            intercept=shap.base,
            r2=np.full((rows, outputs), 0.5),
            local=shap.base,
            predicted=shap.prediction,
            selected=np.tile(np.arange(2), (rows, outputs, 1)),
            bins=np.zeros((rows, features), dtype=np.int64),
        ),
    )


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("lime", [False, True])
def test_a_bundle_always_holds_all_three(rows: int, lime: bool) -> None:
    """Where no extension knows the numbers there is a picture, and where no picture is shown there is text."""
    explanations = [made(rows), *([surrogate_of(made(rows))] if lime else [])]

    found = mime.bundle(explanations)

    assert set(found) == {"application/vnd.nbproof.explanation.v1+json", "image/svg+xml", "text/plain"}
    json.dumps(found, allow_nan=False)
    ElementTree.fromstring(found["image/svg+xml"])
    assert "by hand" in found["text/plain"]


def test_numbers_in_json_are_the_explanation_s_own() -> None:
    """Read back as float32 the values are the same bits; what is missing is null, text is text."""
    whole = made(2)

    (held,) = mime.bundle([whole])[mime.MIME]["explanations"]

    assert (np.array(held["values"], dtype=np.float32) == whole.values).all()
    assert held["values"][0] == [[-0.1], [0.0], [0.1]]
    assert held["data"][0] == [1.5, "a", None]
    assert (held["rows"], held["rows_held"], held["unit"], held["complement"]) == (2, 2, "probability", "repaid")


def test_a_notebook_does_not_carry_a_million_rows() -> None:
    """Of many rows the first are held, and how many there are is said; sums are of all of them."""
    whole = made(20_000)

    (held,) = mime.bundle([whole])[mime.MIME]["explanations"]

    assert (held["rows"], held["rows_held"]) == (20_000, 3333)
    assert held["importance"] == whole.importance().tolist()


def test_the_text_is_a_table() -> None:
    """Without any picture a reader has prediction, base, values and shares, the largest first."""
    assert mime.text([made()]) == (
        "SHAP, exact (by hand): 1 row, in probability\n"
        "the probability of default: 0.500; base 0.500\n"
        "  age       1.5  −0.100\n"
        "  debt  missing  +0.100\n"
        "  town        a       0"
    )


def test_what_shows_itself_stays_so_when_sliced() -> None:
    """A slice, a class by name and a copy show themselves, and equal what they were made of."""
    one = shown(made(3))

    assert one.equals(made(3))
    for part in (one[0], one[:, "age"], one.of("repaid"), pickle.loads(pickle.dumps(one))):
        assert isinstance(part, Shown)
        assert "image/svg+xml" in part._repr_mimebundle_()


def test_both_methods_are_shown_side_by_side() -> None:
    """One picture holds both on one scale; where their units differ the first is drawn and both are held."""
    pair = both(Kept(made(), surrogate_of(made())))
    apart = both(Kept(made(), replace(surrogate_of(made()), unit="log-odds")))

    assert isinstance(pair, Both)
    assert "LIME" in pair._repr_mimebundle_()["image/svg+xml"]
    assert "LIME" not in apart._repr_mimebundle_()["image/svg+xml"]
    assert len(apart._repr_mimebundle_()[mime.MIME]["explanations"]) == 2


CELL = """
import numpy as np
from nbproof.explain.explanation import Explanation
from nbproof.explain.shown import shown
values = np.array([[[0.25], [-0.125]]], np.float32)
shown(Explanation(values, np.full((1, 1), 0.5), np.full((1, 1), 0.625), np.array([[1.0, 2.0]]),
    ("a <b> & c", "debt"), ("default",), "probability", "by hand"))
"""


@pytest.fixture(scope="module")
def executed() -> Any:
    """A notebook with an explanation in it, carried out by a real kernel."""
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.cells[0]["id"] = "explained"
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=120).execute()
    return notebook


def test_a_kernel_shows_it_and_the_notebook_is_valid(executed: Any) -> None:
    """IPython takes the bundle as it is, and the notebook that holds it is valid."""
    (output,) = executed.cells[0].outputs

    nbformat.validate(executed)
    assert set(output["data"]) == {mime.MIME, "image/svg+xml", "text/plain"}
    assert output["data"][mime.MIME]["explanations"][0]["feature_names"] == ["a <b> & c", "debt"]


def test_an_exported_page_holds_the_picture(executed: Any) -> None:
    """nbconvert's HTML holds the SVG, byte by byte, with its words."""
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter(template_name="basic").from_notebook_node(executed)

    (encoded,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert base64.b64decode(encoded).decode() == executed.cells[0].outputs[0]["data"]["image/svg+xml"]
    assert b"prediction 0.625" in base64.b64decode(encoded)


def test_an_exported_markdown_page_has_the_picture_beside_it(executed: Any) -> None:
    """Where SVG is a file of its own, as on GitHub, it is a whole one."""
    from nbconvert import MarkdownExporter

    _, resources = MarkdownExporter().from_notebook_node(executed)

    (picture,) = [each for name, each in resources["outputs"].items() if name.endswith(".svg")]
    assert ElementTree.fromstring(picture).get("role") == "img"
