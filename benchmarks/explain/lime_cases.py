"""LIME beside the `lime` package: CPU per row, and how far the numbers lie apart.

    python -m benchmarks.explain.lime_cases    # about two minutes on one core

Both explain one output of the same model with 5000 samples, on one thread, taking turns in one process. nbproof is
timed on many rows, since its one neighbourhood for all rows is part of what it does; lime on a few, since its cost per
row does not depend on their number, and without the making of its explainer.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbproof.explain.explanation import Explanation
from nbproof.explain.question import ask
from nbproof.explain.surrogate import tabular

from .records import Record, carried_out

FEATURES, TRAINING, SEED = 20, 8000, 11
# Each case is measured so often, and the least counts: whatever else the machine does only adds.
TURNS = 3
# How many times less CPU per row than lime: by model, mode and the number of features chosen.
AT_LEAST = {
    ("mlp", "row", 10): 35.0, ("mlp", "row", 6): 200.0, ("forest", "row", 10): 40.0, ("forest", "row", 6): 150.0,
    ("mlp", "stream", 10): 3.0, ("mlp", "stream", 6): 30.0,
}  # fmt: skip


def measure(_: str = "*", *, rows: int = 0) -> list[Record]:
    """Every case in turn: what both need for a row, how many times less that is, and whether they agree."""
    training, labels, explained = _data()
    models = {"mlp": _mlp(training, labels), "forest": _forest(training, labels)}
    records: list[Record] = []
    for (name, mode, chosen), at_least in AT_LEAST.items():
        many, few = 1000 if mode == "row" else 40, 20 if chosen > 6 else 4
        records += _case(name, models[name], training, explained[:many], mode, chosen, few, at_least)
    return records


def _case(
    name: str, predict: Any, training: NDArray[np.float64], rows: NDArray[np.float64], mode: Any, chosen: int, few: int,
    at_least: float,
) -> list[Record]:  # fmt: skip
    from lime.lime_tabular import LimeTabularExplainer

    ours_s, theirs_s = [], []
    for _ in range(TURNS):
        began = time.process_time()
        question = ask(lambda points: predict(points)[:, 1], rows, background=training, unit="probability")
        ours = tabular.explain(question, seed=SEED, features=chosen, mode=mode)
        ours_s.append(time.process_time() - began)
        explainer = LimeTabularExplainer(training, random_state=SEED)
        began = time.process_time()
        theirs = []
        for row in rows[:few]:
            if mode == "row":
                explainer.random_state.seed(SEED)
            theirs.append(explainer.explain_instance(row, predict, num_features=chosen))
        theirs_s.append(time.process_time() - began)
    nbproof_ms, lime_ms = 1000 * min(ours_s) / len(rows), 1000 * min(theirs_s) / few
    differences = list(_differences(ours, theirs))
    case = f"LIME of {name}, seed by {mode}, {chosen} features"
    return [
        Record(case, "lime", "CPU ms a row", lime_ms),
        Record(case, "nbproof", "CPU ms a row", nbproof_ms),
        Record(case, "nbproof", "times less than lime", lime_ms / nbproof_ms, f">= {at_least:g}"),
        Record(case, "nbproof", "furthest from lime's numbers", max(apart for apart, _ in differences), "<= 1e-9"),
        Record(case, "nbproof", "rows in lime's order", sum(same for _, same in differences) / few, ">= 1"),
    ]


def _differences(ours: Explanation, theirs: list[Any]) -> Iterator[tuple[float, bool]]:
    """For each row the largest difference, and whether the features come in the same order."""
    held = ours.surrogate
    assert held is not None
    for at, each in enumerate(theirs):
        weights = np.zeros(FEATURES)
        for feature, weight in each.local_exp[1]:
            weights[feature] = weight
        apart = max(
            float(np.abs(weights - held.coefficients[at, :, 0]).max()),
            abs(float(each.intercept[1] - held.intercept[at, 0])),
            abs(float(each.score - held.r2[at, 0])),
            abs(float(each.local_pred[0] - held.local[at, 0])),
        )
        yield apart, [int(feature) for feature, _ in each.local_exp[1]] == held.selected[at, 0].tolist()


def _data() -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    from sklearn.datasets import make_classification

    points, labels = make_classification(
        n_samples=TRAINING + 1000, n_features=FEATURES, n_informative=10, n_redundant=4, n_classes=2, random_state=0
    )
    return points[:TRAINING], labels[:TRAINING], points[TRAINING:]


def _mlp(training: NDArray[np.float64], labels: NDArray[np.int64]) -> Callable[[Any], NDArray[np.float64]]:
    """The probabilities of a torch network 20-64-64-2, trained for some epochs."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Linear(FEATURES, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
            torch.nn.Linear(64, 2), torch.nn.Softmax(1),
        )  # fmt: skip
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        points, wanted = torch.tensor(training, dtype=torch.float32), torch.tensor(labels)
        for _ in range(4):
            for some in torch.randperm(len(points)).split(256):
                optimizer.zero_grad()
                torch.nn.functional.nll_loss(torch.log(network(points[some]) + 1e-9), wanted[some]).backward()
                optimizer.step()
    network.eval()

    def predict(rows: Any) -> NDArray[np.float64]:
        with torch.no_grad():
            return network(torch.as_tensor(np.ascontiguousarray(rows), dtype=torch.float32)).double().numpy()

    return predict


def _forest(training: NDArray[np.float64], labels: NDArray[np.int64]) -> Callable[[Any], NDArray[np.float64]]:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=1).fit(training, labels)
    return forest.predict_proba


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        carried_out("lime_cases", __doc__, measure)
