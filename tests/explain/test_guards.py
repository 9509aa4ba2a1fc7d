"""Guards: each wrong case is refused or named before a number is shown, and a right case passes in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import planted
import pytest

from nbproof.errors import DataUnusable, ExplanationRefused, UnknownName
from nbproof.explain import guards, question


def checks(found: tuple[guards.Caution, ...]) -> list[tuple[str, str | None]]:
    return [(each.check, each.feature) for each in found]


def three_classes(points: Any) -> Any:
    powers = np.exp(np.asarray(points)[:, :3])
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_right_question_raises_no_guard() -> None:
    """Rows inside the range of a background that holds none of them, and continuous columns: nothing to say."""
    asked = planted.asked(rows=planted.normal(20, 0) / 10)

    assert guards.before_shap(asked) == ()
    assert guards.before_lime(asked) == ()
    assert guards.before_showing(planted.shapley(asked), model_outputs=("prediction",)) == ()
    guards.side_by_side(planted.shapley(asked), planted.lime(asked))


def test_a_background_that_contains_the_row_is_named() -> None:
    """Three of twenty rows that stand in the background are counted, with the part that their shares lose."""
    rows = planted.normal(20, 0) / 10
    background = np.concatenate([planted.normal(97, 1), rows[:3]])

    found = guards.before_shap(planted.asked(rows=rows, background=background))

    assert checks(found) == [("background contains the row", None)]
    assert "3 of 20 explained rows" in found[0].sentence
    assert "1.0% too small" in found[0].sentence


def test_a_zero_is_a_zero() -> None:
    """Rows that differ in the sign of a zero, or in how a number is missing, are the same row."""
    row, background = np.array([[0.0, np.nan]]), np.array([[-0.0, -np.nan], [1.0, 2.0], [2.0, 3.0]])

    assert checks(guards.check_leakage(row, background)) == [("background contains the row", None)]


def test_a_background_that_is_the_row_is_refused() -> None:
    """Compared with itself a row has no shares at all."""
    row = planted.normal(1, 0)

    with pytest.raises(ExplanationRefused, match="found row 0 itself as 100% of it"):
        guards.before_shap(planted.asked(rows=row, background=row))


def test_equal_background_rows_are_refused() -> None:
    """A background of one row over and over is a mistake."""
    with pytest.raises(ExplanationRefused, match="found 40 equal rows; expected rows that differ"):
        guards.before_shap(planted.asked(background=np.tile(planted.normal(1, 5), (40, 1))))


def test_a_single_background_row_is_named() -> None:
    """A baseline may be meant, so it is a caution."""
    asked = planted.asked(rows=planted.normal(1, 0), background=planted.normal(1, 5))

    assert ("single background row", None) in checks(guards.before_shap(asked))


def test_rows_outside_the_training_data_are_named() -> None:
    """One row beyond the largest value of a column: column, count and range are told."""
    rows = planted.normal(20, 0) / 10
    rows[4, 2] = 99.0

    found = guards.before_shap(planted.asked(rows=rows))

    assert checks(found) == [("outside the range", "feature 2")]
    assert found[0].sentence.startswith("1 of 20 rows have a value of feature 2 that lies outside")


def test_a_missing_value_where_none_was_is_outside() -> None:
    """A value that is missing only in the explained rows lies outside what the reference holds."""
    found = guards.check_range(np.array([[np.nan]]), np.array([[1.0], [2.0]]), ["age"])

    assert checks(found) == [("outside the range", "age")]
    assert guards.check_range(np.array([[np.nan]]), np.array([[1.0], [np.nan]]), ["age"]) == ()


def with_column(column: Any) -> question.Question:
    training = planted.normal(200, 1)
    training[:, 3] = column
    return planted.asked(rows=training[:3], background=training)


def test_an_undeclared_binary_column_is_named() -> None:
    """A 0/1 column that LIME would fill with fractions is a caution, until it is declared."""
    asked = with_column(np.arange(200) % 2)

    found = guards.before_lime(asked, fix_point_mass=True)

    assert checks(found) == [("undeclared categories", "feature 3")]
    assert 'categorical=["feature 3"]' in found[0].sentence
    assert guards.before_lime(asked, categorical=["feature 3"]) == ()
    assert guards.before_lime(asked, categorical=[3]) == ()


def test_a_few_whole_numbers_are_named_and_many_are_not() -> None:
    """Five levels of education look like kinds, sixty ages do not."""
    assert checks(guards.before_lime(with_column(np.arange(200) % 5), fix_point_mass=True)) == [
        ("undeclared categories", "feature 3")
    ]
    assert guards.before_lime(with_column(np.arange(200) % 60), fix_point_mass=True) == ()


def test_a_column_that_the_frame_declares_needs_no_other_word() -> None:
    """Text and category columns are categorical by themselves."""
    frame = pd.DataFrame({"kind": ["a", "b"] * 50, "amount": np.arange(100.0) ** 1.5})
    asked = question.ask(lambda table: table["amount"].to_numpy(), frame[10:20], background=frame)

    assert guards.before_lime(asked) == ()


@pytest.mark.parametrize("discretizer", ["quartile", None])
def test_a_point_mass_is_named_where_bins_are_used(discretizer: str | None) -> None:
    """A column that is 0.5 in 60 % of the rows has a bin of one value; without bins or with the fix nothing happens."""
    column = np.linspace(0, 1, 200)
    column[:120] = 0.5
    asked = with_column(column)

    found = guards.before_lime(asked, discretizer=discretizer)

    assert checks(found) == ([("point mass", "feature 3")] if discretizer else [])
    assert guards.before_lime(asked, fix_point_mass=True) == ()


def test_lime_needs_training_data() -> None:
    """Without training data there is nothing to perturb by."""
    with pytest.raises(DataUnusable, match="the background: found none"):
        guards.before_lime(question.ask(planted.linear, planted.normal(3, 0)))


def test_a_column_that_is_none_cannot_be_declared() -> None:
    """A misspelt column is an error, never ignored."""
    with pytest.raises(UnknownName, match="no feature is called `ages`"):
        guards.before_lime(planted.asked(), categorical=["ages"])


def test_exact_shares_that_do_not_add_up_are_refused() -> None:
    """A method that claims to be exact and misses the answer by more than a thousandth explains something else."""
    asked = planted.asked()
    wrong = planted.shapley(asked, weights=planted.WEIGHTS * 1.01)

    with pytest.raises(ExplanationRefused, match="linear: found shares that miss the model's answer by up to"):
        guards.before_showing(wrong)


def test_approximate_shares_that_do_not_add_up_are_named() -> None:
    """A method that claims no exactness gets a caution beyond a hundredth, and none below it."""
    asked = planted.asked()
    far, near = (
        replace(planted.shapley(asked, weights=planted.WEIGHTS * factor), is_exact=False) for factor in (1.1, 1.0001)
    )

    assert checks(guards.before_showing(far)) == [("shares do not add up", None)]
    assert guards.before_showing(near) == ()


def test_a_surrogate_never_promised_to_add_up() -> None:
    """LIME's coefficients are not measured by completeness."""
    assert guards.before_showing(planted.lime(planted.asked())) == ()


def test_one_class_of_three_is_named() -> None:
    """A slice with one class of three is a caution; all three, or one of two, are none."""
    asked = question.ask(
        three_classes, planted.normal(5, 0), background=planted.normal(20, 1), output_names=["a", "b", "c"]
    )
    whole = planted.enumerated(asked, draws=2)

    assert guards.check_one_class(whole, asked.answers.outputs) == ()
    assert checks(guards.check_one_class(whole.of("b"), asked.answers.outputs)) == [("one class of many", None)]
    assert guards.check_one_class(replace(whole.of("b"), complement="a"), ("b",)) == ()


def wide(shared: int, **options: Any) -> Any:
    """An explanation of 12 features of which the first `shared` have a share."""
    asked = planted.asked(
        lambda points: points.sum(axis=1), rows=planted.normal(5, 0, 12), background=planted.normal(9, 1, 12)
    )
    values = np.zeros((5, 12, 1))
    values[:, :shared] = asked.prediction[:, None] / shared
    return asked.explained(values, np.zeros(1), method="kernel", **options)


def test_a_regularised_fit_is_refused() -> None:
    """Shapley values by a fit with l1 set say zero of features that matter."""
    with pytest.raises(ExplanationRefused, match=r"found l1_reg='num_features\(10\)' with 12 features"):
        guards.before_showing(wide(10, settings={"l1_reg": "num_features(10)"}))
    assert guards.before_showing(wide(12, settings={"l1_reg": False})) == ()


def test_ten_shares_of_more_features_are_named() -> None:
    """Where no setting tells, ten shares of twelve are a caution, and all twelve are none."""
    assert checks(guards.before_showing(wide(10))) == [("few features have a share", None)]
    assert guards.before_showing(wide(12)) == ()
    assert guards.before_showing(wide(10, is_exact=True)) == ()


def test_two_units_are_never_side_by_side() -> None:
    """A probability and a log-odds are refused beside one another, with what to type."""
    asked = planted.asked()
    one, other = planted.shapley(asked), planted.lime(asked)

    with pytest.raises(ExplanationRefused, match="linear in raw and small lime in log-odds") as refused:
        guards.side_by_side(one, replace(other, unit="log-odds"))
    assert refused.value.hint == 'ask for both with unit="raw"'


def test_other_rows_or_features_are_never_side_by_side() -> None:
    """Other rows, fewer features and other outputs are refused."""
    asked = planted.asked()
    one = planted.shapley(asked)

    with pytest.raises(ExplanationRefused, match="found different rows"):
        guards.side_by_side(one, one[::-1])
    with pytest.raises(ExplanationRefused, match="feature names"):
        guards.side_by_side(one, one[:, :3])
    with pytest.raises(ExplanationRefused, match="output names"):
        guards.side_by_side(one, replace(one, output_names=("other",)))


def test_strictly_a_caution_is_a_refusal() -> None:
    """Under `strict` the first caution is raised, and the others are counted."""
    with pytest.raises(ExplanationRefused, match=r"undeclared categories: found feature 3 .* \(and 1 more\)"):
        guards.before_lime(with_column(np.arange(200) % 2), strict=True)
