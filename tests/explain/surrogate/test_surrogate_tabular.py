"""Batched LIME beside the real one: the same numbers, in the same order."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from beside_lime import apart, by_lime, orders, orders_of
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nbproof.errors import Cancelled, DataUnusable, UnknownName
from nbproof.explain.progress import Progress, Watch
from nbproof.explain.question import ask
from nbproof.explain.surrogate import tabular

TOLERANCE = 1e-9


def mixed_table(seed: int = 0, rows: int = 300) -> NDArray[np.float64]:
    """Eight columns: five continuous, two of them odd; two categories; a constant; a point mass at the minimum."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(rows, 8)) * np.array([1, 50, 0.01, 1, 1, 1, 1, 1]) + np.array(
        [0, 900, 0, 0, 0, 0, 0, 3]
    )
    table[:, 3] = random.integers(0, 4, rows)
    table[:, 4] = random.choice([2.0, 5.0, 9.0], rows)
    table[:, 5] = 5.0
    table[random.random(rows) < 0.4, 6] = table[:, 6].min()
    return table


TABLE = mixed_table()
CATEGORICAL = [3, 4]
SCALED = (TABLE - TABLE.mean(axis=0)) / (TABLE.std(axis=0) + 1e-9)


def three_classes(points: Any) -> NDArray[np.float64]:
    """Probabilities of three classes, neither linear nor additive."""
    scaled = (points - TABLE.mean(axis=0)) / (TABLE.std(axis=0) + (TABLE.std(axis=0) < 1e-9))
    scores = np.stack([scaled[:, 0] * scaled[:, 1], np.tanh(scaled[:, 2] + scaled[:, 3]), np.sin(scaled[:, 6:].sum(1))])
    powers = np.exp(scores.T + 0.2 * (points[:, [4]] == 5.0))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


WAYS = [("auto", 4), ("auto", 7), ("none", 10), ("forward_selection", 3), ("lasso_path", 4), ("highest_weights", 5)]


@pytest.mark.parametrize("discretizer", ["quartile", "decile", "entropy", None])
@pytest.mark.parametrize("stream", [False, True])
def test_every_way_gives_the_numbers_of_lime(discretizer: str | None, stream: bool) -> None:
    """All discretizers and selections, in both modes, agree with lime on three outputs, in the same order."""
    labels = (TABLE[:, 0] > 0).astype(int)
    rows = TABLE[:2]

    for selection, features in WAYS:
        ours = tabular.explain(
            ask(three_classes, rows, background=TABLE, unit="probability"),
            seed=5, samples=250, features=features, mode="stream" if stream else "row", selection=selection,
            discretizer=discretizer, categorical=CATEGORICAL, labels=labels,
        )  # fmt: skip
        theirs = by_lime(
            TABLE, rows, three_classes, labels=(0, 1, 2), seed=5, stream=stream, features=features, samples=250,
            discretize_continuous=discretizer is not None, discretizer=discretizer or "quartile",
            feature_selection=selection, categorical_features=CATEGORICAL, training_labels=labels,
        )  # fmt: skip

        assert apart(ours, theirs) <= TOLERANCE
        if selection != "none":
            # Of all columns the constant one comes last with nothing, or next to nothing.
            assert orders(ours) == orders_of(theirs)


@pytest.mark.parametrize("stream", [False, True])
def test_points_around_the_row_agree_with_lime(stream: bool) -> None:
    """Without bins and around the row, also around an outlying one, the numbers are lime's."""
    rows = np.stack([TABLE[0], TABLE[1] + np.array([40.0, 0, 0, 0, 0, 0, 0, 0])])

    ours = tabular.explain(
        ask(three_classes, rows, background=TABLE, unit="probability"),
        seed=2, samples=250, features=7, mode="stream" if stream else "row", discretizer=None, around_row=True,
        categorical=CATEGORICAL,
    )  # fmt: skip
    theirs = by_lime(
        TABLE, rows, three_classes, labels=(0, 1, 2), seed=2, stream=stream, features=7, samples=250,
        discretize_continuous=False, sample_around_instance=True, categorical_features=CATEGORICAL,
    )  # fmt: skip

    assert apart(ours, theirs) <= TOLERANCE
    assert orders(ours) == orders_of(theirs)


def test_the_kernel_width_is_lime_s() -> None:
    """Another kernel width gives lime's numbers for it, and not those of the default."""
    question = ask(three_classes, TABLE[:2], background=TABLE, unit="probability")

    ours = tabular.explain(question, samples=200, kernel_width=1.2)
    theirs = by_lime(TABLE, TABLE[:2], three_classes, labels=(0, 1, 2), seed=0, samples=200, kernel_width=1.2)

    assert apart(ours, theirs) <= TOLERANCE
    assert apart(tabular.explain(question, samples=200), theirs) > 1e-4


def test_regression_agrees_with_lime_at_the_size_of_its_answers() -> None:
    """A regressor's large answers lose no digits."""

    def price(points: Any) -> NDArray[np.float64]:
        return np.asarray(3e5 + 1e4 * np.tanh(points[:, 0]) * points[:, 4] + 50 * points[:, 1])

    ours = tabular.explain(
        ask(price, TABLE[:3], background=TABLE), seed=1, samples=300, features=5, categorical=CATEGORICAL
    )
    theirs = by_lime(
        TABLE, TABLE[:3], price, labels=(1,), seed=1, samples=300, features=5, mode="regression",
        categorical_features=CATEGORICAL,
    )  # fmt: skip

    assert ours.unit == "raw"
    assert apart(ours, theirs, scale=1e5) <= TOLERANCE
    assert orders(ours) == orders_of(theirs)


def test_wide_tables_and_long_lists_of_categories_agree_with_lime() -> None:
    """More columns, and more categories in one, than a byte can count."""
    random = np.random.default_rng(8)
    table = random.normal(size=(400, 140))
    table[:, 7] = np.arange(400) % 200
    weights = random.normal(size=140) / 10

    def model(points: Any) -> NDArray[np.float64]:
        return np.asarray(np.tanh(points @ weights) + 0.1 * (points[:, 7] % 2))

    ours = tabular.explain(ask(model, table[:2], background=table), seed=1, samples=300, features=12, categorical=[7])
    theirs = by_lime(
        table, table[:2], model, labels=(1,), seed=1, samples=300, features=12, mode="regression",
        categorical_features=[7],
    )  # fmt: skip

    assert apart(ours, theirs) <= TOLERANCE
    assert orders(ours) == orders_of(theirs)


@pytest.mark.parametrize("discretizer", ["quartile", None])
def test_a_table_of_categories_alone_agrees_with_lime(discretizer: str | None) -> None:
    """Where nothing is continuous, and where one column is all there is, the numbers are lime's."""
    random = np.random.default_rng(4)
    for features in (4, 1):
        table = random.integers(0, 3, (90, features)).astype(float)

        def model(points: Any) -> NDArray[np.float64]:
            return np.asarray(np.sin(points.sum(axis=1)) + (points[:, 0] == 1.0))

        ours = tabular.explain(
            ask(model, table[:2], background=table),
            seed=1, samples=150, features=3, discretizer=discretizer, categorical=range(features),
        )  # fmt: skip
        theirs = by_lime(
            table, table[:2], model, labels=(1,), seed=1, samples=150, features=3, mode="regression",
            categorical_features=list(range(features)), discretize_continuous=discretizer is not None,
        )  # fmt: skip

        assert apart(ours, theirs) <= TOLERANCE
        assert orders(ours) == orders_of(theirs)


def test_a_category_that_the_training_data_lacks_is_like_no_other() -> None:
    """lime explains a row of an unknown category, and so do we, with its numbers."""
    rows = TABLE[:2].copy()
    rows[0, 4] = 7.0

    ours = tabular.explain(
        ask(three_classes, rows, background=TABLE, unit="probability"), samples=200, features=7, categorical=CATEGORICAL
    )
    theirs = by_lime(
        TABLE, rows, three_classes, labels=(0, 1, 2), seed=0, samples=200, features=7, categorical_features=CATEGORICAL
    )

    assert apart(ours, theirs) <= TOLERANCE
    assert orders(ours) == orders_of(theirs)


def test_the_one_output_of_a_binary_classifier_is_lime_s_second_class() -> None:
    """A fitted classifier is explained for its second class; the first class is its mirror."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(SCALED, np.where(SCALED[:, 0] + SCALED[:, 6] > 0, "good", "bad"))
    ours = tabular.explain(
        ask(model, SCALED[:3], background=SCALED, unit="probability"), seed=4, samples=300, features=4
    )

    second = by_lime(SCALED, SCALED[:3], model.predict_proba, labels=(1,), seed=4, samples=300, features=4)
    first = by_lime(SCALED, SCALED[:3], model.predict_proba, labels=(0,), seed=4, samples=300, features=4)

    assert ours.output_names == ("good",)
    assert apart(ours, second) <= TOLERANCE
    assert apart(ours.of("bad"), first) <= TOLERANCE


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A table of odd columns, a model, and options."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(40, 120))
    kinds = draw(
        st.lists(st.sampled_from(["normal", "heavy", "category", "binary", "constant", "mass", "few"]), min_size=3,
                 max_size=7)
    )  # fmt: skip
    columns, categorical = [], []
    for at, kind in enumerate(kinds):
        column = random.normal(size=rows)
        if kind == "heavy":
            column = np.exp(3 * column)
        elif kind == "category":
            column = random.permutation(np.arange(rows) % draw(st.integers(2, 4)) * 1.5)
            categorical.append(at)
        elif kind == "binary":
            column = random.permutation(np.arange(rows) % 2).astype(float)
        elif kind == "constant":
            column = np.full(rows, draw(st.sampled_from([0.0, 0.1, 5.0, -1e6])))
        elif kind == "mass":
            column[random.permutation(rows)[: rows * 2 // 5]] = column.min()
        elif kind == "few":
            column = random.permutation(np.arange(rows) % 5) / 10
        columns.append(column)
    table = np.stack(columns, axis=1)
    return {
        "table": table,
        "categorical": categorical,
        "weights": random.normal(size=(len(kinds), 2)),
        "model": draw(st.sampled_from(["smooth", "linear", "tree"])),
        "seed": draw(st.integers(0, 2**31)),
        "features": draw(st.integers(1, 8)),
        "stream": draw(st.booleans()),
        "discretizer": draw(st.sampled_from(["quartile", "decile", "entropy", None])),
        "around_row": draw(st.booleans()),
    }


def model_of(case: dict[str, Any]) -> Any:
    table, weights = case["table"], case["weights"] / (case["table"].std(axis=0)[:, None] + 1.0)
    if case["model"] == "tree":
        from sklearn.tree import DecisionTreeRegressor

        tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(table, np.sin(table @ weights))
        return lambda points: tree.predict(points)
    if case["model"] == "linear":
        return lambda points: points @ weights
    return lambda points: np.tanh(points @ weights) + np.sin(points[:, :1])


@settings(max_examples=40, deadline=None)
@given(cases())
def test_on_any_table_the_numbers_are_those_of_lime(case: dict[str, Any]) -> None:
    """Odd columns, any model, seed and options: coefficients, intercept and local answer are lime's to 1e-9.

    R² is compared where the model's answers differ at all, since lime's is the ratio of two rounding errors elsewhere.
    """
    table, model = case["table"], model_of(case)
    rows = table[:2]
    around = case["around_row"] and case["discretizer"] is None
    labels = np.arange(len(table)) % 2
    question = ask(model, rows, background=table, output_names=("one", "other"))

    ours = tabular.explain(
        question, seed=case["seed"], samples=200, features=case["features"],
        mode="stream" if case["stream"] else "row", discretizer=case["discretizer"], categorical=case["categorical"],
        around_row=around, labels=labels,
    )  # fmt: skip
    theirs = [
        list(pair)
        for pair in zip(
            *[
                [
                    each[0]
                    for each in by_lime(
                        table, rows, lambda points, at=output: model(points)[:, at], seed=case["seed"],
                        stream=case["stream"], features=case["features"], samples=200, mode="regression",
                        discretize_continuous=case["discretizer"] is not None,
                        discretizer=case["discretizer"] or "quartile", sample_around_instance=around,
                        categorical_features=case["categorical"], training_labels=labels,
                    )
                ]
                for output in range(2)
            ],
            strict=True,
        )
    ]  # fmt: skip

    assert ours.surrogate is not None
    size = max(1.0, float(np.abs(model(table)).max()))
    assert apart(ours, theirs, scale=size, with_r2=False) <= TOLERANCE
    for row, output in itertools.product(range(2), range(2)):
        if np.abs(ours.surrogate.coefficients[row, :, output]).max() > 1e-6:
            assert abs(ours.surrogate.r2[row, output] - theirs[row][output].r2) <= TOLERANCE


def test_a_row_s_explanation_depends_on_the_seed_and_the_row_alone() -> None:
    """In the mode "row" a row alone, among others, or after others is explained to the same bit."""
    together = tabular.explain(ask(three_classes, TABLE[:40], background=TABLE), seed=9, samples=300)
    alone = tabular.explain(ask(three_classes, TABLE[17:18], background=TABLE), seed=9, samples=300)

    assert together.surrogate is not None
    assert alone.surrogate is not None
    assert np.array_equal(together.surrogate.coefficients[17], alone.surrogate.coefficients[0])
    assert np.array_equal(together.surrogate.r2[17], alone.surrogate.r2[0])
    assert np.array_equal(together.surrogate.selected[17], alone.surrogate.selected[0])


@pytest.mark.parametrize("mode", ["row", "stream"])
def test_one_seed_gives_one_explanation_to_the_bit(mode: tabular.Mode) -> None:
    """Twice the same seed is the same explanation, bit by bit; another seed is another."""
    question = ask(three_classes, TABLE[:7], background=TABLE)

    first = tabular.explain(question, seed=3, samples=300, mode=mode)
    again = tabular.explain(question, seed=3, samples=300, mode=mode)
    other = tabular.explain(question, seed=4, samples=300, mode=mode)

    assert first.equals(again)
    assert not np.array_equal(first.values, other.values)


def test_global_random_numbers_are_neither_used_nor_moved() -> None:
    """Numpy's global state changes no explanation, and no explanation changes it."""
    question = ask(three_classes, TABLE[:3], background=TABLE)
    labels = np.arange(len(TABLE)) % 2
    np.random.seed(1)
    before = np.random.get_state()[1].copy()

    first = tabular.explain(question, samples=100, discretizer="entropy", labels=labels)

    assert np.array_equal(before, np.random.get_state()[1])
    np.random.seed(2)
    assert first.equals(tabular.explain(question, samples=100, discretizer="entropy", labels=labels))


def test_rows_with_one_seed_share_their_neighbourhood() -> None:
    """The model is asked about the samples once and about each row, not about samples for every row."""
    asked: list[int] = []

    def counting(points: Any) -> NDArray[np.float64]:
        asked.append(len(points))
        return three_classes(points)

    question = ask(counting, TABLE[:50], background=TABLE)
    asked.clear()
    found = tabular.explain(question, samples=400)

    assert sum(asked) == 399
    assert found.cost.model_rows == question.asked.rows


def test_the_point_mass_is_asked_at_its_own_value_when_mended() -> None:
    """lime asks a constant column of 5.0 at 0.0, which is kept and said; mended, it is asked at 5.0 alone."""
    asked: list[NDArray[np.float64]] = []

    def recording(points: Any) -> NDArray[np.float64]:
        asked.append(np.array(points))
        return three_classes(points)

    question = ask(recording, TABLE[:2], background=TABLE)
    asked.clear()
    as_lime = tabular.explain(question, samples=200, categorical=CATEGORICAL)
    kept = np.concatenate(asked)
    asked.clear()
    mended = tabular.explain(question, samples=200, categorical=CATEGORICAL, fix_point_mass=True)
    fixed = np.concatenate(asked)

    assert set(kept[:, 5]) == {0.0}
    assert set(fixed[:, 5]) == {5.0}
    assert fixed[:, 6].min() == TABLE[:, 6].min() > kept[:, 6].min() - 10
    assert any("`feature 5` was asked at 0 in 100.0% of the points" in note for note in as_lime.notes)
    assert not any("was asked at" in note for note in mended.notes)


@pytest.mark.parametrize("around_row", [False, True])
def test_without_bins_a_constant_column_keeps_its_value_when_mended(around_row: bool) -> None:
    """lime draws a constant column from a normal with the deviation 1, which is kept and said; mended, it stays."""
    asked: list[NDArray[np.float64]] = []

    def recording(points: Any) -> NDArray[np.float64]:
        asked.append(np.array(points))
        return three_classes(points)

    question = ask(recording, TABLE[:2], background=TABLE)
    asked.clear()
    as_lime = tabular.explain(question, samples=100, discretizer=None, around_row=around_row)
    assert np.ptp(np.concatenate(asked)[:, 5]) > 3.0
    asked.clear()
    mended = tabular.explain(question, samples=100, discretizer=None, around_row=around_row, fix_point_mass=True)

    assert set(np.concatenate(asked)[:, 5]) == {5.0}
    assert (mended.values[:, 5] == 0).all()
    assert any("`feature 5` is 5 everywhere in the training data" in note for note in as_lime.notes)
    assert not any("everywhere" in note for note in mended.notes)


def test_the_number_of_threads_moves_no_more_than_the_last_digits() -> None:
    """One thread of the linear algebra or two: the same to 1e-6."""
    from threadpoolctl import threadpool_limits

    question = ask(three_classes, TABLE[:20], background=TABLE)

    with threadpool_limits(limits=1):
        one = tabular.explain(question, samples=500)
    with threadpool_limits(limits=2):
        two = tabular.explain(question, samples=500)

    assert one.surrogate is not None
    assert two.surrogate is not None
    assert np.abs(one.surrogate.coefficients - two.surrogate.coefficients).max() <= 1e-6
    assert np.array_equal(one.surrogate.selected, two.surrogate.selected)


@pytest.mark.parametrize("mode", ["row", "stream"])
def test_memory_does_not_grow_with_the_rows(mode: tabular.Mode) -> None:
    """Neighbourhoods of 150 rows, 96 MB together, never exist at a time: their peak is an eighth of that."""
    import tracemalloc

    question = ask(lambda points: points[:, 0], TABLE[:150], background=TABLE)

    tracemalloc.start()
    tabular.explain(question, samples=10_000, mode=mode)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 12e6


def test_what_is_shown_adds_up_to_the_surrogate() -> None:
    """Values are the coefficients, base the intercept, bins the row's own, and nothing else is selected."""
    found = tabular.explain(
        ask(three_classes, TABLE[:5], background=TABLE, feature_names=list("abcdefgh")),
        samples=300, features=3, categorical=["d", 4],
    )  # fmt: skip

    held = found.surrogate
    assert held is not None
    assert np.array_equal(found.values, held.coefficients.astype(np.float32))
    assert np.array_equal(found.base, held.intercept)
    assert ((held.coefficients != 0).sum(axis=1) <= 3).all()
    assert np.allclose(found.total(), held.local, atol=1e-6)
    assert np.array_equal(held.bins[:, 0], np.searchsorted(np.percentile(TABLE[:, 0], [25, 50, 75]), TABLE[:5, 0]))
    assert (held.bins[:, [3, 4]] == -1).all()
    assert held.bin_names[0][0].startswith("a ≤ ")
    assert found.settings["categorical"] == ["d", "e"]
    assert found.method == "lime"


def test_categories_of_a_frame_are_categories_without_being_named() -> None:
    """A text column of a data frame counts as the same or not the same."""
    import pandas as pd

    frame = pd.DataFrame(
        {"age": TABLE[:, 0], "town": np.array(["Ulm", "Bonn", "Kiel", "Jena"])[TABLE[:, 3].astype(int)]}
    )

    def asks(points: pd.DataFrame) -> NDArray[np.float64]:
        return np.asarray((points["town"] == "Ulm") * 0.5 + np.tanh(points["age"]))

    found = tabular.explain(ask(asks, frame.iloc[:4], background=frame), samples=400, fix_point_mass=True)

    assert found.settings["categorical"] == ["town"]
    towns = frame["town"].iloc[:4] == "Ulm"
    assert (np.sign(found.values[:, 1, 0]) == np.where(towns, 1, -1)).all()


def test_an_undeclared_binary_column_is_named() -> None:
    """Two values that are not declared categorical are said, since the model is asked in between."""
    table = TABLE.copy()
    table[:, 0] = TABLE[:, 0] > 0

    notes = tabular.explain(ask(three_classes, table[:2], background=table), samples=50).notes
    declared = tabular.explain(ask(three_classes, table[:2], background=table), samples=50, categorical=[0]).notes

    assert any("`feature 0` holds only 0 and 1 and was not declared categorical" in note for note in notes)
    assert not any("feature 0" in note for note in declared)


def test_a_constant_model_is_explained_by_nothing() -> None:
    """Where the model answers the same everywhere, coefficients are nought and the surrogate is exact."""

    def almost_constant(points: Any) -> NDArray[np.float64]:
        return np.asarray(0.7 + 1e-16 * np.sign(points[:, 0]))

    found = tabular.explain(ask(almost_constant, TABLE[:3], background=TABLE), samples=100)

    assert found.surrogate is not None
    assert np.abs(found.surrogate.coefficients).max() < 1e-12
    assert np.abs(found.base - 0.7).max() < 1e-12
    assert (found.surrogate.r2 == 1.0).all()


def test_what_cannot_be_explained_is_refused_in_one_line() -> None:
    """Missing values, no training data and options that are none are refused with what was found and expected."""
    question = ask(three_classes, TABLE[:2], background=TABLE)
    holed = TABLE.copy()
    holed[3, 1] = np.nan

    def filling(points: Any) -> NDArray[np.float64]:
        return three_classes(np.nan_to_num(points))

    with pytest.raises(DataUnusable, match=r"column feature 1: found a missing value \(NaN\) in row 3"):
        tabular.explain(ask(filling, holed[:5], background=TABLE))
    with pytest.raises(DataUnusable, match=r"column feature 1: found a missing value \(NaN\) in row 3"):
        tabular.explain(ask(filling, TABLE[:5], background=holed))
    with pytest.raises(DataUnusable, match="the background: found none"):
        tabular.explain(ask(three_classes, TABLE[:2]))
    with pytest.raises(DataUnusable, match="the entropy discretizer: found no labels"):
        tabular.explain(question, discretizer="entropy")
    with pytest.raises(DataUnusable, match="samples: found 1"):
        tabular.explain(question, samples=1)
    with pytest.raises(DataUnusable, match="seed: found -1, expected a whole number from 0"):
        tabular.explain(question, seed=-1)
    with pytest.raises(UnknownName, match="no device is called `tpu`; known: cpu, cuda"):
        tabular.explain(question, device="tpu")
    with pytest.raises(DataUnusable, match="features: found 0"):
        tabular.explain(question, features=0)
    with pytest.raises(UnknownName, match="no discretizer is called `thirds`; known: decile, entropy, quartile"):
        tabular.explain(question, discretizer="thirds")
    with pytest.raises(UnknownName, match="no selection is called `best`"):
        tabular.explain(question, selection="best")
    with pytest.raises(UnknownName, match="no mode is called `both`"):
        tabular.explain(question, mode="both")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="no feature is called `z`"):
        tabular.explain(question, categorical=["z"])


def test_progress_is_told_and_the_work_can_be_cancelled() -> None:
    """A watch hears of all rows; once cancelled, the work ends at its next step."""
    import threading

    heard: list[Progress] = []
    question = ask(three_classes, TABLE[:30], background=TABLE)
    tabular.explain(question, samples=5000, watch=Watch(report=heard.append, every_s=0.0))
    cancel = threading.Event()

    def stop(progress: Progress) -> None:
        if progress.done:
            cancel.set()

    assert heard[-1].done == heard[-1].total == 30
    with pytest.raises(Cancelled):
        tabular.explain(question, samples=5000, watch=Watch(report=stop, cancel=cancel, every_s=0.0))
