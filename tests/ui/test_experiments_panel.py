"""The panel of experiments in JupyterLab: ten thousand runs found and compared, hostile ones drawn as what they are."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from lab_server import Lab
from many_runs import fill
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow

COUNT = 10_000
# The store is read in eleven pages, on a machine that may be busy with other tests.
READ_MS = 300_000
OPEN = """async () => {
  await window.jupyterapp.restored;
  await window.jupyterapp.commands.execute('nbproof:open-experiments');
}"""
EVIL = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'


@pytest.fixture(scope="module")
def runs(lab: Lab) -> list[str]:
    """A project with ten thousand runs; the newest three have executed notebooks, and the last of these is hostile."""
    (lab.root / "pyproject.toml").write_text('[tool.nbproof]\nexperiment = "credit"\n')
    ids = fill(lab.root / "mlflow.db", "credit", COUNT)
    for run, value in zip(ids[-3:], (10, 11, 12), strict=True):
        keep_notebook(lab.root, run, value)
    store = sqlite3.connect(lab.root / "mlflow.db")
    with store:
        store.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (f"hostile {EVIL}", ids[-1]))
        store.execute("UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'depth'", (EVIL, ids[-1]))
        store.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.note.content', ?, ?)", (EVIL, ids[-1]))
    store.close()
    return ids


def keep_notebook(root: Path, run: str, value: int) -> None:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": EVIL, "text/plain": "kept"}}
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": f"depth = {value}", "execution_count": 1}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec},
                "cells": [{**cell, "outputs": [output]}]}  # fmt: skip
    folder = root / "mlruns" / run / "artifacts/notebook"
    folder.mkdir(parents=True)
    (folder / "training.ipynb").write_text(json.dumps(notebook))


def open_panel(lab: Lab, page: Page) -> Locator:
    """The panel, once the newest runs are in it."""
    page.goto(f"{lab.address}/lab?token={lab.token}&reset")
    page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('nbproof:open-experiments')")
    page.evaluate(OPEN)
    panel = page.get_by_role("region", name="Experiments")
    expect(rows(panel).first).to_be_visible(timeout=READ_MS)
    return panel


def rows(panel: Locator) -> Locator:
    return panel.get_by_role("listbox").get_by_role("option")


def find(panel: Locator, words: str) -> Locator:
    """The only run in which these words stand one after the other; a random id may hold one of them."""
    panel.get_by_role("searchbox").fill(f'"{words}"')
    option = rows(panel)
    expect(option).to_have_count(1)
    return option


def test_ten_thousand_runs_are_found_and_walked_through(lab: Lab, page: Page, runs: list[str]) -> None:
    """Only what is in sight is drawn; the list ends with the oldest run, and a search finds one of all."""
    panel = open_panel(lab, page)
    expect(panel.get_by_role("status").first).to_have_text("10,000 of 10,000 runs", timeout=READ_MS)
    assert rows(panel).count() < 60
    expect(rows(panel).nth(1)).to_contain_text("training 09998")

    panel.get_by_role("listbox").press("End")
    expect(rows(panel).last).to_contain_text("training 00000")
    expect(rows(panel).last).to_have_attribute("aria-posinset", "10000")

    find(panel, "training 04242")
    panel.get_by_role("searchbox").fill("solver=saga team=risk metric_1>0.87")
    expect(panel.get_by_role("status").first).not_to_have_text("1 of 10,000 runs")
    assert 0 < int(panel.get_by_role("status").first.inner_text().split()[0]) < 1000


def test_two_runs_are_compared(lab: Lab, page: Page, runs: list[str]) -> None:
    """Picked with the keyboard; what differs, their curves and the changed line of their sources are there."""
    panel = open_panel(lab, page)
    for number in (9997, 9998):
        find(panel, f"training {number:05d}")
        panel.get_by_role("listbox").press("ArrowDown")
        panel.get_by_role("listbox").press("Space")
        expect(rows(panel)).to_have_attribute("aria-selected", "true")
    panel.get_by_role("button", name="Compare (2)").click()

    compared = page.locator(".nbp-Compare")
    expect(compared.get_by_role("heading", name="2 runs compared")).to_be_visible()
    expect(compared.get_by_role("row", name="depth ≠ 1 2")).to_be_visible()
    curves = compared.get_by_role("img", name="metric_0 by step")
    expect(curves).to_be_visible()
    assert curves.locator("path").count() == 2
    expect(compared.locator(".nbp-Diff")).to_contain_text("- depth = 10")
    expect(compared.locator(".nbp-Diff")).to_contain_text("+ depth = 11")


def test_a_hostile_run_is_drawn_as_text_and_its_notebook_opens(lab: Lab, page: Page, runs: list[str]) -> None:
    """Nothing of it runs: not in the list, not on its page, not in its executed notebook, which is only shown."""
    panel = open_panel(lab, page)
    option = find(panel, "hostile")
    expect(option).to_contain_text(EVIL)
    panel.get_by_role("listbox").press("ArrowDown")
    panel.get_by_role("listbox").press("Enter")

    shown = page.locator(".nbp-RunPage")
    expect(shown.get_by_role("heading", level=2)).to_contain_text(EVIL)
    expect(shown.get_by_role("textbox", name="Note", exact=True)).to_have_value(EVIL)
    assert shown.locator("img, script").count() == 0
    shown.get_by_role("textbox", name="Note", exact=True).fill("looked at")
    shown.get_by_role("button", name="Save note").click()
    expect(shown.get_by_role("button", name="Save note")).to_be_disabled()

    shown.get_by_role("button", name="Open executed notebook").click()
    notebook = page.locator(".jp-NotebookPanel")
    expect(notebook.locator(".jp-CodeCell .cm-content")).to_contain_text("depth = 12")
    assert page.evaluate("() => window.hurt") is None
    assert (lab.root / "opened" / f"training-{runs[-1][:8]}.ipynb").is_file()
