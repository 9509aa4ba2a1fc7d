"""What an export costs beside its notebook: fifty cells of tables and sums, run as they stand, then exported.

python -m benchmarks.export_cost           # prints a table, writes results/export_cost.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from .machine import machine

RESULTS = Path(__file__).parent / "results" / "export_cost.json"
CELLS, ROWS = 50, 20_000
# The goal: no more than three times the notebook's own time, and ten seconds.
TIMES, MORE_S = 3, 10.0


def notebook(path: Path, loops: int) -> Path:
    """Fifty code cells below eight headings; `loops` says how long each computes."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    first = f"import numpy as np\nimport pandas as pd\nframe = pd.DataFrame({{'a': np.arange({ROWS}) % 97.0}})"
    made.cells = [nbformat.v4.new_code_cell(first)]
    for number in range(1, CELLS):
        if number % 6 == 1:
            made.cells.append(nbformat.v4.new_markdown_cell(f"# Part {number // 6 + 1}"))
        made.cells.append(nbformat.v4.new_code_cell(
            f"frame['c{number}'] = frame['a'].rolling(50).mean() * {number}\n"
            f"total_{number} = sum(k * k for k in range({loops}))\nfloat(frame['c{number}'].sum())"
        ))  # fmt: skip
    nbformat.write(made, path)
    return path


def measured(loops: int) -> dict[str, float]:
    """Seconds of a whole export, and of the notebook within it."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
        path = notebook(Path(place) / "fifty.ipynb", loops)
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "nbproof", "export", str(path), "--draft", "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        told = json.loads(ended.stdout)
        return {"notebook_s": told["seconds"]["notebook"], "proof_s": told["seconds"]["proof"],
                "export_s": time.perf_counter() - began}  # fmt: skip


def main() -> None:
    rows = []
    print(f"{'loops':>9}  {'notebook':>9}  {'proof':>7}  {'export':>7}  {'goal':>7}")
    for loops in (0, 200_000, 2_000_000):
        found = measured(loops)
        goal_s = TIMES * found["notebook_s"] + MORE_S
        rows.append({"loops": loops, **found, "goal_s": goal_s})
        print(f"{loops:>9}  {found['notebook_s']:>7.1f} s  {found['proof_s']:>5.1f} s  {found['export_s']:>5.1f} s  "
              f"{goal_s:>5.1f} s")  # fmt: skip
    RESULTS.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
