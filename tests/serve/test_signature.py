"""A signature admits what the model was trained on and refuses everything else."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from nbproof.serve.signature import Input, Signature

SIGNATURE = Signature(
    (
        Input("age", "integer", minimum=18, maximum=100),
        Input("status", "integer", categories=(-1, 0)),
        Input("count", "integer"),
        Input("sex", "string", categories=("f", "m")),
        Input("ratio", "number", nullable=True, minimum=0),
    )
)
ROW = TypeAdapter(SIGNATURE.row_type())
GOOD: dict[str, Any] = {"age": 30, "status": 0, "count": 7, "sex": "f", "ratio": 0.5}


@pytest.mark.parametrize("change", [{}, {"ratio": None}, {"ratio": 1}, {"age": 18}, {"age": 100}, {"status": -1}])
def test_a_fitting_row_is_admitted(change: dict[str, Any]) -> None:
    """Borders are inclusive, a whole number is a number, and null is allowed where the field says so."""
    assert ROW.validate_python({**GOOD, **change}) == {**GOOD, **change}


@pytest.mark.parametrize(
    "change",
    [
        {"age": 17},
        {"age": 101},
        {"age": None},
        {"age": "30"},
        {"age": 30.0},
        {"age": True},
        {"count": 2**53 + 1},
        {"status": 1},
        {"status": "0"},
        {"sex": "x"},
        {"ratio": -0.1},
        {"ratio": math.inf},
        {"ratio": math.nan},
        {"extra": 1},
    ],
)
def test_a_row_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    """Nothing is guessed: a wrong type, range, category or name is refused."""
    with pytest.raises(ValidationError):
        ROW.validate_python({**GOOD, **change})


def test_a_missing_field_is_refused() -> None:
    """A field that may be null still has to be said."""
    with pytest.raises(ValidationError, match="ratio"):
        ROW.validate_python({key: value for key, value in GOOD.items() if key != "ratio"})


def test_a_signature_survives_writing() -> None:
    """What is written is read back as the same value."""
    assert Signature.read(SIGNATURE.written()) == SIGNATURE


@pytest.mark.parametrize("data", [{}, {"inputs": []}, {"inputs": [{"name": "a"}]}, {"inputs": [{"categories": []}]}])
def test_what_is_no_signature_is_refused(data: dict[str, Any]) -> None:
    """A damaged signature raises; it never becomes an emptier one."""
    with pytest.raises(ValueError, match="signature"):
        Signature.read(data)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"name": "a b", "type": "number"}, "not a field name"),
        ({"name": "a", "type": "complex"}, "unknown type"),
        ({"name": "a", "type": "number", "minimum": 2, "maximum": 1}, "above maximum"),
        ({"name": "a", "type": "number", "categories": (1,)}, "no categories"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(field: dict[str, Any], message: str) -> None:
    """A field is checked when it is made."""
    with pytest.raises(ValueError, match=message):
        Input(**field)


def test_columns_keep_training_order_and_null_becomes_nan() -> None:
    """Rows may name fields in any order; the model sees its own."""
    columns = SIGNATURE.columns([{"ratio": None, "sex": "m", "status": 0, "count": 1, "age": 30}])

    assert list(columns) == ["age", "status", "count", "sex", "ratio"]
    assert math.isnan(columns["ratio"][0])


def test_rows_and_columns_are_inverse() -> None:
    """What a frame holds goes into a request and comes back, null for NaN."""
    import json

    import numpy as np

    columns = {
        "age": np.array([30]), "status": np.array([-1.0]), "count": np.array([2]),
        "sex": np.array(["m"]), "ratio": np.array([math.nan]),
    }  # fmt: skip

    rows = SIGNATURE.rows(columns)

    assert json.loads(json.dumps(rows)) == [{"age": 30, "status": -1, "count": 2, "sex": "m", "ratio": None}]
    ROW.validate_python(rows[0])
    assert SIGNATURE.columns(rows)["status"] == [-1]
