"""What is told at a glance of a value is what pydantic says of it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter, ValidationError

from nbproof.notebook.plain import NotPlainError, plain_value
from nbproof.notebook.shapes import ANY, NONE, Shape, annotation

SCALARS = ("bool", "int", "float", "str", "path", "secret", "date", "datetime", "any", "none")
NUMBERS = st.one_of(st.integers(-3, 3), st.floats(-3, 3))
BOUNDS = st.dictionaries(st.sampled_from(["ge", "gt", "le", "lt"]), NUMBERS, max_size=2).map(
    lambda found: tuple(sorted(found.items()))
)
WHOLE_BOUNDS = st.dictionaries(st.sampled_from(["ge", "gt", "le", "lt"]), st.integers(-3, 3), max_size=2).map(
    lambda found: tuple(sorted(found.items()))
)
SHAPES = st.recursive(
    st.one_of(
        st.sampled_from([Shape(kind) for kind in SCALARS]),
        st.builds(lambda bounds: Shape("int", bounds=bounds), WHOLE_BOUNDS),
        st.builds(lambda bounds: Shape("float", bounds=bounds), BOUNDS),
        st.just(Shape("literal", choices=("a", 1, True, None))),
        st.just(Shape("str", bounds=(("min_length", 2),))),
        st.just(Shape("union", (Shape("int"), NONE))),
        st.just(Shape("tuple", (ANY,), repeats=True)),
        st.just(Shape("set", (ANY,))),
    ),
    lambda inner: st.one_of(
        st.builds(lambda part: Shape("list", (part,)), inner), st.builds(lambda part: Shape("dict", (part,)), inner)
    ),
    max_leaves=2,
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        NUMBERS,
        st.floats(),
        st.text(max_size=4),
        st.sampled_from(
            ["", "a", "2020-02-29", "2020-02-29T01:02:03", "20200229", "env:NAME", "file:x", "\0", "\ud800"]
        ),
        st.dates(),
        st.datetimes(),
        st.sampled_from([Path("x"), Path("/x/y")]),
        st.binary(max_size=2),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2), st.tuples(inner)
    ),
    max_leaves=3,
)


def pydantics(shape: Shape, value: Any) -> Any:
    """What pydantic makes of `value`."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation(shape), config=ConfigDict(strict=True))
    return adapter.validate_python(value)


@given(SHAPES, VALUES)
def test_what_is_plain_is_what_pydantic_makes_of_it(shape: Shape, value: object) -> None:
    """The same value of the same type, wherever the short way gives an answer at all."""
    try:
        found = plain_value(shape, value)
    except NotPlainError:
        return

    expected = pydantics(shape, value)

    assert repr(found) == repr(expected)
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (Shape("int"), 5, 5),
        (Shape("float"), 5, 5.0),
        (Shape("bool"), True, True),
        (Shape("str"), "Zürich", "Zürich"),
        (Shape("path"), "data/x.csv", Path("data/x.csv")),
        (Shape("date"), "2020-02-29", datetime.date(2020, 2, 29)),
        (Shape("literal", choices=("a", "b")), "b", "b"),
        (Shape("list", (Shape("int"),)), [1, 2], [1, 2]),
        (Shape("int", bounds=(("ge", 0),)), 0, 0),
        (Shape("secret"), "env:TOKEN", "env:TOKEN"),
        (NONE, None, None),
    ],
)
def test_common_values_are_plain(shape: Shape, value: object, expected: object) -> None:
    """These need no pydantic, which is what all this is for."""
    assert plain_value(shape, value) == expected


@pytest.mark.parametrize(
    ("shape", "value"),
    [(Shape("int"), True), (Shape("int"), 1.0), (Shape("bool"), 1), (Shape("int", bounds=(("ge", 1),)), 0)],
)
def test_what_does_not_fit_is_for_pydantic_to_refuse(shape: Shape, value: object) -> None:
    """Its words say why."""
    with pytest.raises(NotPlainError):
        plain_value(shape, value)
    with pytest.raises(ValidationError):
        pydantics(shape, value)
