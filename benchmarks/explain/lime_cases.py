"""LIME beside the `lime` package: CPU per row, and how far the numbers lie apart.

    python -m benchmarks.explain.lime_cases            # about two minutes on one core
    python -m benchmarks.explain.lime_cases --quick    # fewer rows

Both explain one output of the same model with 5000 samples, on one thread, taking turns in one process. nbproof is
timed on many rows, since its one neighbourhood for all rows is part of what it does; lime on a few, since its cost per
row does not depend on their number, and without the making of its explainer.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbproof.explain.explanation import Explanation
from nbproof.explain.question import ask
from nbproof.explain.surrogate import tabular

FEATURES, TRAINING, SEED = 20, 8000, 11
# Each case is measured so often, and the least counts: whatever else the machine does only adds.
TURNS = 3
# How many times less CPU per row than lime: by model, mode and the number of features chosen.
AT_LEAST = {
    ("mlp", "row", 10): 35.0, ("mlp", "row", 6): 200.0, ("forest", "row", 10): 40.0, ("forest", "row", 6): 150.0,
    ("mlp", "stream", 10): 3.0, ("mlp", "stream", 6): 30.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """One case: milliseconds of CPU per row of both, how many times less nbproof needs, and whether they agree.

    `apart` is the largest difference of coefficients, intercept, R² and local answer over `compared` rows, of which
    `same_order` name the features in the same order.
    """

    model: str
    mode: str
    chosen: int
    rows: int
    lime_ms: float
    nbproof_ms: float
    times: float
    at_least: float
    compared: int
    apart: float
    same_order: int

    @property
    def is_met(self) -> bool:
        return self.times >= self.at_least and self.apart <= 1e-9 and self.same_order == self.compared


def measure(*, quick: bool = False, report: Callable[[Record], None] | None = None) -> list[Record]:
    """Every case in turn; `report` hears of each as it ends."""
    training, labels, rows = _data()
    models = {"mlp": _mlp(training, labels), "forest": _forest(training, labels)}
    records = []
    for (name, mode, chosen), at_least in AT_LEAST.items():
        many = (200 if quick else 1000) if mode == "row" else (10 if quick else 40)
        few = (5 if quick else 20) if chosen > 6 else (2 if quick else 4)
        record = _case(name, models[name], training, rows[:many], mode, chosen, few, at_least)
        records.append(record)
        if report is not None:
            report(record)
    return records


def table(records: list[Record]) -> str:
    """The records as text, one a line."""
    heads = ("model", "mode", "chosen", "lime ms/row", "nbproof ms/row", "times", "asked", "apart", "same order")
    lines = ["".join(f"{head:>16}" for head in heads)]
    for each in records:
        cells = (
            each.model, each.mode, each.chosen, f"{each.lime_ms:.1f}", f"{each.nbproof_ms:.3f}", f"{each.times:.1f}",
            f"≥ {each.at_least:g}", f"{each.apart:.1e}", f"{each.same_order}/{each.compared}",
        )  # fmt: skip
        lines.append("".join(f"{cell!s:>16}" for cell in cells) + ("" if each.is_met else "  falls short"))
    return "\n".join(lines)


def _case(
    name: str, predict: Any, training: NDArray[np.float64], rows: NDArray[np.float64], mode: Any, chosen: int, few: int,
    at_least: float,
) -> Record:  # fmt: skip
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
    return Record(
        model=name,
        mode=mode,
        chosen=chosen,
        rows=len(rows),
        lime_ms=lime_ms,
        nbproof_ms=nbproof_ms,
        times=lime_ms / nbproof_ms,
        at_least=at_least,
        compared=few,
        apart=max(apart for apart, _ in differences),
        same_order=sum(same for _, same in differences),
    )


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


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.explain.lime_cases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--json", action="store_true", help="print records for a program")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = measure(quick=asked.quick)
    if asked.json:
        import json

        print(json.dumps([asdict(each) for each in records], indent=2))
        return
    print(table(records))


if __name__ == "__main__":
    # Before numpy's libraries are loaded it would do; after, they are asked through the environment of a new process.
    if os.environ.get("OMP_NUM_THREADS") != "1":
        import sys

        os.execve(
            sys.executable,
            [sys.executable, "-m", "benchmarks.explain.lime_cases", *sys.argv[1:]],
            {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
    main()
