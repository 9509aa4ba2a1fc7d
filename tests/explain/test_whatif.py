"""A row is edited, and everything that is shown follows; driven as a browser would drive it."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from nbproof import explain
from nbproof.errors import DataUnusable, UnknownName
from nbproof.explain.whatif import Edited, WhatIf

DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "income": DRAW.normal(30, 8, 120).round(1), "age": DRAW.integers(20, 60, 120),
    "town": DRAW.choice(["a", "b", "<c>"], 120), "is_member": DRAW.random(120) > 0.5,
})  # fmt: skip
TARGET = np.where(FRAME["income"] + DRAW.normal(size=120) > 30, "repaid", "default")
FEW = explain.LimeOptions(samples=100)


@pytest.fixture(scope="module")
def model() -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(FRAME, TARGET)


@pytest.fixture
def control(model: Any) -> WhatIf:
    return explain.what_if(model, FRAME.iloc[[0]], FRAME.iloc[1:], lime=FEW, feature_units={"age": "years"})


def edited(control: WhatIf) -> Edited:
    assert isinstance(control.state, Edited), control.state
    return control.state


def texts(control: WhatIf) -> tuple[str, str]:
    """What is said, and what is drawn."""
    *_, said, picture = control.box.children
    return said.value, picture.value


def test_each_kind_of_column_has_its_field(control: WhatIf) -> None:
    """Numbers, whole numbers, categories and marks are edited as what they are, with their units."""
    kinds = {name: type(field) for name, field in control.fields.items()}

    assert kinds == {
        "income": ipywidgets.FloatText, "age": ipywidgets.IntText,
        "town": ipywidgets.Dropdown, "is_member": ipywidgets.Checkbox,
    }  # fmt: skip
    assert control.fields["age"].description == "age (years)"
    assert [label for label, _ in control.fields["town"].options] == ["<c>", "a", "b"]


def test_prediction_and_both_explanations_follow_an_edit(control: WhatIf, model: Any) -> None:
    """After an edit the model was asked about the edited row, and both methods explain that row."""
    row = FRAME.iloc[[0]].assign(income=45.5, town="b")

    control.fields["income"].value = 45.5
    control.fields["town"].value = 2

    state = edited(control)
    expected = model.decision_function(row)[0]
    assert state.explanation.shap is not None
    assert state.explanation.lime is not None
    assert state.explanation.shap.prediction[0, 0] == state.explanation.lime.prediction[0, 0] == expected
    np.testing.assert_allclose(state.explanation.shap.total()[0, 0], expected, atol=1e-5)
    assert state.explanation.shap.data.tolist() == [
        [45.5, float(row["age"].iloc[0]), "b", float(row["is_member"].iloc[0])]
    ]
    said, picture = texts(control)
    assert "The log-odds of repaid are" in said
    assert "by the edit" in said
    assert "45.5" in picture
    assert picture.count("<svg") == 1


def test_an_edit_explains_as_a_call_would(control: WhatIf, model: Any) -> None:
    """What the control shows is what `both` gives for the edited row, bit by bit."""
    control.edit(income=25.0, age=33)

    direct = explain.both(model, FRAME.iloc[[0]].assign(income=25.0, age=33), FRAME.iloc[1:], lime=FEW,
                          feature_units={"age": "years"})  # fmt: skip

    made = edited(control).explanation
    assert made.shap is not None
    assert made.lime is not None
    assert direct.shap is not None
    assert direct.lime is not None
    np.testing.assert_array_equal(made.shap.values, direct.shap.values)
    np.testing.assert_array_equal(made.lime.values, direct.lime.values)
    assert made.shap.origins == direct.shap.origins


def test_a_value_outside_the_training_data_is_told(control: WhatIf) -> None:
    """The reader is warned where the model guesses, and no longer once the value is back."""
    assert edited(control).outside == ()

    control.fields["age"].value = 99

    (sentence,) = edited(control).outside
    assert "age" in sentence
    assert "outside" in sentence
    assert "role='alert'" in texts(control)[0]

    control.fields["age"].value = 40

    assert edited(control).outside == ()
    assert "role='alert'" not in texts(control)[0]


def test_reset_takes_every_edit_back(control: WhatIf) -> None:
    """Prediction, picture and fields are those of the row as it was, and it was asked once for all fields."""
    before = texts(control)
    control.edit(income=1.0, age=59, town=0, is_member=not control.fields["is_member"].value)
    assert texts(control) != before

    control.box.children[1].click()

    assert texts(control) == before
    assert control.fields["income"].value == FRAME["income"].iloc[0]


def test_what_the_model_refuses_takes_the_picture_s_place() -> None:
    """No picture is left standing beside values that it does not explain."""

    def picky(rows: Any) -> Any:
        if rows[0, 0] > 50:
            raise ValueError("too <much>")
        return rows[:, 0] * 2

    rows = DRAW.normal(10, 3, size=(40, 2))
    control = explain.what_if(picky, rows[:1], rows[1:], lime=FEW)

    control.fields["feature 0"].value = 51.0

    assert isinstance(control.state, Exception)
    said, picture = texts(control)
    assert picture == ""
    assert "too &lt;much&gt;" in said

    control.fields["feature 0"].value = 9.0

    assert edited(control).question.prediction[0, 0] == 18.0
    assert "<svg" in texts(control)[1]


def test_a_missing_value_can_be_given_and_taken() -> None:
    """A field of a value that is missing takes a number or nothing; other text is told."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = DRAW.normal(size=(80, 2))
    rows[::5, 0] = np.nan
    fitted = HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(rows, rows[:, 1] > 0)
    control = WhatIf(fitted, rows[:1], rows[1:], explain=lambda question: explain_shap_only(question))

    field = control.fields["feature 0"]
    assert field.value == ""
    field.value = "0.5"
    assert edited(control).question.rows[0, 0] == 0.5
    field.value = "many"
    assert isinstance(control.state, DataUnusable)
    assert "found the text 'many'" in str(control.state)
    field.value = ""
    assert np.isnan(edited(control).question.rows[0, 0])


def explain_shap_only(question: Any) -> Any:
    from nbproof.explain.calls import explained

    return explained(question)


def test_a_page_without_a_kernel_shows_picture_and_text(control: WhatIf) -> None:
    """The control's bundle holds the widget, and for everywhere else SVG, JSON and text."""
    found = control._repr_mimebundle_()

    assert {"application/vnd.jupyter.widget-view+json", "image/svg+xml", "text/plain",
            "application/vnd.nbproof.explanation.v1+json"} <= set(found)  # fmt: skip


def test_one_row_is_edited() -> None:
    """Two rows, no training data and an unknown feature are told."""
    rows = DRAW.normal(size=(20, 2))
    linear = LinearRegression().fit(rows, rows[:, 0])

    with pytest.raises(DataUnusable, match="the row: found 2 rows, expected one row to edit"):
        explain.what_if(linear, rows[:2], rows, lime=FEW)
    with pytest.raises(DataUnusable, match="the background: found none"):
        explain.what_if(linear, rows[:1], None, lime=FEW)
    with pytest.raises(UnknownName, match="no feature is called `income`; known: feature 0, feature 1"):
        explain.what_if(linear, rows[:1], rows[1:], lime=FEW).edit(income=3)
