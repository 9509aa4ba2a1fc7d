"""A notebook in JupyterLab as its user sees and uses it."""

from __future__ import annotations

import contextlib
import urllib.parse
from dataclasses import dataclass
from typing import Any

from lab_server import Lab
from playwright.sync_api import Locator, Page, expect

PRESSES, LEARNING_S = 5, 10
IS_READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""


@dataclass(frozen=True, slots=True)
class NotebookPage:
    """An open notebook: what its toolbar and its cells do."""

    page: Page
    name: str

    @property
    def panel(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, number: int) -> Locator:
        return self.panel.locator(".jp-CodeCell").nth(number)

    def output(self, number: int) -> Locator:
        return self.cell(number).locator(".jp-OutputArea-output")

    def prompt(self, number: int) -> Locator:
        """What stands before a cell: its number once it has run."""
        return self.cell(number).locator(".jp-InputArea-prompt")

    def press(self, command: str) -> None:
        """Press a button of the toolbar."""
        self.panel.locator(f'.jp-NotebookPanel-toolbar [data-command="notebook:{command}"]').click()

    def run(self, number: int) -> None:
        """Run a cell without waiting for its end."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def has_run(self, number: int, prompt: int) -> None:
        """Wait for the end of a cell, which is then number `prompt` of those that its kernel has run."""
        expect(self.prompt(number)).to_have_text(f"[{prompt}]:")

    def turn_debugger_on(self) -> None:
        """Press the bug until it stays pressed: JupyterLab forgets a press while it still learns of the kernel."""
        bug = self.panel.locator(".jp-DebuggerBugButton")
        for _ in range(PRESSES):
            if bug.get_attribute("aria-pressed") != "true":
                bug.click()
            with contextlib.suppress(AssertionError):
                expect(bug).to_have_attribute("aria-pressed", "true", timeout=LEARNING_S * 1000)
                return
        expect(bug).to_have_attribute("aria-pressed", "true")

    def is_ready(self) -> None:
        """Wait until the kernel has nothing to do; what is run before JupyterLab knows of it is not run at all."""
        self.page.wait_for_function(IS_READY)

    def answer(self, title: str, button: str) -> None:
        """Answer a dialog."""
        dialog = self.page.locator(".jp-Dialog", has=self.page.locator(".jp-Dialog-header", has_text=title))
        dialog.get_by_role("button", name=button).click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)


def open_notebook(page: Page, lab: Lab, name: str) -> NotebookPage:
    """Open a notebook by its address, and wait for its kernel."""
    page.goto(f"{lab.address}/lab/tree/{urllib.parse.quote(name)}?token={lab.token}&reset")
    opened = NotebookPage(page, name)
    opened.cell(0).wait_for()
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    opened.is_ready()
    return opened


def run_command(page: Page, command: str, arguments: dict[str, Any] | None = None) -> None:
    """Carry out a command of JupyterLab, and wait for its end."""
    page.evaluate(
        "async ([command, given]) => { await window.jupyterapp.commands.execute(command, given); }",
        [command, arguments or {}],
    )
