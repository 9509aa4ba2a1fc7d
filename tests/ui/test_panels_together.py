"""All panels at once: accessible in light and dark, content with a strict policy, and deaf to hostile notebooks."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_server import SOURCES, USUAL, Lab, jupyter_lab
from notebook_page import open_notebook, run_command
from playwright.sync_api import BrowserContext, Page, expect

AXE = SOURCES / "extensions/lab/node_modules/axe-core/axe.min.js"
# What an administrator may demand; JupyterLab itself needs `unsafe-eval` for its settings.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://127.0.0.1:*; worker-src 'self' blob:; "
    "object-src 'none'; frame-ancestors 'self'"
)
PANELS = {
    "nbproof:show-recording": "nbproof-recording",
    "nbproof:open-experiments": "nbp-experiments",
    "nbproof:open-explain": "nbproof-explain",
    "nbproof:open-pipeline": "nbproof-pipeline",
    "nbproof:show-review": "nbproof-review",
}
THEMES = ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"]
HARM = "<img src=x onerror='window.harmed = 1'><script>window.harmed = 2</script><svg onload='window.harmed = 3'>"


@pytest.fixture(scope="module")
def lab(browser_context: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with the policy."""
    settings = {"headers": {"Content-Security-Policy": POLICY}}
    with jupyter_lab(tmp_path_factory.mktemp("strict"), f"--ServerApp.tornado_settings={settings}") as server:
        yield server


@pytest.fixture
def heard(page: Page) -> dict[str, list[str]]:
    """What the page asked for, what it was refused, and what went wrong in it."""
    told: dict[str, list[str]] = {"asked": [], "refused": [], "failed": []}
    page.on("request", lambda request: told["asked"].append(request.url))
    page.on("pageerror", lambda error: told["failed"].append(str(error)))
    page.on(
        "console",
        lambda message: (
            told["refused"].append(f"{message.location.get('url')} {message.text}")
            if "Content Security Policy" in message.text
            else None
        ),
    )
    return told


def violations(page: Page, element: str) -> list[Any]:
    """What axe finds within one element."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(f"() => axe.run('#{element}')")
    return [
        {"rule": each["id"], "nodes": [node["html"][:200] for node in each["nodes"]]} for each in found["violations"]
    ]


def test_every_panel_is_accessible_and_stays_at_home(lab: Lab, page: Page, heard: dict[str, list[str]]) -> None:
    """axe finds nothing in any of them in any theme, nothing breaks the policy, and no request leaves the machine."""
    (lab.root / "pipeline.yaml").write_text("tasks:\n- {source: first.ipynb, product: build/first.ipynb}\n")
    notebook = lab.write("first.ipynb", USUAL, "upstream = None\nproduct = None", "x = 1", "x + 1")
    open_notebook(page, lab, notebook)
    run_command(page, "notebook:run-all-cells")

    found = {}
    for theme in THEMES:
        run_command(page, "apputils:change-theme", {"theme": theme})
        expect(page.locator("#jupyterlab-splash")).to_have_count(0)
        for command, element in PANELS.items():
            run_command(page, command)
            page.wait_for_selector(f"#{element}")
            page.wait_for_load_state("networkidle")
            found[theme, element] = violations(page, element)

    assert found == {(theme, element): [] for theme in THEMES for element in PANELS.values()}
    assert {urllib.parse.urlsplit(asked).hostname for asked in heard["asked"] if "://" in asked} == {"127.0.0.1"}
    assert [words for words in heard["refused"] if "nbproof" in words] == []
    assert heard["failed"] == []


def test_a_hostile_notebook_harms_nobody(lab: Lab, page: Page, heard: dict[str, list[str]], tmp_path: Path) -> None:
    """Opened, with every panel open beside it, nothing of what it holds is carried out."""
    shares = {"values": [[[1.0]]], "base": [[0.0]], "feature_names": [HARM], "output_names": [HARM], "method": HARM}
    explanation = {"version": 1, "audit": {"title": HARM}, "explanations": [shares]}
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"application/vnd.nbproof.explanation.v1+json": explanation, "text/plain": HARM, "text/html": HARM},
    }
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": USUAL, "display_name": HARM, "language": "python"}, "nbproof": HARM},
        "cells": [
            {"cell_type": "code", "id": "harm", "metadata": {"tags": [HARM, "parameters"]}, "source": f"# {HARM}",
             "outputs": [output], "execution_count": 1},
            {"cell_type": "markdown", "id": "words", "metadata": {}, "source": HARM},
        ],
    }  # fmt: skip
    (lab.root / "hostile <b>.ipynb").write_text(json.dumps(content))

    open_notebook(page, lab, "hostile <b>.ipynb")
    for command, element in PANELS.items():
        run_command(page, command)
        page.wait_for_selector(f"#{element}")
    page.wait_for_load_state("networkidle")

    assert page.evaluate("() => window.harmed") is None
    assert heard["failed"] == []
