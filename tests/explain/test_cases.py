"""Cases, slices and reason codes: each picks what it must, and says what it cannot know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from nbproof.errors import DataUnusable, ExplanationRefused, UnknownName
from nbproof.explain import cases, reasons, slices
from nbproof.explain.explanation import Explanation

ANSWERS = [0.05, 0.52, 0.30, 0.95, 0.31]
NAMES = {"income": "Income too low", "debt": "Debt too high", "age": "Short credit history"}


def explained(answers: list[float] = ANSWERS, **changed: object) -> Explanation:
    """Five answers about a default; the shares of debt and age make up the distance from 0.3."""
    away = np.array(answers) - 0.3
    values = np.stack([0 * away, 2 * away, -away], axis=1)[:, :, None].astype(np.float32)
    made = Explanation(
        values=values,
        base=np.full((len(answers), 1), 0.3),
        prediction=np.array(answers)[:, None],
        data=np.tile(np.array([1000.0, 2.5, 33.0]), (len(answers), 1)),
        feature_names=("income", "debt", "age"),
        output_names=("default",),
        unit="probability",
        method="exact enumeration",
        is_exact=True,
        complement="paid",
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def test_each_kind_of_case_is_the_row_that_it_says() -> None:
    """Typical, borderline, worst error and highest impact are found, each with its numbers in words."""
    found = cases.pick(explained(), truth=[1, 1, 0, 1, 0])

    assert [(each.kind, each.row, each.reason) for each in found.cases] == [
        ("typical", 4, "its shares lie nearest to the median of all rows; default is answered with 0.31"),
        ("borderline", 1, "default is answered with 0.52, 0.02 from the threshold 0.5"),
        ("worst error", 0, "default is answered with 0.05, 0.95 from what really happened"),
        ("highest impact", 3, "default is answered with 0.95, 0.65 from the base"),
    ]
    assert found.absent == ()


def test_what_cannot_be_picked_is_told() -> None:
    """Without truth there is no worst error, and a raw answer has no border."""
    found = cases.pick(explained(unit="raw", complement=None))

    assert [each.kind for each in found.cases] == ["typical", "highest impact"]
    assert [each.split(":")[0] for each in found.absent] == ["borderline", "worst error"]


def test_no_row_is_read_twice() -> None:
    """With two rows and four kinds the first kinds take them, and the others say that none is left."""
    found = cases.pick(explained([0.1, 0.9]), truth=[0, 1])

    assert sorted(each.row for each in found.cases) == [0, 1]
    assert len(found.absent) == 2


def test_the_first_class_has_cases_of_its_own() -> None:
    """For the complement the answers are turned round, and so is what happened."""
    found = cases.pick(explained(), output="paid", truth=[0, 0, 1, 0, 1])

    assert [each.row for each in found.cases] == [4, 1, 0, 3]


def test_errors_in_log_odds_are_those_of_the_probability() -> None:
    """All came true: a margin of −3 is the worst error, and 9, though it lies further from 1, the best answer."""
    found = cases.pick(explained([4.0, -0.1, 9.0, 4.1, -3.0], unit="log-odds"), truth=[1] * 5)

    assert {each.kind: each.row for each in found.cases} == {
        "typical": 0,
        "borderline": 1,
        "worst error": 4,
        "highest impact": 2,
    }


@pytest.mark.parametrize("truth", [[1, 1], [1, 1, 0, 1, 2], [1, 1, 0, 1, float("nan")]])
def test_a_truth_that_does_not_fit_is_refused(truth: list[float]) -> None:
    """Another length, another class and a missing value each have their one line."""
    with pytest.raises(DataUnusable, match="the truth: found"):
        cases.pick(explained(), truth=truth)


def many(rows: int, seed: int = 0, **changed: object) -> Explanation:
    return explained(np.random.default_rng(seed).uniform(size=rows).tolist(), **changed)


def test_a_small_group_has_no_numbers() -> None:
    """Of five rows nothing is estimated: every number says that there are too few."""
    small, large = slices.by_group(many(105), ["b"] * 100 + ["a"] * 5, truth=[0, 1] * 52 + [0])

    assert (small.group, small.rows, small.is_enough) == ("a", 5, False)
    numbers = [small.answer, small.performance, *small.shares, *small.importance]
    assert {(each.value, each.low, each.high) for each in numbers} == {(None, None, None)}
    assert {each.reason for each in numbers} == {"too few rows: 5 of at least 30"}
    assert large.is_enough


def test_a_mean_has_the_interval_of_its_standard_error() -> None:
    """Shares of ±1, half and half, have mean 0 and a half width of 1.96 standard errors."""
    values = np.tile([1.0, -1.0], 50)
    made = replace(many(100), values=np.tile(values[:, None, None], (1, 3, 1)).astype(np.float32))

    (found,) = slices.by_group(made, ["all"] * 100)

    half = 1.959963984540054 * values.std(ddof=1) / 10
    assert found.shares[0] == slices.Estimate(0.0, pytest.approx(-half), pytest.approx(half))
    assert found.importance[0] == slices.Estimate(1.0, 1.0, 1.0)


def test_a_group_that_is_treated_otherwise_is_apart() -> None:
    """A model that is right for one group and guesses for the other has intervals that do not meet."""
    random = np.random.default_rng(3)
    truth = random.integers(2, size=400)
    answers = np.where(np.arange(400) < 200, truth * 0.8 + 0.1, random.uniform(size=400))
    groups = ["known"] * 200 + ["guessed"] * 200

    guessed, known = slices.by_group(explained(answers.tolist()), groups, truth=truth)

    assert known.performance == slices.Estimate(1.0, 1.0, 1.0)
    assert guessed.performance.value == pytest.approx(0.5, abs=0.1)
    assert known.performance.apart_from(guessed.performance)


def test_groups_alike_are_not_apart() -> None:
    """Two halves of the same rows have intervals that meet."""
    made = many(400)
    truth = (np.random.default_rng(1).uniform(size=400) < made.prediction[:, 0]).astype(int)

    first, second = slices.by_group(made, [0, 1] * 200, truth=truth)

    assert first.performance.apart_from(second.performance) is False


def test_a_group_of_one_outcome_has_no_curve() -> None:
    """Where every row came out the same, the area under the curve is not known, and not 1 or 0."""
    (found,) = slices.by_group(many(40), ["all"] * 40, truth=[1] * 40)

    assert found.performance == slices.Estimate(None, reason="every row of the group came out 1")


def test_a_raw_answer_is_measured_by_its_error() -> None:
    """A regression that is off by 2 throughout has a mean absolute error of 2, without any doubt."""
    made = many(40, unit="raw", complement=None)

    (found,) = slices.by_group(made, ["all"] * 40, truth=made.prediction[:, 0] + 2)

    assert found.measure == "mean absolute error"
    assert found.performance.value == pytest.approx(2.0)


def test_rows_without_a_label_are_a_group() -> None:
    """Nobody drops out: a missing label is a group by its name, and all rows are counted."""
    found = slices.by_group(many(60), [None, float("nan"), 1.5] * 20)

    assert [(each.group, each.rows) for each in found] == [("1.5", 20), ("missing", 40)]


def test_slices_follow_from_their_seed() -> None:
    """The same seed gives the same intervals, bit for bit."""
    made, truth = many(80), [0, 1] * 40

    assert slices.by_group(made, ["a"] * 80, truth=truth, seed=1) == slices.by_group(
        made, ["a"] * 80, truth=truth, seed=1
    )


def test_labels_must_fit_the_rows() -> None:
    """One label a row, no fewer."""
    with pytest.raises(DataUnusable, match="the groups: found 3 labels, expected 5"):
        slices.by_group(explained(), ["a"] * 3)


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(np.float64, 12, elements=st.integers(0, 4).map(float)),
    hnp.arrays(np.int64, 12, elements=st.integers(0, 1)).filter(lambda found: 0 < found.sum() < 12),
)
def test_the_area_is_scikit_learn_s(answers: np.ndarray, truth: np.ndarray) -> None:
    """The area under the curve equals scikit-learn's, ties included."""
    assert slices.area_under_curve(answers, truth) == pytest.approx(roc_auc_score(truth, answers), abs=1e-12)


def test_only_what_pushes_the_adverse_way_is_a_reason() -> None:
    """A default of 0.95 is due to the debt; the age speaks against it, and the income is not used."""
    found = reasons.give(explained(), 3, adverse="high", dictionary=NAMES)

    assert found.reasons == (reasons.Reason("Debt too high", ("debt",), ("2.5",), pytest.approx(1.3)),)
    assert found.uncertain == ()
    assert found.computed == (
        "The features that pushed default up most, by exact Shapley values (exact enumeration) in probability, "
        "against a base of 0.3."
    )


def test_where_low_is_adverse_the_direction_turns() -> None:
    """For the chance of being paid back the same row has the same reason, from the other side."""
    turned = reasons.give(explained(), 3, adverse="low", dictionary=NAMES, output="paid")
    opposite = reasons.give(explained(), 3, adverse="low", dictionary=NAMES)

    assert [each.text for each in turned.reasons] == ["Debt too high"]
    assert [each.text for each in opposite.reasons] == ["Short credit history"]


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float32, (1, 3, 1), elements=st.floats(-1, 1, width=32)), st.sampled_from(["high", "low"]))
def test_no_reason_pushes_the_other_way(values: np.ndarray, adverse: str) -> None:
    """Whatever the shares: at most four reasons, the strongest first, each above zero in the adverse direction."""
    made = replace(explained([0.5]), values=values)

    found = reasons.give(made, 0, adverse=adverse, dictionary=NAMES).reasons  # type: ignore[arg-type]

    pushes = [each.push for each in found]
    assert pushes == sorted(pushes, reverse=True)
    sign = 1 if adverse == "high" else -1
    expected = {name for name, share in zip(made.feature_names, values[0, :, 0], strict=True) if sign * share > 0}
    assert {name for each in found for name in each.features} == expected


def wide(shares: list[float]) -> tuple[Explanation, dict[str, str]]:
    names = tuple(f"pay_{at}" for at in range(len(shares)))
    made = Explanation(
        values=np.array(shares, dtype=np.float32)[None, :, None], base=np.zeros((1, 1)), prediction=np.ones((1, 1)),
        data=np.ones((1, len(shares))), feature_names=names, output_names=("default",), unit="probability", method="m",
    )  # fmt: skip
    return made, {name: f"Reason {name}" for name in names}


def test_four_reasons_are_the_most() -> None:
    """Of six features that push, the four strongest are told."""
    made, names = wide([0.1, 0.6, 0.5, 0.4, 0.3, 0.2])

    found = reasons.give(made, 0, adverse="high", dictionary=names)

    assert [each.features for each in found.reasons] == [("pay_1",), ("pay_2",), ("pay_3",), ("pay_4",)]


def test_features_of_one_text_are_one_reason() -> None:
    """Six months of late payments are one reason, with the sum of their pushes, and name only those that push."""
    made, _ = wide([0.3, 0.3, -0.1, 0.4])
    names = {"pay_0": "Late payments", "pay_1": "Late payments", "pay_2": "Late payments", "pay_3": "Too much credit"}

    found = reasons.give(made, 0, adverse="high", dictionary=names).reasons

    assert [(each.text, each.features, each.push) for each in found] == [
        ("Late payments", ("pay_0", "pay_1"), pytest.approx(0.5)),
        ("Too much credit", ("pay_3",), pytest.approx(0.4)),
    ]


def test_noise_is_no_reason() -> None:
    """A push within two standard errors of zero is left out, and named as uncertain."""
    made, names = wide([0.5, 0.1])
    made = replace(made, error=np.full(made.shape, 0.06, dtype=np.float32))

    found = reasons.give(made, 0, adverse="high", dictionary=names)

    assert [each.text for each in found.reasons] == ["Reason pay_0"]
    assert found.uncertain == ("Reason pay_1",)


def test_a_feature_that_the_model_lacks_is_no_reason() -> None:
    """A dictionary that speaks of another model's features is refused, and so is one that leaves a feature out."""
    with pytest.raises(UnknownName, match="no feature of the model is called `gender`"):
        reasons.give(explained(), 3, adverse="high", dictionary={**NAMES, "gender": "Gender"})
    with pytest.raises(DataUnusable, match="found no text for age"):
        reasons.give(explained(), 3, adverse="high", dictionary={"income": "Income", "debt": "Debt"})


def test_coefficients_of_a_surrogate_are_no_reasons() -> None:
    """LIME's coefficients are refused, with what to do instead."""
    made = planted.lime(planted.asked(rows=planted.normal(1, 0)), samples=200)

    with pytest.raises(ExplanationRefused, match="found coefficients of a surrogate"):
        reasons.give(made, 0, adverse="high", dictionary={name: name for name in made.feature_names})
