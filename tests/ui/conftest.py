"""Chromium and a JupyterLab server for it, both started once for a file of tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The server is shared with the tests that need no browser.
sys.path.append(str(Path(__file__).parents[1] / "lab"))

from lab_server import Lab, jupyter_lab
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60


@pytest.fixture(scope="module")
def lab(browser_context: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for the tests that leave it running; without a browser there is no need of one."""
    with jupyter_lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def browser_context() -> Iterator[BrowserContext]:
    """A browser; it is closed with the file, since Playwright keeps an event loop that others would trip over."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (to have one: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        yield context
        browser.close()


@pytest.fixture
def page(browser_context: BrowserContext, lab: Lab, tmp_path: Path) -> Iterator[Page]:
    """An empty page; what it shows at the end is kept as `page.png` with the test's files."""
    opened = browser_context.new_page()
    yield opened
    opened.screenshot(path=tmp_path / "page.png")
    opened.close()
    for session in lab.ask("sessions"):
        lab.ask(f"sessions/{session['id']}", method="DELETE")
