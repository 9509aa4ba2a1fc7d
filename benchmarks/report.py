"""How long the reviewer's report takes after its pipeline has run, and how large it is.

    python -m benchmarks.report pipelines/credit    # a pipeline that has run; writes results/report.json
    python -m benchmarks.report pipelines/credit --rounds 1

Each round is the command as a reviewer types it, in a new process; what it wrote is read again before it counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .machine import machine

RESULT = Path(__file__).parent / "results" / "report.json"
PACKAGES = ("nbproof", "nbconvert", "papermill", "ipykernel")
COMMAND = (sys.executable, "-m", "nbproof", "report")
# What the house promises: seconds after the pipeline, and bytes of the page.
LONGEST_S, MOST_BYTES = 60.0, 5_000_000


@dataclass(frozen=True, slots=True)
class Round:
    """One report: how long it took, how large it is, how many values of how many files were found again."""

    wall_s: float
    pdf_s: float
    bytes: int
    pdf_bytes: int
    values: int
    files: int


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("pipeline", type=Path)
    asked.add_argument("--rounds", type=int, default=3)
    given = asked.parse_args()
    rounds = [measured(given.pipeline) for _ in range(given.rounds)]
    middle = {name: statistics.median(getattr(each, name) for each in rounds) for name in asdict(rounds[0])}
    for name, value in middle.items():
        print(f"{name:10} {value:>14,.1f}")
    keeps = middle["wall_s"] <= LONGEST_S and middle["bytes"] <= MOST_BYTES
    print(f"at most {LONGEST_S:g} s and {MOST_BYTES:,} bytes: {'met' if keeps else 'falls short'}")
    told = {"machine": machine(), "versions": {name: version(name) for name in PACKAGES}, "median": middle}
    RESULT.write_text(json.dumps({**told, "rounds": [asdict(each) for each in rounds]}, indent=1) + "\n")


def measured(pipeline: Path) -> Round:
    """One report with its PDF; raises where the command fails or a value is not found again."""
    with tempfile.TemporaryDirectory(prefix="nbproof-benchmark-") as folder:
        page = Path(folder) / "report.html"
        began = time.perf_counter()
        told = carried_out(pipeline, "--out", page, "--json")
        wall_s = time.perf_counter() - began
        began = time.perf_counter()
        carried_out(pipeline, "--out", page, "--json", "--pdf")
        with_pdf_s = time.perf_counter() - began
        found = carried_out("--verify", page, "--json")
        assert not found["problems"]
        assert found["values"] == told["values"]
        pdf_bytes = page.with_suffix(".pdf").stat().st_size
        return Round(wall_s, with_pdf_s, told["bytes"], pdf_bytes, told["values"], told["sources"])


def carried_out(*words: object) -> Any:
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
