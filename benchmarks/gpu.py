"""What nbproof does on a GPU, on a real one: packages, warm kernels, checkpoints, jobs, and LIME.

    python -m benchmarks.gpu PACKAGE       # an exported package that trains with torch; writes results/gpu.json
    python -m benchmarks.score --device cuda     # scoring; writes results/score_cuda.json

Every part says what was compared with what. `PACKAGE` is an export of a notebook that was written for the processor,
with no word of a device in it; it runs on both, and all that it writes is compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .machine import machine

RESULT = Path(__file__).parent / "results" / "gpu.json"
NOTEBOOK = """
import json, os, torch
from pathlib import Path
x = torch.arange(1_000_000, device="cuda", dtype=torch.float64)
told = {"sum": float((x * number).sum()), "device": torch.cuda.get_device_name(0), "process": os.getpid()}
Path(product["told"]).write_text(json.dumps(told))
"""
TASKS = 4


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("package", type=Path)
    given = asked.parse_args()
    import torch

    parts: dict[str, Callable[[Path], Any]] = {
        "package": lambda place: package(given.package.absolute(), place),
        "warm kernels": warm,
        "random states": random_states,
        "jobs": lambda place: jobs(given.package.absolute(), place),
        "lime": lime,
    }
    told: dict[str, Any] = {
        "machine": machine(), "gpu": torch.cuda.get_device_name(0), "cuda": torch.version.cuda,
        "versions": {name: version(name) for name in ("torch", "numpy")},
    }  # fmt: skip
    failed = False
    for name, part in parts.items():
        with tempfile.TemporaryDirectory(prefix="nbproof-gpu-") as folder:
            try:
                told[name] = part(Path(folder))
            except Exception as error:
                traceback.print_exc()
                told[name], failed = {"failed": str(error)}, True
        print(name, json.dumps(told[name], indent=1), flush=True)
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    sys.exit(failed)


def package(folder: Path, place: Path) -> dict[str, Any]:
    """The package on the processor and on the GPU, twice each: its times, and how far what it writes is apart."""
    ran: dict[str, Any] = {}
    for device in ("cpu", "cuda"):
        for again in (1, 2):
            work = place / f"{device}{again}"
            took, said = carried_out(folder, work, device)
            ran.setdefault(device, []).append(took)
    apart = {
        "cuda from cpu": differences(place / "cpu1", place / "cuda1"),
        "cpu from itself": differences(place / "cpu1", place / "cpu2"),
        "cuda from itself": differences(place / "cuda1", place / "cuda2"),
    }
    return {"seconds": ran, "said": said, "relative differences": apart}


def carried_out(folder: Path, work: Path, device: str, *more: str) -> tuple[float, str]:
    name = next((folder / "src").iterdir()).name
    work.mkdir()
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "nbproof.jobs.on_gpu", name, "--out", str(work), *more],
        cwd=work, capture_output=True, text=True,
        env={**os.environ, "NBPROOF_DEVICE": device,
             "PYTHONPATH": os.pathsep.join([str(folder / "src"), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    if ran.returncode:
        raise RuntimeError(f"{device}: {ran.stdout[-1500:]}\n{ran.stderr[-3000:]}")
    return time.perf_counter() - began, ran.stderr[-300:]


def differences(one: Path, other: Path) -> dict[str, float]:
    """How far each array in each file of numbers is apart, as a part of its own size (Euclid's)."""
    import numpy as np

    found = {}
    for path in sorted(one.rglob("*.npz")):
        here, there = np.load(path), np.load(other / path.relative_to(one))
        for name in here.files:
            size = float(np.linalg.norm(here[name])) or 1.0
            found[f"{path.name}: {name}"] = float(np.linalg.norm(here[name] - there[name])) / size
    if not found:
        raise RuntimeError(f"{one} holds no arrays")
    return found


def warm(place: Path) -> dict[str, Any]:
    """Notebooks that use CUDA in warm kernels, several at once and twice: none of them may meet a forked context."""
    (place / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    tasks = []
    for number in range(TASKS):
        cells = [
            {"cell_type": "code", "id": name, "metadata": {"tags": tags}, "source": source, "outputs": [],
             "execution_count": None}
            for name, tags, source in (
                ("p", ["parameters"], f"upstream = None\nproduct = {{}}\nnumber: int = {number}\nagain: int = 0"),
                ("a", [], NOTEBOOK.strip()),
            )
        ]  # fmt: skip
        (place / f"use{number}.ipynb").write_text(
            json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells})
        )
        tasks.append(f"  - source: use{number}.ipynb\n    product:\n      nb: out/use{number}.ipynb\n"
                     f"      told: out/use{number}.json\n")  # fmt: skip
    resources = "".join(f"    use{number}: {{gpus: 1}}\n" for number in range(TASKS))
    (place / "pipeline.yaml").write_text(
        f"executor:\n  dotted_path: nbproof.run.executor.TaskExecutor\n  workers: {TASKS}\n  resources:\n{resources}"
        f"tasks:\n{''.join(tasks)}"
    )
    seconds, sums = [], set()
    for _ in range(3):
        began = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-m", "nbproof", "run", "--force"], cwd=place, capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - began)
        if ran.returncode:
            raise RuntimeError(ran.stdout[-1500:] + ran.stderr[-3000:])
        told = [json.loads((place / f"out/use{number}.json").read_text()) for number in range(TASKS)]
        sums.add(tuple(each["sum"] for each in told))
    expected = tuple(499999500000.0 * number for number in range(TASKS))
    if sums != {expected}:
        raise RuntimeError(f"{sums}")
    return {"tasks": TASKS, "seconds of three runs": seconds, "device": told[0]["device"], "sums": "as expected"}


def random_states(place: Path) -> dict[str, Any]:
    """A checkpoint keeps the state of CUDA's generator: what is drawn after it comes again."""
    import torch

    from nbproof.run.checkpoints import in_kernel

    torch.cuda.manual_seed_all(5)
    torch.rand(10, device="cuda")
    kept = json.dumps(in_kernel.encode_states(in_kernel.random_states()))
    first = torch.rand(1000, device="cuda").cpu()
    in_kernel.set_random_states(in_kernel.decode_states(json.loads(kept)))
    second = torch.rand(1000, device="cuda").cpu()
    if not torch.equal(first, second):
        raise RuntimeError("another draw")
    return {"draws after a restored checkpoint": "the same"}


def jobs(folder: Path, place: Path) -> dict[str, Any]:
    """The package as a job that asks for this machine's GPU; one that asks for more is refused."""
    (place / "pyproject.toml").write_text('[tool.nbproof]\ntracking = false\nreview_name = "Bela"\n')

    def told(*words: str) -> Any:
        ran = subprocess.run(
            [sys.executable, "-m", "nbproof", *words, "--json"], cwd=place, capture_output=True, text=True
        )
        if ran.returncode:
            raise RuntimeError(ran.stdout[-1500:] + ran.stderr[-3000:])
        return json.loads(ran.stdout)

    job = told("submit", str(folder), "--unsafe-draft", "a measurement", "--gpus", "1")["id"]
    end = time.monotonic() + 120
    while (found := told("jobs", "show", job))["state"] not in ("done", "failed", "lost", "cancelled"):
        if time.monotonic() > end:
            raise RuntimeError(str(found))
        time.sleep(0.5)
    logs = subprocess.run(
        [sys.executable, "-m", "nbproof", "jobs", "logs", job], cwd=place, capture_output=True, text=True
    ).stdout
    if found["state"] != "done":
        raise RuntimeError(f"{found}\n{logs[-2000:]}")
    more = subprocess.run(
        [sys.executable, "-m", "nbproof", "submit", str(folder), "--unsafe-draft", "a measurement", "--gpus", "2"],
        cwd=place, capture_output=True, text=True,
    )  # fmt: skip
    return {"state": found["state"], "said": [line for line in logs.splitlines() if line.startswith("nbproof:")],
            "two GPUs": [more.returncode, more.stderr.splitlines()[:1]]}  # fmt: skip


def lime(place: Path) -> dict[str, Any]:
    """LIME's algebra on the GPU and on the processor, of one network: the numbers, and the time of each."""
    import numpy as np
    import torch

    from nbproof.explain.question import ask
    from nbproof.explain.surrogate import tabular

    drawn = np.random.default_rng(0)
    rows = drawn.standard_normal((500, 20)).astype(np.float32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1), torch.nn.Sigmoid())
    found, seconds = {}, {}
    for device in ("cpu", "cuda"):
        question = ask(network.to(device), rows[:64], background=rows)
        taken = []
        for _ in range(4):
            began = time.perf_counter()
            found[device] = tabular.explain(question, device=device)
            taken.append(time.perf_counter() - began)
        seconds[device] = statistics.median(taken[1:])
    apart = float(np.abs(found["cpu"].values - found["cuda"].values).max())
    return {"seconds for 64 rows of 5000 samples": seconds, "values apart at most": apart}


if __name__ == "__main__":
    main()
