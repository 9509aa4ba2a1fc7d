"""nbproof beside stock Ploomber and plain Papermill: the same notebooks, the same machine, the same minutes.

    python benchmarks/pipeline_speed.py [--budget-s 220] [--out benchmarks/results/pipeline_speed.json]

Prints a table of median wall-clock seconds and of ratios to nbproof, and writes both as JSON. The contestants take
turns in every round, in an order that changes, so that whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
WIDE, CHAIN = 6, 4
CONTESTANTS = ("nbproof", "ploomber serial", "ploomber parallel", "papermill")
RESULT = Path(__file__).parent / "results" / "pipeline_speed.json"


@dataclass(frozen=True, slots=True)
class Shape:
    """A pipeline as the upstream of each task: no upstream at all, or the task before."""

    name: str
    upstream: Mapping[str, str | None]


WIDE_SHAPE = Shape("wide", {f"task_{number}": None for number in range(WIDE)})
CHAIN_SHAPE = Shape("chain", {f"task_{n}": f"task_{n - 1}" if n else None for n in range(CHAIN)})


@dataclass(slots=True)
class Measured:
    """Wall-clock seconds of every run, by case and contestant."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, case: str, contestant: str, seconds: float) -> None:
        self.seconds.setdefault(case, {}).setdefault(contestant, []).append(seconds)

    def medians(self) -> dict[str, dict[str, float]]:
        return {
            case: {contestant: statistics.median(found) for contestant, found in of_case.items()}
            for case, of_case in self.seconds.items()
        }

    def ratios(self) -> dict[str, dict[str, float]]:
        """Each median over that of nbproof: above 1 means slower than nbproof."""
        return {
            case: {contestant: median / of_case["nbproof"] for contestant, median in of_case.items()}
            for case, of_case in self.medians().items()
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget-s", type=float, default=220.0, help="start no round that would not end by then")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    measured, rounds = Measured(), 0
    began = last = time.monotonic()
    longest = 0.0
    while not rounds or time.monotonic() - began + longest < asked.budget_s:
        carry_out_round(measured, random.Random(rounds))
        rounds += 1
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        print(f"round {rounds} took {longest:.0f} s", file=sys.stderr)
    print(table(measured))
    write(asked.out, measured, rounds)


def carry_out_round(measured: Measured, chance: random.Random) -> None:
    """Every contestant once: wide from nothing, the same again with nothing to do, and the chain from nothing."""
    order = list(CONTESTANTS)
    chance.shuffle(order)
    for contestant in order:
        with tempfile.TemporaryDirectory(prefix="nbproof-benchmark-") as folder:
            wide, chain = Path(folder, "wide"), Path(folder, "chain")
            for place, shape in ((wide, WIDE_SHAPE), (chain, CHAIN_SHAPE)):
                write_pipeline(place, shape, contestant)
            measured.add(f"{WIDE} side by side", contestant, timed(contestant, wide, WIDE_SHAPE))
            # Papermill keeps no account of what is done: it has no second run to compare.
            if contestant != "papermill":
                measured.add("nothing to do", contestant, timed(contestant, wide, WIDE_SHAPE, is_again=True))
            measured.add(f"chain of {CHAIN}", contestant, timed(contestant, chain, CHAIN_SHAPE))


def timed(contestant: str, folder: Path, shape: Shape, *, is_again: bool = False) -> float:
    """Seconds for one build of everything; raises when a product is missing or a task ran that should not have."""
    before = len(ran(folder))
    began = time.monotonic()
    for command in commands(contestant, shape):
        subprocess.run(command, cwd=folder, env=environ(), check=True, capture_output=True)
    seconds = time.monotonic() - began
    expected = before if is_again else before + len(shape.upstream)
    if len(ran(folder)) != expected:
        raise RuntimeError(f"{contestant}, {shape.name}: {len(ran(folder))} tasks ran, expected {expected}")
    for task in shape.upstream:
        if not (folder / f"build/{task}.txt").read_text().startswith("sum "):
            raise RuntimeError(f"{contestant}, {shape.name}: the product of {task} is wrong")
    return seconds


def ran(folder: Path) -> list[str]:
    log = folder / "ran.log"
    return log.read_text().split() if log.exists() else []


def commands(contestant: str, shape: Shape) -> Iterator[list[str]]:
    if contestant == "nbproof":
        yield [str(BIN / "nbproof"), "run", "pipeline.yaml"]
    elif contestant.startswith("ploomber"):
        yield [str(BIN / "ploomber"), "build"]
    else:
        for task in shape.upstream:
            yield [str(BIN / "papermill"), f"{task}.ipynb", f"build/{task}.ipynb", "--no-progress-bar"]


def environ() -> dict[str, str]:
    return {**os.environ, "PLOOMBER_STATS_ENABLED": "false", "PLOOMBER_VERSION_CHECK_DISABLED": "true"}


def write_pipeline(folder: Path, shape: Shape, contestant: str) -> None:
    """The project of one contestant; the notebooks are the same for all of them."""
    (folder / "build").mkdir(parents=True)
    executor = {"ploomber serial": "executor: serial\n", "ploomber parallel": "executor: parallel\n"}
    tasks = "".join(
        f"  - source: {task}.ipynb\n    product: {{nb: build/{task}.ipynb, data: build/{task}.txt}}\n"
        for task in shape.upstream
    )
    (folder / "pipeline.yaml").write_text(f"{executor.get(contestant, '')}tasks:\n{tasks}")
    # Stock Ploomber and Papermill keep no journal and no tracker: nbproof keeps its journal, and no tracker.
    (folder / "pyproject.toml").write_text(f"[tool.nbproof]\nworkers = {os.cpu_count()}\ntracking = false\n")
    for task, upstream in shape.upstream.items():
        (folder / f"{task}.ipynb").write_text(json.dumps(notebook(task, upstream)))


def notebook(task: str, upstream: str | None) -> dict[str, Any]:
    """A notebook that takes no time to speak of: what is measured is everything around it."""
    reads = {upstream: {"data": f"build/{upstream}.txt"}} if upstream else None
    parameters = f"upstream = {reads!r}\nproduct = {{'data': 'build/{task}.txt'}}\nrows = 1000"
    read = f"before = open(upstream[{upstream!r}]['data']).read()" if upstream else "before = ''"
    work = f"with open(product['data'], 'w') as file:\n    file.write(f'sum {{sum(range(rows))}} {task} ' + before)"
    note = f"with open('ran.log', 'a') as log:\n    log.write('{task}\\n')"
    cells = [code("parameters", parameters, ["parameters"]), code("read", read), code("work", work), code("note", note)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def code(name: str, source: str, tags: list[str] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": {"tags": tags or []},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def table(measured: Measured) -> str:
    """Medians in seconds, and in brackets how many times as long as nbproof."""
    medians, ratios = measured.medians(), measured.ratios()
    lines = ["".join([f"{'':18}", *(f"{contestant:>24}" for contestant in CONTESTANTS)])]
    for case, of_case in medians.items():
        cells = [
            f"{of_case[contestant]:8.1f} s ({ratios[case][contestant]:4.2f}×)" if contestant in of_case else "–"
            for contestant in CONTESTANTS
        ]
        lines.append("".join([f"{case:18}", *(f"{cell:>24}" for cell in cells)]))
    return "\n".join(lines)


def write(out: Path, measured: Measured, rounds: int) -> None:
    document = {
        "benchmark": "pipeline_speed",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "versions": {name: version(name) for name in ("nbproof", "ploomber", "papermill", "nbclient", "ipykernel")},
        "rounds": rounds,
        "seconds": measured.seconds,
        "median_s": measured.medians(),
        "times_nbproof": measured.ratios(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")


def machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "processor": processor(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        # What others were doing meanwhile: at rest this is about the number of notebooks at work.
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
