"""The reviewer's report in a browser: accessible in light, dark and print, without script, network or complaint."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_server import SOURCES
from playwright.sync_api import Browser, BrowserContext, Page

# The evidence is shared with the tests that need no browser.
sys.path.append(str(Path(__file__).parents[1] / "report"))

from pages import left

from nbproof.report import printing
from nbproof.report.building import build

pytestmark = pytest.mark.slow

AXE = SOURCES / "extensions/lab/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over a small evidence."""
    root = tmp_path_factory.mktemp("evidence")
    return build(left(root), root / "report.html", root=root).path


@pytest.fixture
def opened(browser_context: BrowserContext, report: Path) -> Iterator[Any]:
    """Opens the report with what a reader has set; hands out the page, and what it asked for and complained about."""
    browser = browser_context.browser
    assert isinstance(browser, Browser)
    contexts: list[BrowserContext] = []

    def open_(**settings: Any) -> tuple[Page, list[str]]:
        context = browser.new_context(**settings)
        contexts.append(context)
        page, heard = context.new_page(), list[str]()
        page.on("request", lambda request: heard.append(request.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(report.as_uri())
        return page, heard

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 400])
def test_axe_finds_nothing(opened: Any, scheme: str, width: int) -> None:
    """In both themes, on a wide screen and on a telephone."""
    # The policy of the page keeps even the one who tests it out.
    page, _ = opened(color_scheme=scheme, bypass_csp=True, viewport={"width": width, "height": 900})
    page.evaluate(AXE.read_text())

    found = page.evaluate("() => axe.run(document)")

    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]] == []


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Any, report: Path) -> None:
    """Under its own policy; the one request is for the file itself."""
    _, heard = opened()

    assert heard == [report.as_uri()]


def test_it_reads_the_same_without_script(opened: Any) -> None:
    """Nothing waits for a script: words, tables and pictures are there when scripts are off."""
    with_script, _ = opened()
    without, _ = opened(java_script_enabled=False)

    assert without.locator("section").count() == with_script.locator("section").count() > 20
    assert without.locator("main").inner_text() == with_script.locator("main").inner_text()
    assert without.locator("svg").first.is_visible()


def test_it_follows_the_readers_theme(opened: Any) -> None:
    """Page and pictures are dark where the reader wants it."""
    colours = {
        scheme: opened(color_scheme=scheme)[0].evaluate(
            "() => [getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('svg > rect')).fill]"
        )
        for scheme in ("light", "dark")
    }

    assert colours["light"] == ["rgb(255, 255, 255)", "rgb(255, 255, 255)"]
    assert colours["dark"] == ["rgb(20, 23, 26)", "rgb(22, 27, 34)"]


def test_it_can_be_used_by_keyboard(opened: Any) -> None:
    """The first stop leads to the report; what is wider than the page can be reached and scrolled."""
    page, _ = opened()

    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    assert page.evaluate(
        "() => [...document.querySelectorAll('.scroll')].every(each => each.tabIndex === 0 && each.ariaLabel)"
    )


def test_nothing_is_wider_than_a_telephone(opened: Any) -> None:
    """Tables scroll in themselves; the page does not."""
    page, _ = opened(viewport={"width": 400, "height": 900})

    assert page.evaluate("() => document.documentElement.scrollWidth") <= 400


def test_it_prints(opened: Any, report: Path, tmp_path: Path) -> None:
    """As PDF by the same way as the command; on paper there is no navigation, and no row is cut in two."""
    printing.printed(report, tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")

    page, _ = opened()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("() => getComputedStyle(document.querySelector('tr')).breakInside") == "avoid"
    assert page.evaluate("() => getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
