"""Shapley values beside those of shap, captum and Woodelf.

    python -m benchmarks.explain.shap_cases                         # about three minutes on one core
    python -m benchmarks.explain.shap_cases --cases 'black box*'

Times are CPU seconds of this process, one thread; errors are relative to exact values (their Euclidean norm).
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbproof.explain.question import ask
from nbproof.explain.shapley.dispatch import explain

from .records import Record, carried_out

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A case by name; `measure` takes the number of rows of the large file."""

    name: str
    measure: Callable[[int], Iterator[Record]]


def _cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def _error(found: Any, exact: Any) -> float:
    return float(np.linalg.norm(np.asarray(found) - exact) / np.linalg.norm(exact))


def _data(rows: int, features: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, features))
    score = table @ rng.normal(size=features) * 0.4 + table[:, 0] * table[:, 1] + np.sin(2 * table[:, 2])
    return table, score + table[:, 3] * table[:, 4] * table[:, 5]


def _ticks(work: Callable[[], Any]) -> float:
    """The share of its ticks that a thread keeps which wants one every 5 ms."""
    ticks, stop = [0], threading.Event()

    def tick() -> None:
        while not stop.is_set():
            time.sleep(0.005)
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.perf_counter()
    work()
    took, kept = time.perf_counter() - began, ticks[0]
    stop.set()
    ticker.join()
    return kept / (took / 0.005)


def deep_forest(_: int) -> Iterator[Record]:
    """A random forest of unlimited depth: the time of 100 rows, and what it leaves other threads."""
    import shap
    from sklearn.ensemble import RandomForestClassifier

    case = "deep forest, 100 rows"
    rows, score = _data(4000, 20)
    model = RandomForestClassifier(30, random_state=0).fit(rows, score > 0)
    explainer = shap.TreeExplainer(model)
    explain(ask(model, rows[:1]))
    yield Record(case, "nbproof", "CPU s", _cpu(lambda: explain(ask(model, rows[:100])))[0])
    yield Record(case, "shap TreeExplainer", "CPU s", _cpu(lambda: explainer.shap_values(rows[:100]))[0])
    yield Record(case, "nbproof", "ticks kept", _ticks(lambda: explain(ask(model, rows[:100]))), ">= 0.2")
    yield Record(case, "shap TreeExplainer", "ticks kept", _ticks(lambda: explainer.shap_values(rows[:100])))


def black_box_trees(_: int) -> Iterator[Record]:
    """20 features, exact values by shap's interventional trees; everybody has KernelExplainer's default of answers."""
    import shap
    from sklearn.ensemble import GradientBoostingRegressor

    case = "black box, 20 features, boosted trees"
    rows, score = _data(800, 20)
    model = GradientBoostingRegressor(n_estimators=60, max_depth=4, random_state=0).fit(rows, score)
    background, asked = rows[:8], rows[100:106]
    exact = shap.TreeExplainer(model, data=background, feature_perturbation="interventional").shap_values(asked)
    yield from _at_equal_calls(case, model.predict, asked, background, exact)


def black_box_network(_: int) -> Iterator[Record]:
    """14 features, a smooth network, exact values by all 2^14 coalitions."""
    case = "black box, 14 features, network"
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(14, 64)) * 0.4, rng.normal(size=(64, 64)) / 8
    last = rng.normal(size=64) / 4

    def model(points: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-(np.maximum(np.maximum(points @ first, 0) @ second, 0) @ last))))

    rows = rng.normal(size=(20, 14))
    background, asked = rows[:8], rows[10:14]
    exact = explain(ask(model, asked, background=background), method="enumerated").values[:, :, 0]
    yield from _at_equal_calls(case, model, asked, background, exact)


def small_budgets(_: int) -> Iterator[Record]:
    """Few coalitions of three smooth networks, 14 features, mean over seeds; exact values by all 2^14 coalitions."""
    for name, build in _SMOOTH.items():
        errors: dict[int, list[tuple[float, float]]] = {128: [], 256: [], 512: []}
        for seed in range(3):
            model = build(np.random.default_rng(seed))
            rows = np.random.default_rng(100 + seed).normal(size=(12, 14))
            background, asked = rows[:8], rows[8:]
            exact = explain(ask(model, asked, background=background), method="enumerated").values[:, :, 0]
            for samples, found in errors.items():
                found.append(_beside_kernel(model, asked, background, exact, samples, seed))
        for samples, found in errors.items():
            ours, theirs = (float(np.sqrt(np.mean(np.square(each)))) for each in zip(*found, strict=True))
            case = f"black box, 14 features, {name}, {samples} coalitions"
            yield Record(case, "nbproof", "error", ours, f"<= {theirs / 3:.4f}")
            yield Record(case, "shap KernelExplainer, default", "error", theirs)
            yield Record(case, "nbproof", "part of KernelExplainer's", ours / theirs)


def _beside_kernel(
    model: Any, asked: Array, background: Array, exact: Array, samples: int, seed: int
) -> tuple[float, float]:  # fmt: skip
    import shap

    # KernelExplainer draws from numpy's global generator.
    np.random.seed(seed)
    theirs = shap.KernelExplainer(model, background).shap_values(asked, nsamples=samples, silent=True)
    ours = [
        _error(
            explain(ask(model, asked, background=background), method="sampled", samples=samples, seed=each)
            .values[:, :, 0],
            exact,
        )
        for each in range(3)
    ]  # fmt: skip
    return float(np.sqrt(np.mean(np.square(ours)))), _error(theirs, exact)


def _relu(rng: np.random.Generator) -> Any:
    first, second, last = rng.normal(size=(14, 64)) * 0.4, rng.normal(size=(64, 64)) / 8, rng.normal(size=64) / 4
    return lambda points: 1 / (1 + np.exp(-(np.maximum(np.maximum(points @ first, 0) @ second, 0) @ last)))


def _tanh(rng: np.random.Generator) -> Any:
    first, second, last = rng.normal(size=(14, 32)) * 0.5, rng.normal(size=(32, 32)) * 0.4, rng.normal(size=32)
    return lambda points: np.tanh(np.tanh(points @ first) @ second) @ last


def _swish(rng: np.random.Generator) -> Any:
    first, second = rng.normal(size=(14, 64)) / 14**0.5, rng.normal(size=(64, 64)) / 8
    last = rng.normal(size=64) / 8

    def bent(z: Array) -> Array:
        return np.asarray(z / (1 + np.exp(-1.702 * z)))

    return lambda points: bent(bent(points @ first) @ second) @ last


_SMOOTH: dict[str, Callable[[np.random.Generator], Any]] = {
    "sigmoid of ReLU": _relu, "wild tanh": _tanh, "swish": _swish,
}  # fmt: skip


def _at_equal_calls(case: str, model: Any, asked: Array, background: Array, exact: Array) -> Iterator[Record]:
    import shap

    features = asked.shape[1]
    for samples in (2 * features + 2048, 512):
        kernel = shap.KernelExplainer(model, background)
        name = f"{case}, {samples} coalitions"
        spent, found = _cpu(
            lambda: explain(ask(model, asked, background=background), method="sampled", samples=samples)  # noqa: B023
        )
        by_default = _error(kernel.shap_values(asked, nsamples=samples, silent=True), exact)
        whole = _error(kernel.shap_values(asked, nsamples=samples, silent=True, l1_reg=False), exact)
        ours = _error(found.values[:, :, 0], exact)
        yield Record(name, "nbproof", "error", ours, f"<= {by_default / 3:.4f}")
        yield Record(name, "nbproof", "CPU s", spent)
        distance = float(((found.values[:, :, 0] - exact) / np.asarray(found.error)[:, :, 0]).std())
        yield Record(name, "nbproof", "distance in its standard errors", distance)
        yield Record(name, "shap KernelExplainer, default", "error", by_default)
        yield Record(name, "shap KernelExplainer, l1_reg=False", "error", whole)


def network_gradients(_: int) -> Iterator[Record]:
    """A torch module with 12 features, 200 rows, 20 background rows: gradients and coalitions."""
    import captum.attr
    import torch

    case = "torch module, 12 features, 200 rows"
    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(12, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )
    with torch.no_grad():
        for each in module.parameters():
            each.copy_(torch.randn(each.shape, generator=generator) * 0.2)
    module.eval()
    rows, _score = _data(300, 12)
    asked, background = rows[:200], rows[200:220]
    question = ask(module, asked, background=background)
    few = ask(module, asked[:20], background=background)
    exact = explain(few, method="enumerated").values[:, :, 0]
    spent, found = _cpu(lambda: explain(question, method="gradients"))
    yield Record(case, "nbproof gradients", "CPU s", spent)
    yield Record(case, "nbproof gradients", "error", _error(found.values[:20, :, 0], exact))
    yield Record(case, "nbproof gradients", "largest gap", float(found.gap().max()))
    given = torch.as_tensor(asked, dtype=torch.float32)
    against = torch.as_tensor(background, dtype=torch.float32)

    def averaged(method: Any, **options: Any) -> Array:
        parts = [method.attribute(given, baselines=each[None].expand_as(given), **options) for each in against]
        return np.asarray(torch.stack(parts).mean(dim=0).detach().numpy())

    spent, by_path = _cpu(lambda: averaged(captum.attr.IntegratedGradients(module), n_steps=16))
    yield Record(case, "captum IntegratedGradients, 16 steps", "CPU s", spent)
    yield Record(case, "captum IntegratedGradients, 16 steps", "error", _error(by_path[:20], exact))
    torch.manual_seed(0)
    spent, by_chance = _cpu(
        lambda: captum.attr.GradientShap(module).attribute(given, baselines=against, n_samples=320).detach().numpy()
    )
    yield Record(case, "captum GradientShap, 320 samples", "CPU s", spent)
    yield Record(case, "captum GradientShap, 320 samples", "error", _error(by_chance[:20], exact))
    spent, sampled = _cpu(lambda: explain(few, method="sampled", samples=512))
    yield Record(case, "nbproof sampled, 512 coalitions", "CPU s for 20 rows", spent)
    yield Record(case, "nbproof sampled, 512 coalitions", "error", _error(sampled.values[:, :, 0], exact))


def population(_: int) -> Iterator[Record]:
    """Boosted trees against 2000 background rows."""
    import shap
    import xgboost

    case = "against 2000 background rows, 2000 rows"
    rows, score = _data(4000, 20)
    model = xgboost.XGBClassifier(n_estimators=100, max_depth=5, n_jobs=1).fit(rows, score > 0)
    question = ask(model, rows[:2000], background=rows[2000:])
    spent, found = _cpu(lambda: explain(question, method="interventional"))
    explainer = shap.TreeExplainer(model, data=rows[2000:2100], feature_perturbation="interventional")
    by_shap, _values = _cpu(lambda: explainer.shap_values(rows[:40], check_additivity=False))
    yield Record(case, "nbproof (Woodelf, checked)", "CPU s", spent)
    yield Record(case, "nbproof (Woodelf, checked)", "largest gap", float(found.gap().max()))
    yield Record(case, "shap interventional, by 40 × 100 rows", "CPU s", by_shap * 50 * 20)


CASES = (
    Case("deep forest", deep_forest),
    Case("black box, trees", black_box_trees),
    Case("black box, network", black_box_network),
    Case("small budgets", small_budgets),
    Case("torch module", network_gradients),
    Case("population", population),
)


def measure(cases: str = "*", *, rows: int = 20_000) -> list[Record]:
    """The records of the cases whose names match."""
    found: list[Record] = []
    with warnings.catch_warnings():
        # Other libraries' warnings are not what is measured.
        warnings.simplefilter("ignore")
        for case in CASES:
            if fnmatch(case.name, cases):
                found.extend(case.measure(rows))
    return found


if __name__ == "__main__":
    carried_out("shap_cases", __doc__, measure)
