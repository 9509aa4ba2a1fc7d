"""The documentation as a site: it builds without a warning, and its pages ask nobody for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a browser fetches of its own accord.
FETCHED = re.compile(r"""<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=["']?(?:https?:)?//[^"'>\s]+|"""
                     r"""<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon|preconnect))[^>]*?\bhref=["']?(?:https?:)?//[^"'>\s]+|"""
                     r"""@import\s+url\((?:https?:)?//[^)]+""")  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it; a broken link or anchor is an error."""
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr.strip()) == (0, ""), ran.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    """One page of the site for each page of the documentation."""
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")]

    assert len(pages) > 40
    assert [str(page) for page in pages if not (site / page).is_file()] == []


def test_its_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    """No font, script or style comes from another host."""
    files = [file for file in site.rglob("*") if file.suffix in (".html", ".css")]

    assert [(file.name, found) for file in files for found in FETCHED.findall(file.read_text())] == []


def test_what_is_fetched_is_seen() -> None:
    """The test above can fail."""
    for text in (
        '<script src="https://unpkg.com/x">', "<img alt=x src=//host/x.png>",
        '<link href="https://fonts.host/css" rel="stylesheet">', "@import url(https://host/x.css)",
    ):  # fmt: skip
        assert FETCHED.findall(text) != []
    assert FETCHED.findall('<a href="https://host/">x</a><script src="assets/x.js">') == []


def test_the_start_page_leads_to_every_page() -> None:
    """A reader finds each guide, concept and reference from the first page; the phases stand on their own page."""
    start = (ROOT / "docs/index.md").read_text() + (ROOT / "docs/concepts/phases.md").read_text().replace("../", "")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]

    assert [page for page in pages if page != "index.md" and f"({page})" not in start] == []


def test_pictures_are_small_and_described() -> None:
    """What a page shows is there, in few bytes, and in words for those who cannot see it; none lies there unused."""
    pages = {page: re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
             for page in (ROOT / "docs").rglob("*.md")}  # fmt: skip
    shown = [
        (page, alt, name) for page, text in pages.items() for alt, name in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    ]
    files = [(page.parent / name).resolve() for page, _, name in shown]

    assert [(page.name, name) for page, alt, name in shown if len(alt) < 20] == []
    assert [file for file in files if not file.is_file()] == []
    assert {*(ROOT / "docs/images").glob("*")} == {file for file in files if file.parent.name == "images"}
    assert sum(file.stat().st_size for file in {*files}) < 600_000
