"""An explanation as a value: it slices, adds up, and is never two things at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import UnknownName
from nbproof.explain.explanation import Cost, Explanation, Origins, Surrogate, joined
from nbproof.records import ContentHash

QUICK = settings(deadline=None, max_examples=40)


def an_explanation(
    rows: int = 4, features: int = 3, outputs: int = 2, seed: int = 0, *, has_surrogate: bool = False
) -> Explanation:
    """An explanation of small multiples of 1/8, whose sums are exact in binary."""
    draw = np.random.default_rng(seed)
    eighths = draw.integers(-80, 80, (rows, features, outputs)) / 8
    base = draw.integers(0, 8, (rows, outputs)) / 8
    surrogate = None
    if has_surrogate:
        surrogate = Surrogate(
            coefficients=eighths,
            intercept=base,
            r2=base,
            local=base + 1,
            predicted=base + 2,
            selected=np.tile(np.arange(features), (rows, outputs, 1)),
            bins=draw.integers(0, 4, (rows, features)),
            bin_names=(("low", "high"),) * features,
        )
    return Explanation(
        values=eighths.astype(np.float32),
        base=base,
        prediction=base + eighths.sum(axis=1),
        data=draw.normal(size=(rows, features)),
        feature_names=tuple(f"f{at}" for at in range(features)),
        output_names=tuple(f"o{at}" for at in range(outputs)),
        unit="raw",
        method="by hand",
        surrogate=surrogate,
        seed=seed,
    )


def indices(length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, length - 1), min_size=1, max_size=length, unique=True)


@given(st.data())
@QUICK
def test_slices_compose(data: Any) -> None:
    """A slice of a slice is the slice of both at once."""
    whole = an_explanation(5, 4, 3, data.draw(st.integers(0, 9)))
    rows, features, outputs = (data.draw(indices(length)) for length in whole.shape)
    rows_then, features_then, outputs_then = (data.draw(indices(len(at))) for at in (rows, features, outputs))

    twice = whole[rows, features, outputs][rows_then, features_then, outputs_then]
    once = whole[
        [rows[at] for at in rows_then],
        [features[at] for at in features_then],
        [outputs[at] for at in outputs_then],
    ]

    assert twice.equals(once)


@given(st.data())
@QUICK
def test_shares_left_out_stand_in_the_base(data: Any) -> None:
    """Whatever features are left out, base and shares still add up to the same."""
    whole = an_explanation(4, 5, 2, data.draw(st.integers(0, 9)))
    features = data.draw(indices(5))

    part = whole[:, features]

    assert (part.total() == whole.total()).all()
    assert part.gap().max() == 0


@given(st.data())
@QUICK
def test_names_and_positions_mean_the_same(data: Any) -> None:
    """An explanation is cut alike by names, by positions, by negative ones, by masks and by arrays of names."""
    whole = an_explanation(3, 5, 2)
    features = sorted(data.draw(indices(5)))
    names = [whole.feature_names[at] for at in features]

    expected = whole[:, features]

    assert expected.feature_names == tuple(names)
    assert whole[:, names].equals(expected)
    assert whole[:, tuple(names)].equals(expected)
    assert whole[:, np.array(names)].equals(expected)
    assert whole[:, np.array(names, dtype=object)].equals(expected)
    assert whole[:, [at - 5 for at in features]].equals(expected)
    assert whole[:, np.isin(np.arange(5), features)].equals(expected)


@given(st.integers(0, 9), st.sampled_from(["probability", "log-odds", "raw"]))
@QUICK
def test_the_complement_negates(seed: int, unit: Any) -> None:
    """The first class's shares are the negative ones, it adds up too, and its own complement is the second class."""
    second = replace(
        an_explanation(3, 4, 1, seed, has_surrogate=True), unit=unit, output_names=("yes",), complement="no"
    )

    first = second.of("no")

    assert (first.values == -second.values).all()
    assert (first.total() == (1 if unit == "probability" else 0) - second.total()).all()
    assert first.gap().max() == second.gap().max() == 0
    assert first.output_names == ("no",)
    assert first.surrogate is not None
    assert second.surrogate is not None
    assert (first.surrogate.coefficients == -second.surrogate.coefficients).all()
    assert first.of("yes").equals(second)


def test_one_row_stays_an_explanation_of_one_row() -> None:
    """No axis is dropped, by whatever one row, feature or output is asked for."""
    whole = an_explanation()

    assert whole[0].shape == (1, 3, 2)
    assert whole[-1, "f1", 0].shape == (1, 1, 1)
    assert whole[np.int64(2)].equals(whole[[2]])
    assert whole[1:1].shape == (0, 3, 2)
    assert whole[:, []].total().tolist() == whole.total().tolist()


def test_a_surrogate_goes_with_its_rows_and_outputs_only() -> None:
    """Rows and outputs take their surrogates along; a choice of features drops it, for it was fitted with all."""
    whole = an_explanation(has_surrogate=True)

    part = whole[[2, 0], :, "o1"].surrogate

    assert part is not None
    assert whole.surrogate is not None
    assert (part.coefficients == whole.surrogate.coefficients[[2, 0]][:, :, [1]]).all()
    assert (part.local == whole.surrogate.local[[2, 0]][:, [1]]).all()
    assert (part.bins == whole.surrogate.bins[[2, 0]]).all()
    assert whole[:, ["f0"]].surrogate is None
    assert whole[:, ["f1", "f0", "f2"]].surrogate is None


@pytest.mark.parametrize(
    ("index", "error", "said"),
    [
        ((slice(None), "age"), UnknownName, "no feature is called `age`; known: f0, f1, f2"),
        ((0, 0, "maybe"), UnknownName, "no output is called `maybe`; known: o0, o1"),
        ((9,), IndexError, "index 9 is out of bounds"),
        ((0, 0, 0, 0), IndexError, "3 axes"),
        ((0, [0, 0]), ValueError, "names of features and of outputs must be distinct"),
    ],
)
def test_what_there_is_not_is_refused(index: Any, error: type[Exception], said: str) -> None:
    """A name, a position or an axis that there is not is told, never guessed."""
    with pytest.raises(error, match=said):
        an_explanation()[index]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": np.zeros((4, 3, 2))}, "values must be float32"),
        ({"base": np.zeros((4, 1))}, "base must have the shape"),
        ({"prediction": np.zeros(4)}, "prediction must have the shape"),
        ({"data": np.zeros((4, 2))}, "data must have the shape"),
        ({"error": np.zeros((1, 3, 2), np.float32)}, "error must have the shape"),
        ({"feature_names": ("a", "b")}, "feature_names must name 3"),
        ({"feature_names": ("a", "b", "b")}, "must be distinct"),
        ({"unit": "percent"}, "unknown unit 'percent'; expected one of probability, log-odds, raw"),
        ({"complement": "no"}, "only an explanation with one output"),
        ({"settings": {"f": len}}, "settings must be JSON values"),
        ({"settings": {"f": float("nan")}}, "settings must be JSON values"),
    ],
)
def test_an_explanation_is_checked_when_made(change: dict[str, Any], said: str) -> None:
    """Arrays that do not fit one another never become an explanation."""
    with pytest.raises(ValueError, match=said):
        replace(an_explanation(), **change)


def test_settings_are_what_a_file_would_give_back() -> None:
    """Tuples and numpy's numbers in settings become JSON's own, so that a loaded explanation equals the saved one."""
    made = replace(an_explanation(), settings={"kept": (1, 2), "width": np.float32(0.5), "n": np.int64(3)})

    assert made.settings == {"kept": [1, 2], "width": 0.5, "n": 3}


def test_equal_means_bit_by_bit() -> None:
    """Cost alone may differ; one bit of one value may not, and a missing text is equal to itself."""
    one = an_explanation(has_surrogate=True)
    texts = replace(one, data=np.array([["a", float("nan"), 1.0]] * 4, dtype=object))
    other = one.values.copy()
    other[0, 0, 0] = np.nextafter(other[0, 0, 0], np.float32(np.inf))

    assert one.equals(replace(one, cost=Cost(9, 9.0, 9.0)))
    assert texts.equals(replace(texts, data=texts.data.copy()))
    assert not one.equals(replace(one, values=other))
    assert not one.equals(replace(one, surrogate=None))
    assert not one.equals(replace(one, origins=Origins(model=ContentHash.of(b"other"))))
    assert not one.equals(texts)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
@QUICK
def test_parts_that_are_joined_are_the_whole(sizes: list[int]) -> None:
    """Cut into runs of rows and joined again, an explanation is the same."""
    whole = an_explanation(sum(sizes), has_surrogate=True)
    ends = np.cumsum(sizes)

    parts = [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]

    assert joined(parts).equals(whole)


@pytest.mark.parametrize(
    "change",
    [{"unit": "log-odds"}, {"method": "other"}, {"seed": 7}, {"origins": Origins(model=ContentHash.of(b"x"))}],
    ids=["unit", "method", "seed", "model"],
)
def test_what_differs_is_not_joined(change: dict[str, Any]) -> None:
    """Parts in two units, by two methods, with two seeds or of two models are no one explanation."""
    with pytest.raises(ValueError, match=r"differs|different models"):
        joined([an_explanation(), replace(an_explanation(), **change)])


def test_importance_is_the_mean_of_absolute_shares() -> None:
    """Shares of opposite sign do not cancel in the importance of a feature."""
    made = replace(an_explanation(2, 1, 1), values=np.array([[[3.0]], [[-1.0]]], np.float32))

    assert made.importance().tolist() == [[2.0]]
