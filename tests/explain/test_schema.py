"""Tables become numbers and the model's own input again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import DataUnusable
from nbproof.explain.schema import Schema, categories_of, hash_of, refuse_missing

QUICK = settings(deadline=None, max_examples=40)

FRAME = pd.DataFrame(
    {
        "age": np.array([30, 41, 52, 19], dtype=np.int64),
        "small": np.array([1, 2, 3, 4], dtype=np.uint8),
        "income": [1.5, np.nan, 3.25, 4.0],
        "single": np.array([0.5, 1.5, 2.5, 3.5], dtype=np.float32),
        "is_member": [True, False, True, True],
        "count": pd.array([1, None, 3, 4], dtype="Int64"),
        "rate": pd.array([0.5, None, 1.5, 2.5], dtype="Float64"),
        "agreed": pd.array([True, None, False, True], dtype="boolean"),
        "town": pd.Series(["b", "a", None, "c"], dtype="str"),
        "text": pd.Series(["b", "a", np.nan, "c"], dtype=object),
        "none": pd.Series(["b", "a", None, "c"], dtype=object),
        "python": pd.array(["y", "x", None, "x"], dtype="string"),
        "grade": pd.Categorical(["low", "high", None, "low"], categories=["low", "mid", "high"], ordered=True),
        "kind": pd.Categorical([3, 1, 3, 1]),
    }
)


def test_a_frame_comes_back_as_it_was() -> None:
    """Every dtype that a table can have, with what is missing in it, is what the model is given again."""
    schema = Schema.of(FRAME)

    back = schema.decoded(schema.coded(FRAME))

    pd.testing.assert_frame_equal(back, FRAME, check_column_type=True)
    assert back["text"].iloc[2] is not None
    assert back["none"].iloc[2] is None


@given(st.permutations(range(4)))
@QUICK
def test_codes_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    """However the rows are shuffled, a category has the same code."""
    shuffled = FRAME.iloc[order]

    codes = Schema.of(shuffled).coded(shuffled)

    np.testing.assert_array_equal(codes, Schema.of(FRAME).coded(FRAME)[order])


@given(st.lists(st.sampled_from(["a", "b", "c", "ü", " ", ""]), min_size=1, max_size=6), st.randoms())
@QUICK
def test_text_round_trips(words: list[str], random: Any) -> None:
    """Any text is a category, and comes back from its code."""
    frame = pd.DataFrame({"word": words})
    background = pd.DataFrame({"word": [*random.sample(words, len(words)), "more"]})
    schema = Schema.of(frame, background)

    assert schema.decoded(schema.coded(frame))["word"].tolist() == words
    assert schema.columns[0].categories == tuple(sorted({*words, "more"}))


def test_categories_are_those_of_all_tables() -> None:
    """A category that only the background knows has a code, too; unused ones of a dtype stay."""
    schema = Schema.of(FRAME[["town", "grade"]].iloc[:1], FRAME[["town", "grade"]])

    assert categories_of(schema) == {"town": ("a", "b", "c"), "grade": ("low", "mid", "high")}
    assert schema.categorical == (0, 1)


def test_a_perturbed_integer_is_passed_on_as_it_is() -> None:
    """A whole-number column becomes float where a value is none; nothing is rounded."""
    schema = Schema.of(FRAME[["age", "is_member", "count"]])

    given = schema.decoded(np.array([[30.5, 0.25, 1.5]]))

    assert given.iloc[0].tolist() == [30.5, 0.25, 1.5]


def test_one_row_of_a_frame_takes_the_other_tables_dtypes() -> None:
    """A row taken out with `iloc` has lost its dtypes; the background knows them."""
    row = FRAME.iloc[0]

    schema = Schema.of(row, FRAME)

    pd.testing.assert_frame_equal(schema.decoded(schema.coded(row)), FRAME.iloc[[0]])


def test_arrays_and_sparse_matrices_stay_what_they_are() -> None:
    """A model that takes an array is given one, one that takes a sparse matrix is given that."""
    array = np.array([[1, 0], [0, 2]])
    sparse = scipy.sparse.csr_matrix(array)

    assert Schema.of(array).decoded(Schema.of(array).coded(array)).tolist() == array.tolist()
    assert Schema.of(array[0]).coded(array[0]).tolist() == [[1, 0]]
    assert (Schema.of(sparse).decoded(Schema.of(sparse).coded(sparse)) != sparse).nnz == 0
    assert Schema.of(array, names=["a", "b"]).names == ("a", "b")


def test_a_torch_tensor_is_an_array() -> None:
    """Rows may come as a tensor."""
    torch = pytest.importorskip("torch")

    rows = torch.tensor([[0.5, 1.5]], requires_grad=True)

    assert Schema.of(rows).coded(rows).tolist() == [[0.5, 1.5]]


def test_shown_values_are_numbers_and_text() -> None:
    """A reader sees a category's own name, and an empty text where it is missing."""
    schema = Schema.of(FRAME[["age", "town"]])

    shown = schema.shown(schema.coded(FRAME[["age", "town"]]))

    assert shown.tolist() == [[30.0, "b"], [41.0, "a"], [52.0, ""], [19.0, "c"]]


FIRST = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ((np.zeros((2, 3)), np.zeros((2, 2))), "the data: found 2 columns, expected 3, as in the first table"),
        ((np.zeros((2, 2, 2)),), "the data: found an array of 3 dimensions, expected rows and columns"),
        ((FIRST, FIRST[["b", "a"]]), "the data: found b, a, expected the columns a, b"),
        ((FIRST, np.zeros((2, 2))), "the data: found no frame, expected the columns a, b"),
        ((FIRST.rename(columns={"b": "a"}),), "the data: found columns whose names are not distinct"),
        ((FIRST.assign(b=pd.Timestamp("2020-01-01")),), r"column b: found datetime64\[.*\], expected numbers or"),
        ((FIRST.assign(b=[[1], [2]]),), "column b: found a list, expected numbers or categories"),
        ((FIRST.assign(b=[1j, 2j]),), "column b: found complex numbers, expected numbers or categories"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables: tuple[Any, ...], said: str) -> None:
    """What is no table of numbers and categories, or does not fit the others, is told in one line."""
    with pytest.raises(DataUnusable, match=said) as raised:
        Schema.of(*tables)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (FIRST.assign(a=["1", "2"]), "column a: found the text '1' in row 0, expected numbers"),
        (FIRST.assign(a=["one", "2"]), "column a: found the text 'one' in row 0, expected numbers"),
        (FIRST.assign(a=pd.Series([1.0, "2"], dtype=object)), "column a: found the text '2' in row 1"),
        (FIRST.assign(a=[1.0, np.inf]), "column a: found an infinite number in row 1, expected finite numbers"),
        (FIRST.assign(b=["x", "z"]), "column b: found the category 'z', expected one of x, y"),
        (FIRST[["a"]], "the data: found no column b, expected the columns a, b in this order"),
        (FIRST[["b", "a"]], "the data: found the columns b, a, expected the columns a, b in this order"),
        (np.array([[1.0, 7.0]]), "the data: found no frame, expected the columns a, b"),
    ],
)
def test_rows_that_the_schema_does_not_know_are_refused(table: Any, said: str) -> None:
    """Text among numbers (even such as looks like a number), infinite numbers and unknown categories are told."""
    with pytest.raises(DataUnusable, match=said):
        Schema.of(FIRST).coded(table)


def test_numbers_kept_as_objects_are_numbers() -> None:
    """A column of objects that are all numbers is numeric, and comes back as objects."""
    frame = pd.DataFrame({"a": pd.Series([1.5, 2.5], dtype=object)})

    schema = Schema.of(frame)

    assert schema.categorical == ()
    pd.testing.assert_frame_equal(schema.decoded(schema.coded(frame)), frame)


def test_text_in_one_table_and_numbers_in_the_other_is_refused() -> None:
    """A column is one thing in all tables: text in the rows is told where the background has numbers."""
    text = FIRST.assign(a=["1", "2"])

    for tables in ((text, FIRST), (FIRST, text)):
        with pytest.raises(DataUnusable, match="column a: found the text '1' in row 0, expected numbers"):
            Schema.of(*tables).coded(text)


@pytest.mark.parametrize("table", [np.array([["1", "2"]]), np.array([[1.0, "2"]], dtype=object)])
def test_text_in_an_array_is_refused(table: Any) -> None:
    """An array holds numbers; text in it is no number, whatever it says."""
    with pytest.raises(DataUnusable, match=r"column feature \d: found the text '\d' in row 0, expected numbers"):
        Schema.of(table).coded(table)


def test_missing_values_are_refused_where_a_method_cannot_take_them() -> None:
    """The first missing value is named with its column, its row and the reason."""
    with pytest.raises(DataUnusable, match=r"column b: found a missing value \(NaN\) in row 1, expected none: why"):
        refuse_missing(np.array([[1.0, 2.0], [1.0, np.nan]]), ["a", "b"], "why")

    refuse_missing(np.zeros((2, 2)), ["a", "b"], "why")


def test_the_hash_is_that_of_the_rows_alone() -> None:
    """Rows have one hash whatever background stands beside them; another value, name or order has another."""
    alone, beside = Schema.of(FIRST), Schema.of(FIRST, FIRST.assign(b=["a", "z"]))
    first = hash_of(alone.coded(FIRST), alone)

    def of(frame: Any) -> Any:
        return hash_of(Schema.of(frame).coded(frame), Schema.of(frame))

    assert hash_of(beside.coded(FIRST), beside) == first
    assert of(FIRST.astype({"a": "float32"})) == first
    assert len({first, of(FIRST.assign(a=[1.0, 3.0])), of(FIRST.rename(columns={"a": "c"})), of(FIRST[::-1]),
                of(FIRST.assign(b=["x", "z"])), of(FIRST.assign(b=["y", "x"]))}) == 6  # fmt: skip


def test_one_zero_and_one_missing() -> None:
    """Minus zero is zero, and what is missing is missing, whatever its bits."""
    odd = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    schema = Schema.of(np.zeros((1, 1)))

    assert hash_of(np.array([[-0.0]]), schema) == hash_of(np.array([[0.0]]), schema)
    assert hash_of(odd[None], schema) == hash_of(np.array([[np.nan]]), schema)
