"""How often drift alarms: on windows in which nothing changed, and on real months that moved.

The data is the credit panel of 30,000 clients. Without a change: window and reference are both drawn from May, from
other clients, anew each time. With one: the window is drawn from a later month of other clients. Four rules stand side
by side: nbproof's (large, and not chance), PSI alone, a KS or chi-square p below 0.05 in any column, and Holm alone.

    python -m benchmarks.drift_power [--draws N]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.machine import machine

from nbproof.monitor.drift import Drift, Thresholds, benjamini_hochberg, chi_square, compare_all, ks

RESULT = Path(__file__).parent / "results/drift_power.json"
PANEL = Path(__file__).parents[1] / "pipelines/credit/data/taiwan_credit_panel_monthly.parquet"
KINDS = {
    "limit_bal": "number", "pay_status": "category", "bill_amt": "number", "pay_amt": "number", "bill_prev": "number",
    "utilisation": "number", "pay_ratio": "number", "sex": "category", "age": "number", "education": "category",
    "marriage": "category",
}  # fmt: skip
MONTHS = {"June": "2005-06", "July": "2005-07", "August": "2005-08", "September": "2005-09"}
RULES = (
    "nbproof",
    "nbproof, Benjamini-Hochberg",
    "PSI from 0.1 alone",
    "p below 0.05 in any column",
    "Holm 0.01 alone",
)
SIZES = (100, 300, 1000, 5000)
REFERENCE_ROWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    months = _months()
    cases = []
    for size in SIZES:
        cases.append(_case("nothing", size, asked.draws, months["2005-05"], months["2005-05"]))
        for name, month in MONTHS.items():
            cases.append(_case(name, size, max(50, asked.draws // 10), months["2005-05"], months[month]))
        print(_table([each for each in cases if each["rows"] == size]), flush=True)
    RESULT.write_text(
        json.dumps({"machine": machine(), "reference_rows": REFERENCE_ROWS, "cases": cases}, indent=1) + "\n"
    )


def _months() -> dict[str, dict[str, np.ndarray]]:
    frame = pd.read_parquet(PANEL).sort_values(["month", "client_id"])
    return {f"{month:%Y-%m}": {name: rows[name].to_numpy() for name in KINDS} for month, rows in frame.groupby("month")}


def _case(change: str, size: int, draws: int, reference: dict, window: dict) -> dict:
    alarms = np.array(list(_alarms(size, draws, reference, window)))
    shares = {rule: float(column.mean()) for rule, column in zip(RULES, alarms.T, strict=True)}
    told = {rule: {"share": share, "error": math.sqrt(share * (1 - share) / draws)} for rule, share in shares.items()}
    return {"change": change, "rows": size, "draws": draws, "alarms": told}


def _alarms(size: int, draws: int, reference: dict, window: dict) -> Iterator[list[bool]]:
    """For each draw whether each rule alarms; the clients of window and reference are never the same."""
    clients = len(next(iter(reference.values())))
    for draw in range(draws):
        order = np.random.default_rng([size, draw]).permutation(clients)
        before = {name: values[order[:REFERENCE_ROWS]] for name, values in reference.items()}
        now = {name: values[order[-size:]] for name, values in window.items()}
        found = compare_all(before, now, kinds=KINDS)
        plain = list(_plain(before, now, found))
        by_rate = compare_all(before, now, kinds=KINDS, control="benjamini-hochberg")
        yield [
            _alarm(found), _alarm(by_rate), any((each.psi or 0) >= Thresholds().psi_warn for each in found),
            min(plain) < 0.05, min(min(each.ks_p or 1, each.chi_square_p or 1) for each in found) < 0.01,
        ]  # fmt: skip
        assert min(benjamini_hochberg(plain)) >= min(plain)


def _plain(before: dict, now: dict, found: tuple[Drift, ...]) -> Iterator[float]:
    """The p-values as they come, of one test a column."""
    for each in found:
        if each.kind == "number":
            yield ks(before[each.name], now[each.name])[1]
        else:
            counts = [[b.reference_share * each.reference_rows for b in each.bins],
                      [b.window_share * each.window_rows for b in each.bins]]  # fmt: skip
            yield chi_square(*counts)[1]


def _alarm(found: tuple[Drift, ...]) -> bool:
    return any(each.verdict in ("amber", "red") for each in found)


def _table(cases: list[dict]) -> str:
    lines = [f"{'change':10} {'rows':>5} {'draws':>5}  " + "  ".join(RULES)]
    for case in cases:
        shares = "  ".join(f"{case['alarms'][rule]['share']:>{len(rule)}.1%}" for rule in RULES)
        lines.append(f"{case['change']:10} {case['rows']:5} {case['draws']:5}  {shares}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
