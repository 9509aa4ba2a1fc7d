"""A question is checked before anything is computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbproof.errors import DataUnusable, ModelUnsteady, ModelUnusable, NbproofError
from nbproof.explain.question import ask

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(40, 3))
FRAME = pd.DataFrame({"age": DRAW.integers(20, 60, 40), "town": DRAW.choice(["a", "b"], 40), "debt": ROWS[:, 0]})


def linear() -> Any:
    return LinearRegression().fit(ROWS, ROWS @ [1.0, 2.0, 3.0])


def mixed() -> Any:
    """A classifier of a frame with text in it."""
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression()).fit(FRAME, FRAME["debt"] > 0)


def test_a_question_knows_the_model_s_answers() -> None:
    """The prediction is the model's own, in its unit, and the asked rows are counted."""
    question = ask(mixed(), FRAME.iloc[:5], background=FRAME, feature_units={"age": "years"})

    chance = mixed().predict_proba(FRAME.iloc[:5])[:, 1:]
    np.testing.assert_allclose(question.prediction, np.log(chance / (1 - chance)), atol=1e-12)
    assert question.answers.unit == "log-odds"
    assert question.answers.outputs == ("True",)
    assert question.answers.complement == "False"
    assert question.feature_units == ("years", "", "")
    assert question.background is not None
    assert question.background.shape == (40, 3)


def test_what_is_explained_says_where_it_comes_from() -> None:
    """An explanation holds the rows as shown, names, unit and hashes; without a background no hash of one."""
    question = ask(mixed(), FRAME.iloc[:2], background=FRAME)

    made = question.explained(np.zeros((2, 3, 1)), np.zeros(1), method="nothing", uses_background=False)

    assert made.feature_names == ("age", "town", "debt")
    assert made.data[:, 1].tolist() == FRAME["town"].iloc[:2].tolist()
    assert made.base.shape == (2, 1)
    assert made.origins.model is not None
    assert made.origins.data is not None
    assert made.origins.background is None
    assert question.origins.background is not None
    assert made.cost.model_rows == question.asked.rows


def test_a_function_is_named_by_what_it_gives() -> None:
    """A function with one answer a row has one output; with three, three."""
    assert ask(lambda rows: rows[:, 0], ROWS).answers.outputs == ("prediction",)
    assert ask(lambda rows: rows, ROWS).answers.outputs == ("output 0", "output 1", "output 2")
    assert ask(lambda rows: rows[:, 0], ROWS, unit="probability").answers.unit == "probability"


def test_an_array_takes_the_names_of_the_frame_that_the_model_was_fitted_on() -> None:
    """Rows as an array are explained under the names that the model knows."""
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c"])

    question = ask(LinearRegression().fit(frame, ROWS[:, 0]).predict, frame)

    assert question.schema.names == ("a", "b", "c")


def bad_questions() -> dict[str, tuple[Any, type[NbproofError], str]]:
    text = FRAME.assign(age=FRAME["age"].astype(str))
    infinite = ROWS.copy()
    infinite[3, 1] = np.inf
    draw = np.random.default_rng(1)
    missing = ROWS.copy()
    missing[2, 0] = np.nan
    return {
        "not fitted": (
            lambda: ask(LinearRegression(), ROWS), ModelUnusable, "LinearRegression: found a model that is not fitted",
        ),
        "wrong width": (
            lambda: ask(linear(), ROWS[:, :2]), DataUnusable, "the data: found 2 columns, expected 3, on which",
        ),
        "wrong background": (
            lambda: ask(linear(), ROWS, background=ROWS[:, :2]), DataUnusable, "the data: found 2 columns, expected 3",
        ),
        "text in a numeric column": (
            lambda: ask(mixed(), FRAME, background=text), DataUnusable, "column age: found the text '.*' in row 0",
        ),
        "text in the rows": (
            lambda: ask(mixed(), text, background=FRAME), DataUnusable, "column age: found the text '.*' in row 0",
        ),
        "text in an array": (
            lambda: ask(linear(), ROWS.astype(str)), DataUnusable, "column feature 0: found the text '.*' in row 0",
        ),
        "infinite": (
            lambda: ask(linear(), infinite), DataUnusable, "column feature 1: found an infinite number in row 3",
        ),
        "missing": (
            lambda: ask(linear(), missing), ModelUnusable, "LinearRegression: found that it cannot answer .*NaN",
        ),
        "unknown category": (
            lambda: ask(mixed(), FRAME.assign(town="z")), ModelUnusable, "Pipeline: found that it cannot answer .*'z'",
        ),
        "no rows": (lambda: ask(linear(), ROWS[:0]), DataUnusable, "the data: found no rows, expected at least one"),
        "no background rows": (
            lambda: ask(linear(), ROWS, background=ROWS[:0]), DataUnusable, "the background: found no rows",
        ),
        "unsteady": (
            lambda: ask(lambda rows: draw.normal(size=len(rows)), ROWS), ModelUnsteady, "found answers that differ by",
        ),
        "unit": (
            lambda: ask(linear(), ROWS, unit="probability"), ModelUnusable, "answers in raw, expected answers in prob",
        ),
        "output names": (
            lambda: ask(linear(), ROWS, output_names=["a", "b"]), ModelUnusable, "found 1 outputs, expected 2, as they",
        ),
        "feature names": (
            lambda: ask(linear(), ROWS, feature_names=["a"]), DataUnusable, "the names: found 1 names, expected 3",
        ),
        "units of no feature": (
            lambda: ask(linear(), ROWS, feature_units={"agee": "years"}), DataUnusable, "the units: found `agee`, exp",
        ),
        "a number": (lambda: ask(linear(), 3.0), DataUnusable, "the data: found an array of 0 dimensions"),
    }  # fmt: skip


@pytest.mark.parametrize("case", bad_questions())
def test_a_bad_question_is_told_in_one_line(case: str) -> None:
    """What cannot be explained is refused before anything is computed, with what was found and what was expected."""
    question, error, said = bad_questions()[case]

    with pytest.raises(error, match=said) as raised:
        question()

    assert "\n" not in str(raised.value)
    assert raised.value.hint


def test_a_method_that_compares_needs_a_background() -> None:
    """Where there is no background, a method that needs one says so with its name."""
    with pytest.raises(DataUnusable, match="the background: found none, expected rows to compare with, for sampling"):
        ask(linear(), ROWS).needs_background("sampling")


PROCESS = """
import json, sys
sys.path.insert(0, {tests!r})
from test_question import *
print(json.dumps(hashes()))
"""


def hashes() -> list[str]:
    found = ask(mixed(), FRAME.iloc[:5], background=FRAME).origins
    return [str(found.model), str(found.data), str(found.background)]


def test_hashes_are_the_same_in_another_process() -> None:
    """Model, data and background have one hash each, whatever the process and its hash seed."""
    code = PROCESS.format(tests=os.path.dirname(__file__))  # noqa: PTH120
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )

    assert json.loads(ran.stdout.splitlines()[-1]) == hashes()
