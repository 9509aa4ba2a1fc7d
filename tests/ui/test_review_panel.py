"""The review panel in JupyterLab: from a request to an approval, and to its end when a cell changes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from lab_server import Lab, wait_until
from notebook_page import open_notebook, run_command
from playwright.sync_api import Page, expect

sys.path.append(str(Path(__file__).parents[1] / "review"))

from reviewed import BELA, write_key, write_project

from nbproof.review.deciding import request
from nbproof.review.standing import standing

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / "extensions/lab/node_modules/axe-core/axe.min.js"
ANA = '[tool.nbproof.review]\nname = "Ana"\nkey = "../ana"\n'


def faults(page: Page, within: str) -> list[str]:
    """What axe finds wrong for those who do not see, or do not use a mouse."""
    page.add_script_tag(path=AXE)
    found = page.evaluate("async within => (await axe.run(within)).violations", within)
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_an_approval_ends_with_a_change(lab: Lab, page: Page) -> None:
    """Ana approves with a condition what was seen; a changed and saved cell ends it, and the panel shows its lines."""
    notebook = write_project(lab.root / "project", table=ANA)
    project = notebook.parents[1]
    write_key(lab.root / "ana", 1)
    request(project, notebook, key=BELA)
    opened = open_notebook(page, lab, "project/notebooks/score.ipynb")
    run_command(page, "nbproof:show-review")
    panel = page.get_by_role("region", name="Review")
    state = panel.locator("[data-state]")
    expect(state).to_have_attribute("data-state", "requested")
    digest = str(standing(project, notebook).binding.digest)  # type: ignore[union-attr]

    # JupyterLab notes the language of the kernel as soon as it opens a notebook; that is no change of its content.
    run_command(page, "docmanager:save")
    expect(panel.get_by_text("Not saved.")).to_have_count(0)
    expect(state).to_have_attribute("data-state", "requested")

    panel.get_by_role("button", name="Approve…").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text(digest)
    if AXE.exists():
        assert faults(page, ".jp-Dialog .nbp-Review-question") == []
    dialog.get_by_label("Conditions").fill("watch the drift @2999-01-31")
    dialog.get_by_label("Remark").fill("<img src=x onerror=alert(1)>")
    dialog.get_by_role("button", name="Sign").click()

    expect(state).to_have_attribute("data-state", "approved with conditions")
    expect(panel).to_contain_text("watch the drift (until 2999-01-31)")
    expect(panel).to_contain_text("<img src=x onerror=alert(1)>")
    assert standing(project, notebook).state == "approved with conditions"

    expect(panel.get_by_role("button", name="Submit…")).to_be_disabled()
    panel.get_by_role("button", name="Export").click()
    expect(panel.get_by_role("button", name="Submit…")).to_be_enabled(timeout=300_000)
    panel.get_by_role("button", name="Submit…").click()
    expect(dialog).to_contain_text("Submit score to")
    dialog.get_by_role("button", name="Ok").click()
    expect(panel.get_by_text(re.compile("Submitted as score-"))).to_be_visible()

    opened.cell(1).locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nprint(limit)")
    expect(panel).to_contain_text("Not saved.")
    expect(panel.get_by_role("button", name="Approve…")).to_be_disabled()
    panel.get_by_role("button", name="Save").click()

    expect(state).to_have_attribute("data-state", "ended")
    expect(panel.locator("ins")).to_have_text("+ print(limit)\n")
    wait_until(lambda: standing(project, notebook).state == "ended", "the saved file is another one")
    opened.cell(2).locator(".cm-content").click()
    panel.get_by_role("region", name="Changes").get_by_role("button", name="Cell 2").click()
    expect(opened.cell(1)).to_have_class(re.compile("jp-mod-active"))
    if AXE.exists():
        assert faults(page, "#nbproof-review") == []
