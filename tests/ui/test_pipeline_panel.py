"""The panel of pipelines as its user sees it: states that follow a run, reasons, runs from a task, what failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab_server import Lab
from pipeline_project import edit, write_project
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.slow
START = "() => window.jupyterapp && window.jupyterapp.commands.hasCommand('nbproof:open-pipeline')"
OPEN = "async path => { await window.jupyterapp.commands.execute('nbproof:open-pipeline', { path }); }"
SAVE = "async () => { await window.jupyterapp.commands.execute('docmanager:save'); }"


@dataclass(frozen=True, slots=True)
class PipelinePage:
    """The panel, found by what a screen reader is told."""

    page: Page

    @property
    def panel(self) -> Locator:
        return self.page.locator("#nbproof-pipeline")

    def task(self, name: str) -> Locator:
        return self.panel.locator(f'.nbp-Dag-task[data-task="{name}"]')

    def is_in(self, state: str, *tasks: str) -> None:
        """Wait until the tasks are in a state, as their labels say it."""
        for name in tasks:
            expect(self.task(name)).to_have_attribute("aria-label", label(name, state))

    def press(self, button: str) -> None:
        self.panel.get_by_role("button", name=button, exact=True).click()


def label(name: str, state: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(f'{name}: {state}')}")


def open_panel(page: Page, lab: Lab, project: str) -> PipelinePage:
    page.goto(f"{lab.address}/lab?token={lab.token}&reset")
    page.wait_for_function(START)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    page.evaluate(OPEN, f"{project}/pipeline.yaml")
    return PipelinePage(page)


def test_a_pipeline_is_run_watched_edited_and_run_from_there(page: Page, lab: Lab, tmp_path: Path) -> None:
    """States follow a run through a reload; an edit is told with its reason; running from there makes all fresh."""
    folder = write_project(lab.root / "watched")
    (folder / "go").unlink()
    shown = open_panel(page, lab, "watched")
    shown.is_in("not run yet", "make", "use", "tell")

    shown.press("Run pipeline")
    shown.is_in("fresh", "make")
    shown.is_in("running, cell 4 of 5", "use")
    shown.is_in("queued", "tell")
    page.screenshot(path=tmp_path / "running.png")
    page.reload()
    page.wait_for_function(START)
    shown.is_in("running", "use")
    shown.task("use").focus()
    page.keyboard.press("Enter")
    expect(shown.panel.get_by_role("log", name="Output of use")).to_contain_text("read 3")
    (folder / "go").touch()
    shown.is_in("fresh", "make", "use", "tell")
    expect(shown.panel.get_by_role("status").first).to_contain_text("run done")

    shown.press("Open notebook")
    cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .cm-content").nth(1)
    cell.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("; print('more')")
    page.evaluate(SAVE)
    page.evaluate(OPEN, "watched/pipeline.yaml")
    shown.is_in("stale: code cell 2 changed", "use")
    shown.is_in("waits for upstream", "tell")

    shown.task("make").focus()
    page.keyboard.press("ArrowDown")
    expect(shown.task("use")).to_be_focused()
    page.keyboard.press("Enter")
    expect(shown.panel.get_by_role("heading", name="use")).to_be_focused()
    shown.press("Run from here")
    shown.is_in("fresh", "make", "use", "tell")
    expect(shown.panel.get_by_role("log", name="Output of use")).to_contain_text("more")
    page.keyboard.press("Escape")
    shown.press("List")
    expect(shown.panel.get_by_role("row", name="use fresh")).to_be_visible()


def test_what_failed_is_shown_with_its_cell_and_a_wrong_value_starts_nothing(
    page: Page, lab: Lab, tmp_path: Path
) -> None:
    """The reason names the cell, the executed notebook shows the error, and a form has the server's words."""
    folder = write_project(lab.root / "failing")
    edit(folder / "use.ipynb", "'broken' not in lines", "'line' not in lines, 'there is a line'")
    shown = open_panel(page, lab, "failing")

    shown.press("Run pipeline")
    shown.is_in("failed: cell 5: AssertionError: there is a line", "use")
    shown.is_in("blocked: upstream use failed", "tell")
    shown.task("use").click()
    page.screenshot(path=tmp_path / "failed.png")
    shown.press("Open executed notebook")
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")).to_contain_text("AssertionError: there is a line")
    assert (folder / "build/use.failed.ipynb").is_file()

    page.evaluate(OPEN, "failing/pipeline.yaml")
    shown.task("make").click()
    shown.panel.get_by_text("Parameters", exact=True).click()
    rows = shown.panel.get_by_role("textbox", name="rows")
    rows.fill("0")
    expect(shown.panel.locator(".nbp-Parameters-problem")).to_have_text("`rows` is 0, expected at least 1")
    expect(rows).to_have_attribute("aria-invalid", "true")
    expect(shown.panel.get_by_role("combobox", name="kind")).to_have_value("a")
    expect(shown.panel.get_by_role("textbox", name="token")).to_have_value("env:HOME")
    page.screenshot(path=tmp_path / "refused.png")
    runs = sorted((folder / ".nbproof/runs").iterdir())
    shown.press("Run pipeline")
    expect(shown.panel.locator(".nbp-Parameters-problem")).to_have_text("`rows` is 0, expected at least 1")

    assert sorted((folder / ".nbproof/runs").iterdir()) == runs
