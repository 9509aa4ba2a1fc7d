"""Pictures of every panel, in light and in dark, of a real server with a real project: for people to look at.

make screenshots        # writes build/screenshots/, and the light ones, smaller, to docs/images/
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "lab"))

from lab_server import USUAL, Lab, jupyter_lab
from notebook_page import open_notebook, run_command
from playwright.sync_api import Page, expect, sync_playwright

PANELS = {
    "recording": "nbproof:show-recording",
    "experiments": "nbproof:open-experiments",
    "explanations": "nbproof:open-explain",
    "pipeline": "nbproof:open-pipeline",
    "review": "nbproof:show-review",
}
DOCS_WIDTH = 1200
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
CELLS = (
    "from sklearn.datasets import load_breast_cancer\nfrom sklearn.linear_model import LogisticRegression",
    "data = load_breast_cancer(as_frame=True)\nrows = data.data.iloc[:, :8]",
    "model = LogisticRegression(max_iter=5000).fit(rows, data.target)\nmodel.score(rows, data.target)",
)


def main() -> None:
    into = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(Path(folder) / "lab") as lab:
        nbproof = Path(sys.executable).parent / "nbproof"
        subprocess.run([nbproof, "init", "demo"], cwd=lab.root, check=True, capture_output=True)
        subprocess.run([nbproof, "run"], cwd=lab.root / "demo", check=True, capture_output=True)
        notebook = lab.write("demo/model.ipynb", USUAL, *CELLS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            )
            page = browser.new_page(viewport={"width": 1500, "height": 900})
            page.set_default_timeout(120_000)
            take(page, lab, notebook, into)
            browser.close()
    print(f"{len(PANELS) * len(THEMES)} pictures lie in {into}")
    if len(sys.argv) > 2:
        for_docs(into, Path(sys.argv[2]))


def take(page: Page, lab: Lab, notebook: str, into: Path) -> None:
    """Open a notebook, run it, and picture each panel in each theme."""
    opened = open_notebook(page, lab, notebook)
    run_command(page, "notebook:run-all-cells")
    opened.has_run(len(CELLS) - 1, len(CELLS))
    run_command(page, "docmanager:save")
    for name, command in PANELS.items():
        run_command(page, command)
        if name == "explanations":
            explain(page)
        if name == "experiments":
            page.locator("#nbp-experiments [role=option]").first.wait_for()
        # The page of a review is looked at when the server has answered.
        expect(page.get_by_text("Asking the server")).to_have_count(0)
        for theme, full in THEMES.items():
            run_command(page, "apputils:change-theme", {"theme": full})
            # JupyterLab covers the page while it changes its colours.
            expect(page.locator("#jupyterlab-splash")).to_have_count(0)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=into / f"{name}-{theme}.png")


def for_docs(pictures: Path, docs: Path) -> None:
    """The light ones for the documentation: narrower than a screen, and few bytes."""
    from PIL import Image

    docs.mkdir(parents=True, exist_ok=True)
    for name in PANELS:
        with Image.open(pictures / f"{name}-light.png") as picture:
            small = picture.convert("RGB").resize((DOCS_WIDTH, picture.height * DOCS_WIDTH // picture.width))
            small.save(docs / f"panel-{name}.webp", quality=80, method=6)


def explain(page: Page) -> None:
    """Look for models, and explain a row of the one that is there."""
    panel = page.locator("#nbproof-explain")
    panel.get_by_role("button", name="Look", exact=True).click()
    panel.get_by_role("button", name="Explain row", exact=True).click()
    panel.get_by_role("img").first.wait_for()


if __name__ == "__main__":
    main()
