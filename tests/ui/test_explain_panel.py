"""The Explain panel in JupyterLab: models of a live kernel explained on screen, and what is inserted of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lab_server import USUAL, Lab, wait_until
from notebook_page import NotebookPage, open_notebook
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow

THREE = """
import numpy as np, pandas as pd, torch
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier
draw = np.random.default_rng(0)
clients = pd.DataFrame({
    "income": draw.normal(30, 8, 150).round(1), "age": draw.integers(20, 60, 150), "debt": draw.normal(size=150),
})
repaid = np.where(clients.income + 3 * clients.debt > 30, "yes", "no")
forest = RandomForestClassifier(10, max_depth=4, random_state=0).fit(clients, repaid)
boosted = XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1).fit(clients, (repaid == "yes").astype(int))
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1), torch.nn.Sigmoid()).eval()
matrix = clients.to_numpy().astype("float32")
clients["repaid"] = repaid
"""
SLOW = """
import time
import numpy as np
rows = np.random.default_rng(0).normal(size=(400, 4))
def score(points):
    time.sleep(0.05)
    return np.asarray(points)[:, 0] * 2
"""


def opened(page: Page, lab: Lab, name: str, *cells: str) -> tuple[NotebookPage, Locator]:
    """A notebook whose first cell has run, and the panel beside it, which has looked."""
    notebook = open_notebook(page, lab, lab.write(name, USUAL, *cells))
    notebook.run(0)
    notebook.has_run(0, 1)
    notebook.panel.locator('[data-command="nbproof:open-explain"]').click()
    panel = page.locator("#nbproof-explain")
    expect(panel).to_contain_text("Nothing runs before you press Look")
    panel.get_by_role("button", name="Look", exact=True).click()
    expect(panel.get_by_role("combobox", name="Model", exact=True)).to_be_visible()
    return notebook, panel


def tags(path: Path) -> list[list[str] | None]:
    """The tags of the cells of a notebook on disk; none while it is being written."""
    try:
        cells = json.loads(path.read_text())["cells"]
    except json.JSONDecodeError:
        return []
    return [cell["metadata"].get("tags") for cell in cells]


def numbers(panel: Locator) -> dict[str, str]:
    """The shares of the first picture by their features, as the table beside it has them."""
    table = panel.locator(".nbp-Result .nbp-Chart table").first
    rows = table.evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {row[0]: " | ".join(row[1:]) for row in rows}


def test_models_of_three_libraries_are_explained_on_screen(lab: Lab, page: Page) -> None:
    """A forest, boosted trees and a network of one notebook: each by SHAP and LIME on one scale, and over many rows."""
    _, panel = opened(page, lab, "three_models.ipynb", THREE)
    explain = panel.get_by_role("button", name="Explain row", exact=True)
    result = panel.locator(".nbp-Result")

    for model, said in (
        ("forest", r"Why the probability of (yes|no) is .*: shares by SHAP \(trees, exact\), LIME, on one scale"),
        ("boosted", r"Why the log-odds of 1 is .*: shares by SHAP \(native, exact\), LIME, on one scale"),
        ("network", r"Why the probability of prediction is .*: shares by SHAP \(enumerated.*\), LIME, on one scale"),
    ):
        panel.get_by_role("combobox", name="Model", exact=True).select_option(model)
        explain.click()

        picture = result.get_by_role("img").first
        expect(picture).to_have_attribute("aria-label", re.compile(said))
        expect(result.locator(".nbp-Verdicts")).to_contain_text("completeness of SHAP")
        assert set(numbers(panel)) == (
            {"income", "age", "debt"} if model != "network" else {"feature 0", "feature 1", "feature 2"}
        )

    panel.get_by_role("combobox", name="Model", exact=True).select_option("boosted")
    panel.get_by_role("combobox", name="Rows of", exact=True).select_option("clients")
    panel.get_by_role("tab", name="The model").click()
    panel.get_by_role("button", name="Explain model", exact=True).click()

    expect(result.locator(".nbp-Point").first).to_be_visible()
    expect(result.get_by_role("img")).to_have_count(3)

    panel.get_by_role("tab", name="By groups").click()
    panel.get_by_role("combobox", name="Column", exact=True).select_option("repaid")
    panel.get_by_role("button", name="Compare groups").click()

    expect(panel.locator(".nbp-Slices tbody th")).to_have_text(["no", "yes"])


def test_an_edited_row_changes_both_explanations(lab: Lab, page: Page) -> None:
    """A value that is edited moves the prediction and the shares of both methods; reset brings the row back."""
    _, panel = opened(page, lab, "edited_row.ipynb", THREE)
    panel.get_by_role("combobox", name="Model", exact=True).select_option("forest")
    panel.get_by_role("button", name="Explain row", exact=True).click()
    prediction = panel.get_by_test_id("prediction")
    expect(prediction).to_be_visible()
    answered, before = prediction.inner_text(), numbers(panel)
    panel.get_by_text("What if? Edit the row").click()
    field = panel.get_by_role("spinbutton", name=re.compile("^income"))

    field.fill("99")

    expect(panel.locator(".nbp-Result")).to_contain_text(f"Before the edit the prediction was {answered}.")
    expect(panel.locator(".nbp-Result")).to_have_attribute("aria-busy", "false")
    expect(panel.get_by_role("note").first).to_contain_text("lies outside what the reference rows hold")
    after = numbers(panel)
    assert after["income"].startswith("99 | ")
    shap, lime = zip(before["income"].split(" | ")[1:], after["income"].split(" | ")[1:], strict=True)
    assert shap[0] != shap[1]
    assert lime[0] != lime[1]

    panel.get_by_role("button", name="Reset").click()

    expect(prediction).to_have_text(answered)
    assert numbers(panel) == before


def test_a_long_run_is_foreseen_watched_and_cancelled(lab: Lab, page: Page) -> None:
    """It asks first and says how long, shows how far it is, ends when it is cancelled, and cells run meanwhile."""
    notebook, panel = opened(page, lab, "long_run.ipynb", SLOW, "print('a cell', 6 * 7)")
    panel.get_by_role("tab", name="The model").click()
    panel.get_by_role("button", name="Explain model", exact=True).click()
    foreseen = panel.get_by_role("alert")
    expect(foreseen).to_contain_text(re.compile(r"This will take about [\d.]+ (s|min) for 200 rows"))

    foreseen.get_by_role("button", name="Begin").click()

    bar = panel.get_by_role("progressbar", name="Explaining by SHAP")
    expect(bar).to_have_attribute("aria-valuemax", "200")
    notebook.run(1)
    notebook.has_run(1, 2)
    expect(notebook.output(1)).to_have_text("a cell 42")
    expect(bar).to_be_visible()

    panel.get_by_role("button", name="Cancel").click()

    expect(panel.get_by_role("progressbar")).to_have_count(0)
    panel.get_by_role("button", name="Look again").click()
    expect(panel.get_by_role("button", name="Look again")).to_be_enabled()
    expect(panel.locator(".nbp-Result")).to_have_count(0)


def test_what_is_inserted_gives_the_same_numbers(lab: Lab, page: Page) -> None:
    """The cell that the panel adds to the report explains the same row, and its output is the same explanation."""
    notebook, panel = opened(page, lab, "inserted_code.ipynb", THREE)
    panel.get_by_role("combobox", name="Model", exact=True).select_option("boosted")
    panel.get_by_role("spinbutton", name="Row", exact=True).fill("7")
    panel.get_by_role("button", name="Explain row", exact=True).click()
    expect(panel.locator(".nbp-Verdicts")).to_contain_text("stability of SHAP")
    shown = numbers(panel)

    panel.get_by_role("button", name="Add to report").click()

    notebook.has_run(1, 2)
    drawn = notebook.cell(1).locator(".nbp-RenderedExplanation")
    expect(drawn.get_by_role("img").first).to_be_visible()
    rows = drawn.locator(".nbp-Chart table").first.evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert {row[0]: " | ".join(row[1:]) for row in rows} == shown
    expect(notebook.cell(1).locator(".cm-content")).to_contain_text(
        "explain.both(boosted, clients[list(boosted.feature_names_in_)].iloc[[7]]"
    )

    notebook.cell(1).locator(".cm-content").click()
    page.keyboard.press("Control+s")

    wait_until(lambda: tags(lab.root / notebook.name) == [None, ["report"]], "the tagged cell is saved")
