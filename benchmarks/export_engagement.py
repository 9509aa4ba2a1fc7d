"""The eleven notebooks of the engagement as packages: each exported, then all run one after another as a pipeline.

python -m benchmarks.export_engagement FOLDER   # works in FOLDER; prints tables, writes results/export_engagement.json

The pipeline runs once by `nbproof run`, in a copy of this repository; each notebook is exported there as a draft. The
packages then run in a folder that holds the engagement's data and nothing else, in the order of the pipeline, each as
`python -m NAME`, and every product is held against that of the notebooks: bytes first, then JSON value by value.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from .machine import machine

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "export_engagement.json"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "node_modules", ".nbproof", "build", "lib", "mlruns", "mlflow.db",
                                  "exports", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")  # fmt: skip
LONGEST_S = 1800
QUIET = {"NBPROOF_TRACKING": "false"}


@dataclass(frozen=True, slots=True)
class Exported:
    """One notebook: how its export ended, what was proven, and what it cost (seconds)."""

    task: str
    package: str
    shape: str
    seconds: dict[str, float]
    tests: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the packages beside that of the notebooks; `apart` are the places in JSON that differ."""

    task: str
    name: str
    verdict: str
    apart: tuple[str, ...] = ()


def repository(folder: Path) -> Path:
    """A copy of this repository in which the pipeline has run."""
    copy = folder / "repository"
    if not (copy / "pipelines/credit/build/11_documentation").exists():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
        subprocess.run([sys.executable, "-m", "nbproof", "run", "pipelines/credit"], cwd=copy, check=True,
                       timeout=LONGEST_S, env={**os.environ, **QUIET})  # fmt: skip
    return copy


def tasks(copy: Path) -> list[dict[str, Any]]:
    """The tasks in their order."""
    found: list[dict[str, Any]] = yaml.safe_load((copy / "pipelines/credit/pipeline.yaml").read_text())["tasks"]
    return found


def export(copy: Path, task: dict[str, Any]) -> Exported:
    """Export one notebook; a refusal is a result, too."""
    notebook = (copy / "pipelines/credit" / task["source"]).resolve()
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "nbproof", "export", str(notebook), "--draft", "--json", "--other-values", "0"],
        cwd=copy, capture_output=True, text=True, timeout=LONGEST_S, env={**os.environ, **QUIET}, check=False,
    )  # fmt: skip
    took = time.perf_counter() - began
    if ended.returncode != 0:
        return Exported(task["name"], "", "", {"export": took}, problem=ended.stderr.strip()[-2000:])
    told = json.loads(ended.stdout)
    seconds = {**told["seconds"], "export": took}
    return Exported(task["name"], told["folder"], told["shape"], seconds, tested(Path(told["folder"])))


def tested(package: Path) -> str:
    """What the package's own tests say, once it is installed into a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="nbproof-engagement-") as place:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
             "--target", place, str(package)], check=True, timeout=LONGEST_S, capture_output=True,
        )  # fmt: skip
        path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH", "")]))
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], cwd=package, text=True,
            capture_output=True, timeout=LONGEST_S, env={**os.environ, **QUIET, "PYTHONPATH": path}, check=False,
        )  # fmt: skip
    return ended.stdout.strip().splitlines()[-1]


def run_packages(folder: Path, copy: Path, found: list[Exported]) -> dict[str, str]:
    """Run the packages one after another in a clean folder; why each failed, if it did."""
    place = folder / "packages"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(copy, place, ignore=shutil.ignore_patterns(".nbproof", "build", "mlruns", "mlflow.db", "exports",
                                                               "src", "tests"))  # fmt: skip
    said = {}
    for each in found:
        package = Path(each.package)
        path = os.pathsep.join(filter(None, [str(package / "src"), os.environ.get("PYTHONPATH", "")]))
        ended = subprocess.run(
            [sys.executable, "-m", package.name], cwd=place / "pipelines/credit", capture_output=True, text=True,
            timeout=LONGEST_S, env={**os.environ, **QUIET, "PYTHONPATH": path}, check=False,
        )  # fmt: skip
        if ended.returncode != 0:
            said[each.task] = ended.stderr.strip()[-1000:]
            print(f"{each.task}: {said[each.task]}", flush=True)
    return said


def products(folder: Path, copy: Path) -> Iterator[Product]:
    """Every product of the packages beside that of the notebooks."""
    for task in tasks(copy):
        for name, place in task["product"].items():
            if name == "nb":
                continue
            one, other = (where / "pipelines/credit" / place for where in (copy, folder / "packages"))
            if not other.exists():
                yield Product(task["name"], name, "missing")
            elif one.read_bytes() == other.read_bytes():
                yield Product(task["name"], name, "equal")
            elif one.suffix == ".json":
                apart = tuple(_apart(json.loads(one.read_text()), json.loads(other.read_text()), ""))
                yield Product(task["name"], name, "differs" if apart else "equal", apart[:20])
            else:
                yield Product(
                    task["name"], name, "differs", (f"{one.stat().st_size} and {other.stat().st_size} bytes",)
                )


def _apart(one: Any, other: Any, place: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _apart(one.get(key), other.get(key), f"{place}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, (first, second) in enumerate(zip(one, other, strict=True)):
            yield from _apart(first, second, f"{place}/{at}")
    elif one != other:
        yield f"{place}: {str(one)[:60]} | {str(other)[:60]}"


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    copy = repository(folder)
    found = []
    for task in tasks(copy):
        each = export(copy, task)
        found.append(each)
        took = f"{each.seconds.get('export', 0):6.1f} s, notebook {each.seconds.get('notebook', 0):5.1f} s"
        print(f"{each.task:<20} {each.shape or 'REFUSED':<12} {took}  {each.tests or each.problem}", flush=True)
    said = run_packages(folder, copy, [each for each in found if each.package])
    held = list(products(folder, copy))
    for product in held:
        if product.verdict != "equal":
            print(f"{product.task} {product.name}: {product.verdict} {'; '.join(product.apart[:5])}")
    equal = sum(product.verdict == "equal" for product in held)
    print(
        f"{sum(bool(each.package) for each in found)} of {len(found)} exported; {equal} of {len(held)} products equal"
    )
    RESULTS.write_text(json.dumps({
        "machine": machine(), "exported": [{**asdict(each), "package": Path(each.package).name} for each in found],
        "failed": said, "products": [asdict(product) for product in held],
    }, indent=1) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
