"""What an audit of a hundred clients costs, with nbproof's own explainers of three models of credit.

    python -m benchmarks.explain.audit_cases      # less than a minute on one core

CPU seconds of this process, one thread, without the making of the two explanations that are audited.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nbproof import explain

from .records import Record, carried_out

PANEL = Path(__file__).parents[2] / "pipelines/credit/data/taiwan_credit_panel_monthly_2000clients.parquet"
COLUMNS = [
    "limit_bal", "sex", "education", "marriage", "age", "pay_status", "bill_amt", "pay_amt", "pay_status_prev",
    "bill_prev", "utilisation",
]  # fmt: skip
AUDITED, BACKGROUND = 100, 500
LIMIT_S = 15.0


def measure(_: str = "*", *, rows: int = 0) -> list[Record]:
    """The CPU seconds of each model's audit, and whether a second one finds the same."""
    panel = pd.read_parquet(PANEL)
    month = panel[panel["month"] == sorted(panel["month"].unique())[2]]
    table = month[COLUMNS].to_numpy(dtype=np.float64)
    happened = month["y2"].astype(bool).to_numpy()
    table = np.where(np.isnan(table), np.nanmedian(table, axis=0), table)
    known, asked = table[:-AUDITED], table[-AUDITED:]
    background = known[:BACKGROUND]
    found = []
    for name, model in _models(known, happened[:-AUDITED]).items():
        first, second = (
            explain.both(model, asked, background, feature_names=COLUMNS, is_audited=True).audit for _ in range(2)
        )
        case = f"audit of {len(asked)} clients, {name}"
        assert first is not None
        assert second is not None
        found.append(Record(case, "nbproof", "CPU s", first.cost.cpu_s, f"<= {LIMIT_S:g}"))
        found.append(Record(case, "nbproof", "found again", float(first == second), ">= 1"))
        found.append(Record(case, "nbproof", "lines evaluated", float(_evaluated(first))))
    return found


def _evaluated(audit: Any) -> int:
    return len(audit.lines) - len(audit.judged("not evaluated"))


def _models(known: NDArray[np.float64], happened: NDArray[np.bool_]) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    return {
        "boosted trees": HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(known, happened),
        "forest": RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=1).fit(known, happened),
        "torch network": _network(known, happened),
    }


def _network(known: NDArray[np.float64], happened: NDArray[np.bool_]) -> Callable[..., Any]:
    """Standardised inputs, two hidden layers, one log-odds, trained for some epochs."""
    import torch

    middle, width = known.mean(axis=0), known.std(axis=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        standard = torch.nn.Linear(known.shape[1], known.shape[1])
        with torch.no_grad():
            standard.weight.copy_(torch.diag(torch.tensor(1 / width, dtype=torch.float32)))
            standard.bias.copy_(torch.tensor(-middle / width, dtype=torch.float32))
        learnt = torch.nn.Sequential(
            torch.nn.Linear(known.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
            torch.nn.Linear(64, 1),
        )  # fmt: skip
        network = torch.nn.Sequential(standard, learnt)
        optimizer = torch.optim.Adam(learnt.parameters(), 2e-3)
        points = torch.tensor(known, dtype=torch.float32)
        wanted = torch.tensor(happened, dtype=torch.float32)
        for _ in range(10):
            for some in torch.randperm(len(points)).split(128):
                optimizer.zero_grad()
                torch.nn.functional.binary_cross_entropy_with_logits(
                    network(points[some])[:, 0], wanted[some]
                ).backward()
                optimizer.step()
    return network.eval()


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        carried_out("audit_cases", __doc__, measure)
