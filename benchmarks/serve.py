"""How fast an approved model answers, beside MLflow, BentoML and an app written by hand, over loopback.

python -m benchmarks.serve [--bento PYTHON] [--rounds 3] [--seconds 5]   # writes results/serve.json

One process each, one row of 30 numbers a request, the same gradient boosting of 100 trees. In each round every service
is measured in turn, alone; medians count. `wrk` asks as fast as it is answered; the second figure is at a fixed rate
that is half of what the app written by hand can do. BentoML runs in an environment of its own, whose Python --bento
names; without it, it is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .machine import machine
from .serving.load import Measured, as_fast_as_it_goes, at_a_rate

RESULTS = Path(__file__).parent / "results" / "serve.json"
ROOT = Path(__file__).parents[1]
FIELDS, TREES = 30, 100
CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Service:
    """A service: how it is started at a port, where it is asked, with what, and where it says that it is ready."""

    name: str
    command: list[str]
    path: str
    body: bytes
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bento")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", nargs="*", default=[], help="these services alone")
    parser.add_argument("--folder", type=Path, help="keep the models there, and take them from there the next time")
    parser.add_argument("--add", action="store_true", help="add to what was measured before, piece by piece")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        every = made(asked.folder or Path(temporary), asked.bento)
        services = [each for each in every if each.name in asked.only or not asked.only]
        fast: dict[str, list[Measured]] = {each.name: [] for each in services}
        rated: dict[str, list[Measured]] = {each.name: [] for each in services}
        computed: dict[str, list[float]] = {each.name: [] for each in services}
        rate = 0.0
        if asked.add and RESULTS.exists():
            rate = recalled(json.loads(RESULTS.read_text()), fast, rated, computed)
        for _ in range(asked.rounds):
            for service in services:
                with running(service) as (port, pid):
                    url = f"http://127.0.0.1:{port}{service.path}"
                    as_fast_as_it_goes(url, service.body, clients=CLIENTS, seconds=1)
                    before = cpu_s(pid)
                    found = as_fast_as_it_goes(url, service.body, clients=CLIENTS, seconds=asked.seconds)
                    # Counted in the service's own processes, it says the same on a machine that others use, too.
                    computed[service.name].append(1000 * (cpu_s(pid) - before) / (found.per_s * asked.seconds))
                    fast[service.name].append(found)
                    if service.name == "by hand" and not rate:
                        rate = fast[service.name][0].per_s / 2
                    if rate:
                        rated[service.name].append(
                            at_a_rate("127.0.0.1", port, service.path, service.body, per_s=rate, seconds=asked.seconds)
                        )
                shown(service.name, found, computed[service.name][-1], rated[service.name][-1:])
    leave(fast, rated, computed, rate)


def recalled(
    found: dict[str, Any], fast: dict[str, list[Measured]], rated: dict[str, list[Measured]],
    computed: dict[str, list[float]],
) -> float:  # fmt: skip
    """Put what was measured before in front of what will be; the rate of then comes back."""
    for name, held in found["measured"].items():
        fast[name] = [Measured(**each) for each in held]
        rated[name] = [Measured(**each) for each in found["measured_at_rate"][name]]
        computed[name] = list(found["cpu_ms"][name])
    rate: float = found["rate_per_s"]
    return rate


def shown(name: str, fast: Measured, cpu_ms: float, rated: list[Measured]) -> None:
    at = ""
    if rated:
        at = f"  at the rate p50 {rated[0].p50_ms:7.1f}  p99 {rated[0].p99_ms:7.1f} ms  failed {rated[0].failed}"
    print(f"{name:<28} {fast.per_s:8.0f}/s  {cpu_ms:5.2f} ms CPU  p50 {fast.p50_ms:6.1f}  p99 {fast.p99_ms:6.1f} ms"
          f"  failed {fast.failed}{at}", flush=True)  # fmt: skip


def cpu_s(pid: int) -> float:
    """What a process and all below it have computed, in seconds."""
    every = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in every)


def leave(
    fast: dict[str, list[Measured]], rated: dict[str, list[Measured]], computed: dict[str, list[float]], rate: float
) -> None:
    middle = {
        name: {
            "per_s": round(statistics.median(each.per_s for each in found), 1),
            "cpu_ms": round(statistics.median(computed[name]), 3),
            "p50_ms": round(statistics.median(each.p50_ms for each in found), 2),
            "p99_ms": round(statistics.median(each.p99_ms for each in found), 2),
            "failed": sum(each.failed for each in found + rated[name]),
            "at_rate_p50_ms": round(statistics.median(each.p50_ms for each in rated[name]), 2) if rated[name] else None,
            "at_rate_p99_ms": round(statistics.median(each.p99_ms for each in rated[name]), 2) if rated[name] else None,
        }
        for name, found in fast.items()
    }
    print(f"\n{'medians':<28} {'per s':>8} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8}   at {rate:.0f}/s: p50, p99 ms")
    for name, each in middle.items():
        print(f"{name:<28} {each['per_s']:>8} {each['cpu_ms']:>8} {each['p50_ms']:>8} {each['p99_ms']:>8}"
              f"   {each['at_rate_p50_ms']}, {each['at_rate_p99_ms']}")  # fmt: skip
    ratios = ratios_of(middle)
    for words, ratio in ratios.items():
        print(f"{words}: {ratio:.2f}")
    document = {
        "machine": machine(), "clients": CLIENTS, "fields": FIELDS, "trees": TREES, "rate_per_s": round(rate, 1),
        "medians": middle, "ratios": ratios,
        "measured": {name: [asdict(each) for each in found] for name, found in fast.items()},
        "cpu_ms": computed,
        "measured_at_rate": {name: [asdict(each) for each in found] for name, found in rated.items()},
    }  # fmt: skip
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def ratios_of(middle: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """What is promised, as ratios."""
    asked = {
        "without batches, times the app by hand": ("nbproof, no batches", "by hand", "per_s"),
        "with batches, times the app by hand": ("nbproof", "by hand", "per_s"),
        "CPU by hand, times ours without batches": ("by hand", "nbproof, no batches", "cpu_ms"),
        "CPU of explain, times predict without batches": (
            "nbproof /explain, no batches",
            "nbproof, no batches",
            "cpu_ms",
        ),
        "CPU of MLflow, times ours": ("mlflow", "nbproof", "cpu_ms"),
        "CPU of BentoML, times ours": ("bentoml", "nbproof", "cpu_ms"),
        "times MLflow": ("nbproof", "mlflow", "per_s"),
        "times BentoML": ("nbproof", "bentoml", "per_s"),
        "explain, time of predict without batches": ("nbproof, no batches", "nbproof /explain, no batches", "per_s"),
        "p99 at the rate, by hand's": ("nbproof", "by hand", "at_rate_p99_ms"),
        "p99 at the rate, MLflow's": ("nbproof", "mlflow", "at_rate_p99_ms"),
        "p99 at the rate, BentoML's": ("nbproof", "bentoml", "at_rate_p99_ms"),
        "with the log, times without": ("nbproof, with its log", "nbproof", "per_s"),
    }
    return {
        words: round(middle[one][what] / middle[other][what], 3)
        for words, (one, other, what) in asked.items()
        if one in middle and other in middle and middle[one][what] and middle[other][what]
    }


def made(folder: Path, bento: str | None) -> list[Service]:
    """The model in every form, approved where that is asked for, and the services of it."""
    if not (folder / "rows.json").exists():
        folder.mkdir(exist_ok=True)
        (folder / "rows.json").write_text(json.dumps(model_in(folder)[0]))
    rows = json.loads((folder / "rows.json").read_text())
    names = list(rows[0])
    values = [row[name] for row in rows for name in names]
    plain = json.dumps({"rows": rows}).encode()
    split = json.dumps({"dataframe_split": {"columns": names, "data": [values]}}).encode()
    python = sys.executable
    kept = {"OMP_NUM_THREADS": "1", "MODEL_FOLDER": str(folder)}
    ours = [python, "-m", "nbproof", "serve", "service", "--project", ".", "--port", "{port}"]
    place = folder / "project"
    mlflow = [python, "-m", "mlflow", "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local",
              "-h", "127.0.0.1", "-p", "{port}", "-w", "1"]  # fmt: skip
    services = [
        Service("by hand", [python, "-m", "uvicorn", "benchmarks.serving.minimal:app", "--port", "{port}",
                            "--no-access-log"], "/predict", plain, "/openapi.json", kept),
        Service("nbproof, no batches", [*ours, "--batch-rows", "1"], "/predict", plain, "/ready", kept, place),
        Service("nbproof", ours, "/predict", plain, "/ready", kept, place),
        Service("nbproof /explain, no batches", [*ours, "--batch-rows", "1"], "/explain", plain, "/ready", kept, place),
        Service("nbproof /explain", ours, "/explain", plain, "/ready", kept, place),
        Service("nbproof, with its log", [*ours, "--log", "log"], "/predict", plain, "/ready", kept, place),
        Service("mlflow", mlflow, "/invocations", split, "/ping", {**kept, "MLFLOW_DISABLE_TELEMETRY": "true"}),
    ]  # fmt: skip
    if bento:
        command = [bento, "-m", "bentoml", "serve", "benchmarks.serving.bento:Scorer", "--port", "{port}"]
        services.append(Service("bentoml", command, "/predict", plain, "/readyz",
                                {**kept, "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(ROOT)}))  # fmt: skip
    return services


def model_in(folder: Path) -> tuple[list[dict[str, float]], list[str]]:
    """Train the model and write it in every form; one row to ask about comes back, and the names of its fields."""
    import joblib
    import mlflow
    import numpy as np
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    names = [f"field_{at}" for at in range(FIELDS)]
    frame = pd.DataFrame(rng.random((5000, FIELDS)), columns=names)
    chance = 1 / (1 + np.exp(-8 * (frame.iloc[:, :4].mean(axis=1) - 0.5)))
    fitted = HistGradientBoostingClassifier(max_iter=TREES, random_state=0).fit(frame, rng.random(5000) < chance)
    joblib.dump(fitted, folder / "model.joblib")
    mlflow.sklearn.save_model(
        fitted, folder / "mlflow", pyfunc_predict_fn="predict_proba", input_example=frame.head(1),
        serialization_format="cloudpickle",
    )  # fmt: skip
    approved(folder / "project", fitted, names)
    return [{name: float(value) for name, value in zip(names, frame.iloc[0], strict=True)}], names


def approved(project: Path, fitted: Any, names: list[str]) -> None:
    """A project whose reviewer has approved the packaged model."""
    sys.path.append(str(ROOT / "tests/review"))
    from reviewed import BELA, key, write_project

    from nbproof.records import ContentHash
    from nbproof.review.deciding import Verdict, decide, request
    from nbproof.serve.package import Manifest
    from nbproof.serve.signature import Input, Signature
    from nbproof.serve.spelling import dump, untrusted_types

    notebook = write_project(project)
    content = dump(fitted)
    signature = json.dumps(Signature(tuple(Input(name, "number") for name in names)).written()).encode()
    files = {"model": ("model.skops", ContentHash.of(content)),
             "signature": ("signature.json", ContentHash.of(signature))}  # fmt: skip
    (project / "service").mkdir()
    (project / "service/model.skops").write_bytes(content)
    (project / "service/signature.json").write_bytes(signature)
    manifest = Manifest("bench", "1.0.0", files, untrusted_types(content))
    (project / "service/manifest.json").write_text(json.dumps(manifest.written()))
    request(project, notebook, key=BELA, files={"model": "service"})
    decide(project, notebook, Verdict(decision="approved"), key(1))


@contextmanager
def running(service: Service) -> Iterator[tuple[int, int]]:
    """Run a service; once it is ready its port and its process come."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port = tried.getsockname()[1]
    command = [part.replace("{port}", str(port)) for part in service.command]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **service.environment}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=service.folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(process, f"http://127.0.0.1:{port}{service.ready}", log)
            yield port, process.pid
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str, log: Any) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    log.seek(0)
    raise SystemExit(f"{url} never was ready: {log.read().decode(errors='replace')[-2000:]}")


if __name__ == "__main__":
    main()
