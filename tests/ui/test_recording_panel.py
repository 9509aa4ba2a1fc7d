"""The recording as its user sees it: nothing is lost, hidden state is marked with its reason, and off means off."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lab_server import USUAL, Lab, wait_until
from notebook_page import NotebookPage, open_notebook
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0


def show(page: Page) -> Locator:
    """The panel, opened as a user of the keyboard opens it."""
    command(page, "nbproof:show-recording")
    panel = page.get_by_role("region", name="Recording")
    expect(panel).to_be_visible()
    return panel


def command(page: Page, name: str, arguments: dict[str, Any] | None = None) -> None:
    page.evaluate(
        "async ([name, given]) => { await window.jupyterapp.commands.execute(name, given); }", [name, arguments or {}]
    )


def recorded(lab: Lab, name: str) -> list[tuple[str, str]]:
    """The cells that the server's record names, in order, each with its outcome."""
    found = lab.ask(f"recording?path={name}", below="nbproof")
    return [(one["cell_id"], one["outcome"]) for one in found["executions"]]


def rows(panel: Locator) -> Locator:
    return panel.get_by_role("list", name="Executions, the newest first").get_by_role("listitem")


def mark(notebook: NotebookPage, number: int) -> Locator:
    return notebook.cell(number).locator(".nbp-CellMark")


def write_over(notebook: NotebookPage, number: int, source: str) -> None:
    notebook.cell(number).locator(".cm-content").click()
    notebook.page.keyboard.press("Control+a")
    notebook.page.keyboard.type(source)


def restart_and_run_all(notebook: NotebookPage, panel: Locator) -> None:
    panel.get_by_role("button", name="Restart and run all").click()
    notebook.answer("Restart Kernel?", "Confirm Kernel Restart")


def test_nothing_is_lost_by_a_reload_and_a_restart(lab: Lab, page: Page) -> None:
    """A cell that runs while the page is loaded again is recorded to its end, and so is what a new kernel runs."""
    name = lab.write("reloaded.ipynb", USUAL, "import time\nfirst = 1", "time.sleep(6)\nprint('slept')", "first + 1")
    notebook = open_notebook(page, lab, name)
    notebook.run(0)
    notebook.has_run(0, 1)
    notebook.run(1)
    notebook.run(2)
    wait_until(lambda: ("cell-1", "running") in recorded(lab, name), "the second cell runs", PATIENCE_S)

    page.reload()

    whole = [("cell-0", "ok"), ("cell-1", "ok"), ("cell-2", "ok")]
    wait_until(lambda: recorded(lab, name) == whole, "all three are recorded", PATIENCE_S)
    notebook.cell(0).wait_for()
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    panel = show(page)
    expect(rows(panel)).to_have_count(3)
    expect(rows(panel).nth(0)).to_contain_text("cell 3")
    expect(rows(panel).nth(1)).to_contain_text("[2]cell 2done")

    notebook.is_ready()
    restart_and_run_all(notebook, panel)

    wait_until(lambda: recorded(lab, name) == whole, "the new kernel ran all three", PATIENCE_S)
    notebook.has_run(2, 3)
    expect(rows(panel)).to_have_count(3)
    expect(panel).to_contain_text("Every result follows from the code above it.")
    sessions = [path.read_text() for path in (lab.root / ".nbproof/sessions").glob("*.jsonl")]
    of_notebook = [text for text in sessions if "reloaded.ipynb" in text]
    assert [text.count('"kind": "started"') for text in of_notebook] == [3, 3]


def test_an_edit_upstream_marks_what_hangs_on_it(lab: Lab, page: Page) -> None:
    """Each mark says why in words; running all from the top takes every mark away."""
    name = lab.write("edited.ipynb", USUAL, "rate = 2", "price = 10 * rate", "print('independent')", "print(price)")
    notebook = open_notebook(page, lab, name)
    panel = show(page)
    for number in range(4):
        notebook.run(number)
        notebook.has_run(number, number + 1)
    expect(panel).to_contain_text("Every result follows from the code above it.")

    write_over(notebook, 0, "rate = 3")

    edited = "This cell was edited after it ran."
    because = "`rate` comes from cell 1, which was edited after it ran."
    expect(mark(notebook, 0)).to_have_attribute("aria-label", f"edited since: {edited}")
    expect(mark(notebook, 1)).to_have_attribute("title", f"no longer follows: {because}")
    expect(mark(notebook, 3)).to_have_text("≠")
    expect(notebook.panel.locator(".nbp-CellMark")).to_have_count(3)
    marked = panel.get_by_role("region", name="Cells that no longer follow").get_by_role("listitem")
    expect(marked).to_have_count(3)
    expect(marked.nth(1)).to_contain_text("rate comes from cell 1, which was edited after it ran.")
    marked.nth(2).get_by_role("button", name="Go to cell 4").click()
    expect(notebook.cell(3)).to_have_class(re.compile("jp-mod-active"))

    restart_and_run_all(notebook, panel)

    notebook.has_run(3, 4)
    expect(panel).to_contain_text("Every result follows from the code above it.")
    expect(notebook.panel.locator(".nbp-CellMark")).to_have_count(0)
    expect(notebook.output(3)).to_have_text("30")


def test_off_means_off(lab: Lab, page: Page) -> None:
    """Of a cell tagged `nolog` nothing is written but that it ran; switched off, nothing at all; the page says so."""
    name = lab.write("quiet.ipynb", USUAL, "seen = 1", "secret_word = 2", "never_seen = 3")
    tag(lab, name, 1, "nolog")
    notebook = open_notebook(page, lab, name)
    panel = show(page)
    panel.get_by_role("radio", name="full").click()
    expect(panel.get_by_role("radio", name="full")).to_be_checked()
    expect(page.get_by_role("button", name="Recording: full")).to_be_visible()
    for number in range(2):
        notebook.run(number)
        notebook.has_run(number, number + 1)
    expect(rows(panel)).to_have_count(2)
    expect(rows(panel).nth(0)).to_contain_text("a cell that is not logged")

    page.get_by_role("button", name="Recording: full").click()
    page.get_by_role("menuitem", name="Record this notebook: off").click()

    expect(page.get_by_role("button", name="Recording: off")).to_be_visible()
    expect(panel).to_contain_text("Recording is off.")
    expect(panel).to_contain_text("cannot be known")
    notebook.run(2)
    notebook.has_run(2, 3)
    notebook.run(0)
    notebook.has_run(0, 4)
    # Whatever will ever be written of this kernel is written once it has ended.
    for session in lab.ask("sessions"):
        lab.ask(f"sessions/{session['id']}", method="DELETE")
    written = [path for path in (lab.root / ".nbproof/sessions").glob("*.jsonl") if name in path.read_text()]
    assert len(written) == 1
    wait_until(lambda: '"kind": "closed"' in written[0].read_text(), "the session is closed", PATIENCE_S)
    text = written[0].read_text()
    assert text.count('"kind": "started"') == 2
    assert "seen = 1" in text
    assert "secret_word" not in text
    assert "never_seen" not in text


def tag(lab: Lab, name: str, number: int, word: str) -> None:
    """Give a cell of a notebook on the disk a tag."""
    content = json.loads((lab.root / name).read_text())
    content["cells"][number]["metadata"]["tags"] = [word]
    (lab.root / name).write_text(json.dumps(content))
