"""Drift beside Evidently: the same columns through both, number by number.

Evidently does not import on the pandas that nbproof is tested with, so it runs by a Python of its own:

    python -m venv /path/evidently && /path/evidently/bin/pip install evidently 'pandas<3.1'
    python -m benchmarks.drift_evidently --python /path/evidently/bin/python

Evidently cuts numbers into bins of equal width by Sturges' rule and categories as they are; nbproof cuts numbers at the
deciles of the reference. So its PSI and Jensen-Shannon are held against ours on *its* bins, where the formula is all
that can differ, and the PSI of our own bins stands beside them.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

from nbproof.monitor import drift

RESULT = Path(__file__).parent / "results/drift_evidently.json"
PANEL = Path(__file__).parents[1] / "pipelines/credit/data/taiwan_credit_panel_monthly.parquet"
NUMBERS = ("limit_bal", "bill_amt", "pay_amt", "utilisation", "pay_ratio", "age")
CATEGORIES = ("pay_status", "sex", "education", "marriage")
MONTHS = ("2005-06-30", "2005-07-31", "2005-08-31", "2005-09-30")

THEIRS = """
import json, sys, time
import pandas as pd
from evidently import __version__
from evidently.legacy.calculations.stattests.jensenshannon import _jensenshannon
from evidently.legacy.calculations.stattests.ks_stattest import _ks_stat_test
from evidently.legacy.calculations.stattests.psi import _psi
from evidently.legacy.core import ColumnType

frame, numbers, categories, months = pd.read_parquet(sys.argv[1]), *map(json.loads, sys.argv[2:5])
reference, found = frame[frame["month"] == "2005-05-31"], {}
began = time.perf_counter()
for month in months:
    window = frame[frame["month"] == month]
    for name in [*numbers, *categories]:
        one, other = reference[name].dropna(), window[name].dropna()
        kind = ColumnType.Numerical if name in numbers else ColumnType.Categorical
        found[f"{month} {name}"] = {
            "psi": float(_psi(one, other, kind, 0.1)[0]), "js": float(_jensenshannon(one, other, kind, 0.1)[0]),
            "ks_p": float(_ks_stat_test(one, other, kind, 0.05)[0]) if name in numbers else None,
        }
print(json.dumps({"version": __version__, "seconds": time.perf_counter() - began, "found": found}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, type=Path, help="of the environment that holds Evidently")
    asked = parser.parse_args()
    frame = pd.read_parquet(PANEL, columns=["month", *NUMBERS, *CATEGORIES])
    frame["month"] = frame["month"].dt.strftime("%Y-%m-%d")
    theirs = _theirs(asked.python, frame)
    began = time.perf_counter()
    ours = {f"{month} {name}": _ours(frame, month, name) for month in MONTHS for name in (*NUMBERS, *CATEGORIES)}
    seconds = time.perf_counter() - began
    rows = [{"column": key, "evidently": theirs["found"][key], "nbproof": ours[key]} for key in ours]
    largest = {figure: max((_apart(row, figure) for row in rows), default=math.nan) for figure in ("psi", "js", "ks_p")}
    agree = sum((row["evidently"]["psi"] >= 0.1) == (row["nbproof"]["psi_of_deciles"] >= 0.1) for row in rows)
    records = [
        Record("PSI on Evidently's bins", "largest difference", "", largest["psi"], "<= 1e-9"),
        Record("Jensen-Shannon distance on its bins", "largest difference", "", largest["js"], "<= 1e-9"),
        Record("KS p-value", "largest difference", "", largest["ks_p"], "<= 1e-3"),
        Record("PSI from 0.1 on, its bins and ours", "columns alike", f"of {len(rows)}", agree),
        Record("time", "Evidently's tests", "s", theirs["seconds"]),
        Record("time", "nbproof.monitor.drift", "s", seconds),
    ]
    print(table_of(records))
    for row in rows:
        if (row["evidently"]["psi"] >= 0.1) != (row["nbproof"]["psi_of_deciles"] >= 0.1):
            print(
                f"{row['column']}: PSI {row['evidently']['psi']:.3f} on Evidently's bins, "
                f"{row['nbproof']['psi_of_deciles']:.3f} on the deciles of the reference"
            )
    RESULT.write_text(json.dumps({
        "machine": machine(), "evidently": theirs["version"], "reference": "2005-05-31",
        "largest_difference": largest, "alike_from_psi_0.1": agree, "seconds": {"evidently": theirs["seconds"],
        "nbproof": seconds}, "rows": rows,
    }, indent=1) + "\n")  # fmt: skip


def _theirs(python: Path, frame: pd.DataFrame) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panel.parquet"
        frame.to_parquet(file, index=False)
        names = [json.dumps(each) for each in (NUMBERS, CATEGORIES, MONTHS)]
        ran = subprocess.run(
            [python, "-W", "ignore", "-c", THEIRS, file, *names], check=True, capture_output=True, text=True,
            env={"DO_NOT_TRACK": "1", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def _ours(frame: pd.DataFrame, month: str, name: str) -> dict:
    reference = frame.loc[frame["month"] == "2005-05-31", name].dropna().to_numpy()
    window = frame.loc[frame["month"] == month, name].dropna().to_numpy()
    kind = "number" if name in NUMBERS else "category"
    if kind == "number" and len(np.unique(reference)) > 20:
        edges = np.histogram_bin_edges(np.concatenate([reference, window]), bins="sturges")
        shares = [np.histogram(side, edges)[0] / len(side) for side in (reference, window)]
    else:
        keys = np.unique(np.concatenate([reference, window]))
        shares = [np.array([(side == key).mean() for key in keys]) for side in (reference, window)]
    # Evidently puts a small share in place of nothing, and leaves the small ones as they are.
    filled = [np.where(side == 0, _their_floor(side), side) for side in shares]
    found = drift.compare(reference, window, name=name, kind=kind)
    return {
        "psi": drift.psi_of_shares(*filled, floor=0.0),
        "js": math.sqrt(drift.jensen_shannon(*shares) * math.log(2)),
        "ks_p": found.ks_p,
        "psi_of_deciles": found.psi,
        "verdict": found.verdict,
    }


def _their_floor(shares: np.ndarray) -> float:
    least = shares[shares > 0].min()
    return least / 10**6 if least <= 0.0001 else 0.0001


def _apart(row: dict, figure: str) -> float:
    one, other = row["evidently"][figure], row["nbproof"][figure]
    return 0.0 if one is None else abs(one - other)


if __name__ == "__main__":
    main()
