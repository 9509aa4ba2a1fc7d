"""The panel of experiments with ten thousand runs: how long its doors take, and how long the page is busy.

    python -m benchmarks.experiments               # about two minutes; writes results/experiments.json
    python -m benchmarks.experiments --runs 50000

A JupyterLab server is started in a folder of its own over a store that is written by SQL; the page is Chromium's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "lab"), str(TESTS)]

from lab_server import Lab, jupyter_lab  # noqa: E402
from many_runs import BEGAN_MS, fill  # noqa: E402

from .machine import machine  # noqa: E402

RESULT = Path(__file__).parent / "results" / "experiments.json"
PACKAGES = ("jupyter-server", "jupyterlab", "mlflow", "nbproof", "sqlalchemy")
ROUNDS, BOUND_MS, FIRST_S = 5, 100, 300
OPEN = "async () => { await jupyterapp.restored; await jupyterapp.commands.execute('nbproof:open-experiments'); }"
# From the event until the frame that shows what it led to has been handed over.
BUSY = """async () => {
  const drawn = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const box = document.querySelector('.nbp-Runs');
  const input = document.querySelector('.nbp-Experiments input[type=search]');
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  const timed = async act => { const began = performance.now(); act(); await drawn(); return performance.now() - began; };
  const found = { scroll: [], filter: [] };
  for (let n = 0; n < 40; n++) {
    found.scroll.push(await timed(() => { box.scrollTop = (n * 7919 * 46) % box.scrollHeight; }));
  }
  for (const words of ['t', 'tr', 'training 0', 'risk', 'metric_1>0.5', 'depth=3 saga', 'nothing is like this', '']) {
    found.filter.push(await timed(() => { set.call(input, words); input.dispatchEvent(new Event('input', {bubbles: true})); }));
  }
  return found;
}"""  # noqa: E501


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.experiments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    count = parser.parse_args().runs
    began = machine()
    with tempfile.TemporaryDirectory(prefix="nbproof-") as folder, jupyter_lab(Path(folder) / "lab") as lab:
        (lab.root / "pyproject.toml").write_text('[tool.nbproof]\nexperiment = "credit"\n')
        ids = fill(lab.root / "mlflow.db", "credit", count)
        doors, page = measured_doors(lab, ids), measured_page(lab, count)
    for name, seconds in doors.items():
        print(f"{name:44} {seconds * 1000:8.0f} ms")
    for name, times in page.items():
        print(f"{f'page: {name}, median and highest':44} {statistics.median(times):8.0f} ms {max(times):8.0f} ms")
    told = {
        "benchmark": "experiments",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": began,
        "load_average_after": machine()["load_average"],
        "versions": {name: version(name) for name in PACKAGES},
        "runs": count,
        "doors_s": doors,
        "page_ms": page,
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(statistics.median(times) <= BOUND_MS for times in page.values()) else 1


def measured_doors(lab: Lab, ids: list[str]) -> dict[str, float]:
    """Seconds of each door: the very first answer, then medians."""

    def ask(path: str, **asked: Any) -> Any:
        return lab.ask(f"experiments/{path}?{urllib.parse.urlencode({'path': '', **asked})}", below="nbproof")

    def whole() -> None:
        after = ""
        while True:
            after = ask("runs", rows=1000, after=after)["next"]
            if not after:
                return

    pair = ",".join(ids[:2])
    found = {"first answer of the server, MLflow imported": once(lambda: ask("runs", rows=200))}
    cases: dict[str, Callable[[], Any]] = {
        "first page, 200 runs": lambda: ask("runs", rows=200),
        "page of 1000 runs": lambda: ask("runs", rows=1000),
        "what changed, nothing did": lambda: ask("runs", since=int(time.time() * 1000)),
        "what changed, the last hour's 60 runs": lambda: ask("runs", since=BEGAN_MS + (len(ids) - 60) * 60_000),
        "one run": lambda: ask("run", run=ids[0]),
        "two runs compared": lambda: ask("compare", runs=pair),
        "their curves": lambda: ask("history", runs=pair, metric="metric_0"),
    }
    found |= {name: statistics.median(once(case) for _ in range(ROUNDS)) for name, case in cases.items()}
    return {**found, f"the whole list, {len(ids)} runs": once(whole)}


def once(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def measured_page(lab: Lab, count: int) -> dict[str, list[float]]:
    """Milliseconds from a scroll, or a typed search, until it is drawn; nothing where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        return {}
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{lab.address}/lab?token={lab.token}&reset")
        page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('nbproof:open-experiments')")
        page.evaluate(OPEN)
        listed = page.get_by_role("region", name="Experiments").get_by_role("status").first
        expect(listed).to_have_text(f"{count:,} of {count:,} runs", timeout=FIRST_S * 1000)
        found: dict[str, list[float]] = page.evaluate(BUSY)
        browser.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
