"""Explanations beside those of lime, shap, captum, shapash, Woodelf and the boosting libraries: one table.

    python -m benchmarks.explain                                  # about seven minutes on one core
    python -m benchmarks.explain --rows 1000000                   # the file of the acceptance lines; some minutes more
    python -m benchmarks.explain --only big_file --rows 1000000   # that file alone

Writes results/explain.json; parts that are not measured now stay there as they were, each with its own time, machine
and load. Each part is measured in a process of its own, on one thread, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..machine import machine
from .records import ONE_THREAD, Record, table_of

RESULT = Path(__file__).parents[1] / "results" / "explain.json"
PARTS = ("lime_cases", "shap_cases", "audit_cases", "big_file", "shapash_cases")
PACKAGES = ("captum", "lightgbm", "lime", "nbproof", "numpy", "scikit-learn", "shap", "shapash", "torch",
            "woodelf_explainer", "xgboost-cpu")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.explain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the large file")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; can be given again")
    asked = parser.parse_args()
    parts = _kept()
    for part in asked.only or PARTS:
        began = machine()
        records = _measured(part, asked.rows)
        print(table_of(records), end="\n\n", flush=True)
        if records:
            parts[part] = {
                "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
                "machine": {**began, "load_average_after": machine()["load_average"]},
                "versions": _versions(),
                "records": [_written(each) for each in records],
            }
            _write(parts)
    is_met = [each["met"] for part in asked.only or PARTS if part in parts for each in parts[part]["records"]]
    return 1 if False in is_met else 0


def _kept() -> dict[str, Any]:
    """The parts that were measured before."""
    return dict(json.loads(RESULT.read_text())["parts"]) if RESULT.exists() else {}


def _write(parts: Mapping[str, Any]) -> None:
    RESULT.parent.mkdir(exist_ok=True)
    told = {"benchmark": "explain", "parts": {part: parts[part] for part in PARTS if part in parts}}
    RESULT.write_text(json.dumps(told, indent=1) + "\n")


def _measured(part: str, rows: int) -> list[Record]:
    ran = subprocess.run(
        [sys.executable, "-m", f"benchmarks.explain.{part}", "--json", "--rows", str(rows)],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Record(**each) for each in json.loads(ran.stdout.splitlines()[-1])]


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _written(record: Record) -> dict[str, Any]:
    return {
        "case": record.case, "contender": record.contender, "figure": record.figure,
        "value": float(f"{record.value:.6g}"), "allowed": record.allowed, "met": record.is_met,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
