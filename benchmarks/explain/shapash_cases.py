"""Explanations beside those of shapash, where it is installed; nothing is measured where it is not.

    python -m benchmarks.explain.shapash_cases    # about a minute on one core

shapash is no dependency of nbproof's development: it installs beside it and changes no version of it, but it brings
packages called `tests`, `docs` and `data`. So it is put in an environment of its own, which sees ours
(benchmarks/README.md).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from importlib.util import find_spec
from typing import Any

import numpy as np

from nbproof import explain

from .records import Record, carried_out

FEATURES = 20
NAMES = [f"x{at}" for at in range(FEATURES)]


def measure(cases: str = "*", *, rows: int = 0) -> list[Record]:
    """The records of the models whose names match."""
    if find_spec("shapash") is None:
        return []
    import pandas as pd

    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(6000, FEATURES)), columns=NAMES)
    score = table.to_numpy() @ rng.normal(size=FEATURES) * 0.4 + table["x0"] * table["x1"] + np.sin(2 * table["x2"])
    with warnings.catch_warnings():
        # Other libraries' warnings are not what is measured.
        warnings.simplefilter("ignore")
        return [
            record
            for name, (model, explained) in _models(table, (score > 0).astype(int)).items()
            if fnmatch(name, cases)
            for record in _beside(name, model, table[:explained])
        ]


def _models(table: Any, labels: Any) -> dict[str, tuple[Any, int]]:
    import xgboost
    from sklearn.ensemble import RandomForestClassifier

    return {
        "xgboost": (xgboost.XGBClassifier(n_estimators=100, max_depth=5, n_jobs=1).fit(table, labels), 5000),
        "forest of depth 10": (
            RandomForestClassifier(50, max_depth=10, random_state=0, n_jobs=1).fit(table[:4000], labels[:4000]), 500,
        ),
    }  # fmt: skip


def _beside(name: str, model: Any, rows: Any) -> Iterator[Record]:
    from shapash import SmartExplainer

    case = f"beside shapash, {name}, {len(rows)} rows"

    def theirs() -> Any:
        explainer = SmartExplainer(model=model)
        explainer.compile(x=rows)
        # A table for each class; nbproof's are of the second.
        return explainer.explainer.contributions[1]

    ours_s, ours = _least(lambda: explain.shap(model, rows))
    theirs_s, contributions = _least(theirs)
    yield Record(case, "shapash", "CPU s", theirs_s)
    yield Record(case, "nbproof", "CPU s", ours_s)
    yield Record(case, "nbproof", "times shapash's", ours_s / theirs_s)
    apart = float(np.abs(ours.values[:, :, 0] - contributions.to_numpy()).max())
    yield Record(case, "nbproof", "furthest from shapash's", apart)


def _least(work: Callable[[], Any]) -> tuple[float, Any]:
    """The least CPU seconds of two times, and what came of it."""
    spent, found = [], None
    for _ in range(2):
        began = time.process_time()
        found = work()
        spent.append(time.process_time() - began)
    return min(spent), found


if __name__ == "__main__":
    carried_out("shapash_cases", __doc__, measure)
