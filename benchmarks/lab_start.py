"""What nbproof's panels add to JupyterLab before anybody uses them: bytes, the server's start and the page's start.

Two servers run side by side, one without the panels and their doors. They take turns, each time with an empty browser
cache, and a page has started when JupyterLab says that everything of it is restored.

    python -m benchmarks.lab_start [--rounds N]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

# The server is the one that the tests use.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
sys.path.append(str(Path(__file__).parents[1] / "tests/lab"))

import lab_server
from playwright.sync_api import Browser, sync_playwright

RESULT = Path(__file__).parent / "results/lab_start.json"
RESTORED = "async () => { await window.jupyterapp.restored; return performance.now(); }"
IMPORTS = {"with": "import nbproof.lab.extension", "without": "import jupyter_server.base.handlers"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    pages, imports = page_starts(asked.rounds), import_times(asked.rounds)
    added = {kind: statistics.median(found["with"]) - statistics.median(found["without"])
             for kind, found in (("page", pages), ("import", imports))}  # fmt: skip
    whole, packed = bundle()
    records = [
        Record("bundle", "JavaScript", "KB", whole / 1000, "<= 150"),
        Record("bundle", "JavaScript, packed", "KB", packed / 1000),
        *(Record("page start", name, "ms, median", statistics.median(found)) for name, found in pages.items()),
        Record("page start", "added", "ms, between medians", added["page"], "<= 100"),
        *(Record("server import", name, "ms, median", statistics.median(found)) for name, found in imports.items()),
        Record("server import", "added", "ms, between medians", added["import"]),
    ]
    print(table_of(records))
    RESULT.write_text(
        json.dumps(
            {
                "machine": machine(),
                "rounds": asked.rounds,
                "records": [
                    {"case": each.case, "contender": each.contender, "figure": each.figure, "value": each.value,
                     "allowed": each.allowed, "met": each.is_met}
                    for each in records
                ],
                "page_start_ms": pages,
                "server_import_ms": imports,
            },
            indent=1,
        )
        + "\n"
    )  # fmt: skip


def bundle() -> tuple[int, int]:
    """The bytes of all scripts of the built panels, and what remains of them when packed for the way."""
    scripts = [path.read_bytes() for path in sorted(lab_server.PANELS.rglob("*.js"))]
    return sum(map(len, scripts)), sum(len(gzip.compress(script)) for script in scripts)


def page_starts(rounds: int) -> dict[str, list[float]]:
    """Milliseconds from the request of the page until all is restored."""
    found: dict[str, list[float]] = {"with": [], "without": []}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        labs = {
            "with": stack.enter_context(lab_server.jupyter_lab(folder / "with")),
            "without": stack.enter_context(without_panels(folder / "without")),
        }
        browser = stack.enter_context(chromium())
        for at in range(rounds + 1):
            for name in list(labs) if at % 2 else reversed(labs):
                taken = page_start(browser, labs[name])
                if at:
                    # The first page of each server fills the server's own caches.
                    found[name].append(taken)
    return found


def page_start(browser: Browser, lab: lab_server.Lab) -> float:
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{lab.address}/lab?token={lab.token}&reset")
        page.wait_for_function("window.jupyterapp !== undefined")
        return float(page.evaluate(RESTORED))
    finally:
        context.close()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def without_panels(folder: Path) -> Iterator[lab_server.Lab]:
    """A server that has neither our panels nor our doors."""
    served = lab_server.SERVED
    lab_server.SERVED = served | {"nbproof.lab": False}
    try:
        with lab_server.jupyter_lab(folder, panels=False) as lab:
            yield lab
    finally:
        lab_server.SERVED = served


def import_times(rounds: int) -> dict[str, list[float]]:
    """Milliseconds that a Python which has jupyter_server loaded needs for our side of it, and for nothing."""
    found: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(rounds):
        for name, statement in IMPORTS.items():
            code = (
                "import time, jupyter_server.serverapp\n"
                f"began = time.perf_counter()\n{statement}\nprint((time.perf_counter() - began) * 1000)"
            )
            answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            found[name].append(float(answer.stdout))
    return found


if __name__ == "__main__":
    main()
