"""An explanation and the what-if control in JupyterLab, as a reader sees and uses them."""

from __future__ import annotations

import re

import pytest
from lab_server import USUAL, Lab
from notebook_page import open_notebook
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow

MADE = """
import numpy as np, pandas as pd
from sklearn.ensemble import RandomForestClassifier
from nbproof import explain
draw = np.random.default_rng(0)
frame = pd.DataFrame({"income": draw.normal(30, 8, 90).round(1), "age": draw.integers(20, 60, 90)})
model = RandomForestClassifier(5, max_depth=3, random_state=0).fit(frame, np.where(frame.income > 30, "yes", "no"))
few = explain.LimeOptions(samples=200)
explain.both(model, frame.iloc[[0]], frame.iloc[1:], lime=few, feature_units={"age": "years"})
"""
EDITED = """
control = explain.what_if(model, frame.iloc[[0]], frame.iloc[1:], lime=few, feature_units={"age": "years"})
control
"""


def test_a_reader_sees_the_explanation_and_edits_the_row(lab: Lab, page: Page) -> None:
    """The picture tells of each class; an edited value changes prediction and picture, and one outside is marked."""
    notebook = open_notebook(page, lab, lab.write("explained.ipynb", USUAL, MADE, EDITED))

    notebook.run(0)
    notebook.has_run(0, 1)
    made = notebook.cell(0).locator(".nbp-RenderedExplanation")
    picture = made.get_by_role("img").first
    expect(picture).to_be_visible()
    expect(picture).to_have_attribute(
        "aria-label", re.compile(r"^Why the probability of (yes|no) is .*: shares by SHAP \(trees, exact\), LIME")
    )
    answered = made.get_by_test_id("prediction").inner_text()
    made.get_by_role("combobox", name="Class").select_option(index=1)
    expect(made.get_by_test_id("prediction")).not_to_have_text(answered)

    notebook.run(1)
    notebook.has_run(1, 2)
    shown = notebook.output(1)
    drawn = shown.locator("svg.nbproof-explanation")
    expect(drawn).to_be_visible()
    expect(drawn).to_have_attribute("role", "img")
    expect(shown).to_contain_text("The probability of")
    expect(shown.locator("[role=alert]")).to_have_count(0)

    age = shown.locator(".widget-text, .jp-mod-widget", has_text="age (years)").last.locator("input")
    age.fill("99")
    age.press("Enter")

    expect(shown.locator("[role=alert]")).to_contain_text("age")
    expect(drawn).to_contain_text("99 years")

    shown.get_by_role("button", name="Reset").click()

    expect(shown.locator("[role=alert]")).to_have_count(0)
