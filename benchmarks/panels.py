"""What the panels in JupyterLab let their user wait for, in a real browser beside a real server.

    python -m benchmarks.panels                    # some minutes; writes results/panels.json
    python -m benchmarks.panels --rounds 1

Times are those of the page: from the click to the frame in which the picture stands.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .machine import machine

TESTS = Path(__file__).parents[1] / "tests"
# The server and the notebook page are those of the tests.
sys.path += [str(TESTS), str(TESTS / "lab"), str(TESTS / "ui")]

RESULT = Path(__file__).parent / "results" / "panels.json"
PACKAGES = ("jupyterlab", "ipykernel", "nbproof", "scikit-learn", "shap", "xgboost-cpu", "playwright")
PATIENCE_MS = 120_000
# So long does a reader of the lists take, at least, before the first click.
CHOOSING_S = 4.0
MADE = """
import numpy as np, pandas as pd
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier
draw = np.random.default_rng(0)
rows = pd.DataFrame(draw.normal(size=(1000, 30)), columns=[f"column {at}" for at in range(30)])
answer = (rows["column 0"] + rows["column 1"] * rows["column 2"] > 0).astype(int)
model = {model}.fit(rows, answer)
"""
MODELS = {
    "boosted trees (XGBoost, 100 of depth 4)": "XGBClassifier(n_estimators=100, max_depth=4, n_jobs=1)",
    "forest (scikit-learn, 100 of depth 8)": "RandomForestClassifier(100, max_depth=8, random_state=0)",
}
# From the click to a frame with a picture that was not there before.
CLICKED = """name => new Promise(resolve => {
  const panel = document.querySelector('#nbproof-explain');
  const button = [...panel.querySelectorAll('button')].find(each => each.textContent === name);
  const before = panel.querySelector('.nbp-Result svg');
  const began = performance.now();
  const look = () => {
    // A run that asks first is told to begin.
    [...panel.querySelectorAll('button')].find(each => each.textContent === 'Begin')?.click();
    const drawn = panel.querySelector('.nbp-Result svg');
    drawn && drawn !== before ? resolve((performance.now() - began) / 1000) : requestAnimationFrame(look);
  };
  button.click();
  requestAnimationFrame(look);
})"""


@dataclass(frozen=True, slots=True)
class Record:
    """One figure: the median of its rounds, in seconds, and its bound, where it has one."""

    panel: str
    case: str
    median_s: float
    all_s: list[float]
    bound_s: float | None = None

    @property
    def is_met(self) -> bool | None:
        return None if self.bound_s is None else self.median_s <= self.bound_s


def explain_panel(rounds: int) -> Iterator[Record]:
    """First and further explanations of tree models with 1,000 rows of 30 columns; each round has a fresh kernel."""
    from lab_server import jupyter_lab
    from playwright.sync_api import expect, sync_playwright

    found: dict[tuple[str, float | None], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(Path(folder) / "lab") as lab, sync_playwright() as start:
        browser = start.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        for at in range(rounds):
            for (name, model), pause_s in itertools.product(MODELS.items(), (0.0, CHOOSING_S)):
                page = context.new_page()
                for (case, bound), taken in _explained(page, lab, f"{at}.ipynb", model, pause_s).items():
                    found.setdefault((f"{name}: {case}", bound), []).append(taken)
                page.close()
                for session in lab.ask("sessions"):
                    lab.ask(f"sessions/{session['id']}", method="DELETE")
        browser.close()
    for (case, bound), taken in found.items():
        yield Record("explain", case, statistics.median(taken), [round(each, 3) for each in taken], bound)


def _explained(page: Any, lab: Any, notebook: str, model: str, pause_s: float) -> dict[tuple[str, float | None], float]:
    from lab_server import USUAL
    from notebook_page import open_notebook

    opened = open_notebook(page, lab, lab.write(notebook, USUAL, MADE.replace("{model}", model)))
    opened.run(0)
    opened.has_run(0, 1)
    opened.panel.locator('[data-command="nbproof:open-explain"]').click()
    panel = page.locator("#nbproof-explain")
    began = time.perf_counter()
    panel.get_by_role("button", name="Look", exact=True).click()
    # What can be explained, and how, is on the screen.
    panel.get_by_role("combobox", name="SHAP by").wait_for()
    looked = time.perf_counter() - began
    page.wait_for_timeout(pause_s * 1000)
    first = page.evaluate(CLICKED, "Explain row")
    if not pause_s:
        # What explaining imports is not there yet, and is waited for.
        return {("what there is, after Look", None): looked, ("first row, clicked at once", None): first}
    panel.get_by_role("spinbutton", name="Row", exact=True).fill("7")
    again = page.evaluate(CLICKED, "Explain row")
    panel.get_by_role("tab", name="The model").click()
    many = page.evaluate(CLICKED, "Explain model")
    return {
        (f"first row, clicked {CHOOSING_S:g} s later", 1.0): first,
        ("another row on screen", None): again,
        ("200 of the rows on screen, with the estimate", None): many,
    }


PARTS = {"explain": explain_panel}


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.panels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--panels", default=",".join(PARTS), help="which panels, with commas between them")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    began = machine()
    records = [record for name in asked.panels.split(",") for record in PARTS[name](asked.rounds)]
    print(table_of(records))
    RESULT.parent.mkdir(exist_ok=True)
    # What was measured of other panels stays.
    kept = json.loads(RESULT.read_text())["records"] if RESULT.exists() else []
    told = {
        "benchmark": "panels",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": began,
        "versions": {name: version(name) for name in PACKAGES},
        "records": [
            *(each for each in kept if each["panel"] not in asked.panels.split(",")),
            *({**asdict(each), "is_met": each.is_met} for each in records),
        ],
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(each.is_met is not False for each in records) else 1


def table_of(records: list[Record]) -> str:
    """The figures as lines of text."""
    words = {None: "for the record", True: "met", False: "falls short"}
    lines = []
    for each in records:
        bound = "" if each.bound_s is None else f"bound {each.bound_s:g} s"
        lines.append(f"{each.panel:8} {each.case:80} {each.median_s:6.2f} s  {bound:10} {words[each.is_met]}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
