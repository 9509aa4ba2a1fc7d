"""What nbproof adds to a pipeline on Slurm: a wide pipeline of empty notebooks, against sbatch calls with afterok.

Slurm is a private one of two nodes on this machine, the one that the tests use. The contenders take turns: `sbatch
true` is a call of sbatch for each task, whose job does nothing; `sbatch papermill` is the same with the command of
Papermill in each job; `nbproof run` is the command. Each has a task at the top, many below it, and one below all these.

`submitted` is the time until the last job is queued, `start` the part of it that the command takes when there is
nothing to do, `jobs` the rest; `whole` is the time until the last job has ended.

    python -m benchmarks.pipeline_slurm [--width N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

# The cluster is the one that the tests use.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
sys.path.append(str(Path(__file__).parents[1] / "tests/jobs"))

from cluster import Cluster, cluster

RESULT = Path(__file__).parent / "results/pipeline_slurm.json"
GIVEN = ("--nodes=1", "--ntasks=1", "--cpus-per-task=1", "--mem=200M", "--requeue")
BIN = Path(sys.executable).parent
LONGEST_S, LOOK_S = 900, 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    taken: dict[str, list[dict[str, float]]] = {"sbatch true": [], "sbatch papermill": [], "nbproof run": []}
    with cluster() as slurm:
        os.environ.update(slurm.environment)
        slurm.wait_for_nodes()
        for _ in range(asked.rounds):
            taken["sbatch true"].append(by_sbatch(slurm, asked.width, with_papermill=False))
            taken["sbatch papermill"].append(by_sbatch(slurm, asked.width, with_papermill=True))
            taken["nbproof run"].append(by_nbproof(slurm, asked.width))
    records = recorded(taken)
    print(table_of(records))
    found = [{"case": each.case, "contender": each.contender, "figure": each.figure, "value": each.value,
              "allowed": each.allowed, "met": each.is_met} for each in records]  # fmt: skip
    told = {"machine": machine(), "width": asked.width, "rounds": asked.rounds, "records": found, "seconds": taken}
    RESULT.write_text(json.dumps(told, indent=1) + "\n")


def recorded(taken: dict[str, list[dict[str, float]]]) -> list[Record]:
    """The medians of each contender, and ratios within each round."""

    def ratio(figure: str, of: str, to: str) -> float:
        pairs = zip(taken[of], taken[to], strict=True)
        return statistics.median(ours[figure] / theirs[figure] for ours, theirs in pairs)

    medians = [
        Record(figure, name, "s, median", statistics.median(each[figure] for each in rounds))
        for figure in ("submitted", "start", "jobs", "whole")
        for name, rounds in taken.items()
    ]
    return [
        *medians,
        Record("submitted", "nbproof run", "times sbatch true", ratio("submitted", "nbproof run", "sbatch true")),
        Record("jobs", "nbproof run", "times sbatch true", ratio("jobs", "nbproof run", "sbatch true"), "<= 1.2"),
        Record(
            "whole",
            "nbproof run",
            "times sbatch papermill",
            ratio("whole", "nbproof run", "sbatch papermill"),
            "<= 1.2",
        ),
    ]


def names(width: int) -> list[str]:
    return ["top", *(f"mid{number:02d}" for number in range(width)), "bottom"]


def above(name: str, width: int) -> list[str]:
    return {"top": [], "bottom": names(width)[1:-1]}.get(name, ["top"])


def by_sbatch(slurm: Cluster, width: int, *, with_papermill: bool) -> dict[str, float]:
    """A call of sbatch for each task, one after the other, as a script would do it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        for name in names(width):
            (folder / f"{name}.ipynb").write_text(json.dumps(notebook(name, width)))
        numbers: dict[str, str] = {}
        began = time.monotonic()
        for name in names(width):
            (folder / "build" / name).mkdir(parents=True)
            command = ["true"]
            if with_papermill:
                command = [str(BIN / "papermill"), "--no-progress-bar", f"{name}.ipynb", f"build/{name}/{name}.ipynb"]
            after = (
                [f"--dependency=afterok:{':'.join(numbers[each] for each in above(name, width))}"] if numbers else []
            )
            line = f"{shlex.join(command)} && touch done-{name}"
            numbers[name] = slurm.asked(
                "sbatch", "--parsable", *GIVEN, "--kill-on-invalid-dep=yes", f"--chdir={folder}",
                f"--output={folder}/%x.log", f"--job-name={name}", *after, f"--wrap={line}",
            ).strip()  # fmt: skip
        submitted = time.monotonic() - began
        until(folder / "done-bottom")
        whole = time.monotonic() - began
        until_empty(slurm)
    return {"submitted": submitted, "whole": whole, "start": 0.0, "jobs": submitted}


def by_nbproof(slurm: Cluster, width: int) -> dict[str, float]:
    """The command, from its start to its end, and again when there is nothing to do: the start of it alone."""
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
        for name in names(width):
            (folder / f"{name}.ipynb").write_text(json.dumps(notebook(name, width)))
        executor = {
            "dotted_path": "nbproof.run.executor.TaskExecutor",
            "resources": {name: {"memory_mb": 200} for name in names(width)},
        }
        tasks = [{"source": f"{name}.ipynb", "product": {"nb": f"build/{name}/{name}.ipynb"}} for name in names(width)]
        (folder / "pipeline.yaml").write_text(json.dumps({"executor": executor, "tasks": tasks}))
        began = time.monotonic()
        process = subprocess.Popen(
            [BIN / "nbproof", "run", "--on", "slurm"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert process.stderr is not None
        submitted, said = 0.0, ""
        for line in process.stderr:
            said += line
            if "submitted to slurm" in line:
                submitted = time.monotonic() - began
        assert process.wait() == 0, said
        whole = time.monotonic() - began
        until_empty(slurm)
        began = time.monotonic()
        subprocess.run([BIN / "nbproof", "run", "--on", "slurm"], cwd=folder, check=True, capture_output=True)
        start = time.monotonic() - began
    return {"submitted": submitted, "whole": whole, "start": start, "jobs": submitted - start}


def notebook(name: str, width: int) -> dict[str, object]:
    """One that does nothing."""
    sources = [f"upstream = {above(name, width) or None}\nproduct = None", "1"]
    cells = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {"tags": ["parameters"] if at == 0 else []}, "source": source,
         "outputs": [], "execution_count": None}
        for at, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells}


def until(path: Path) -> None:
    end = time.monotonic() + LONGEST_S
    while not path.exists():
        assert time.monotonic() < end, path
        time.sleep(LOOK_S)


def until_empty(slurm: Cluster) -> None:
    while slurm.asked("squeue", "--noheader", "--format=%i"):
        time.sleep(0.2)


if __name__ == "__main__":
    if not shutil.which("sbatch"):
        sys.exit("Slurm is not installed: apt-get install slurmctld slurmd slurm-client munge")
    main()
