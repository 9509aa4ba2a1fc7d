"""Explanations beside those of lime, shap, captum, Woodelf and the boosting libraries: one table.

    python -m benchmarks.explain                   # about six minutes on one core; writes results/explain.json
    python -m benchmarks.explain --rows 1000000    # the file of the acceptance lines; some minutes more

Each part is measured in a process of its own, on one thread, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..machine import machine
from .records import ONE_THREAD, Record, table_of

RESULT = Path(__file__).parents[1] / "results" / "explain.json"
PARTS = ("lime_cases", "shap_cases", "audit_cases")
PACKAGES = ("captum", "lightgbm", "lime", "nbproof", "numpy", "scikit-learn", "shap", "torch", "woodelf_explainer",
            "xgboost-cpu")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.explain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the large file")
    asked = parser.parse_args()
    began = machine()
    records = [record for part in PARTS for record in _measured(part, asked.rows)]
    print(table_of(records))
    RESULT.parent.mkdir(exist_ok=True)
    told = {
        "benchmark": "explain",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": began,
        "versions": {name: version(name) for name in PACKAGES},
        "records": [_written(each) for each in records],
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(each.is_met is not False for each in records) else 1


def _measured(part: str, rows: int) -> list[Record]:
    ran = subprocess.run(
        [sys.executable, "-m", f"benchmarks.explain.{part}", "--json", "--rows", str(rows)],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Record(**each) for each in json.loads(ran.stdout.splitlines()[-1])]


def _written(record: Record) -> dict[str, Any]:
    return {
        "case": record.case, "contender": record.contender, "figure": record.figure,
        "value": float(f"{record.value:.6g}"), "allowed": record.allowed, "met": record.is_met,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
