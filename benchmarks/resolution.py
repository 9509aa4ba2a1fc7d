"""Whether each extra can be installed on each Python, and what importing nbproof costs.

A resolver (uv, `pip install uv`) is asked for each extra alone, for all that users install and for all that developers
install, once for each Python: only metadata is read, nothing is installed. The import is measured against an
interpreter that imports nothing, in turns.

    python -m benchmarks.resolution [--uv PROGRAM] [--rounds N] [--constrained]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results/resolution.json"
PYTHONS = ("3.11", "3.12", "3.13")
IMPORT_MS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uv", default="uv", help="The program of the resolver.")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--constrained", action="store_true", help="Hold the tested Python to constraints.txt, too.")
    asked = parser.parse_args()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = [resolved(asked.uv, python, name) for name in ("", *sorted(extras)) for python in PYTHONS]
    if asked.constrained:
        # Of what was tested, one version needs a later patch of Python than the first of its minor version.
        found += [resolved(asked.uv, platform.python_version(), "dev", "--constraint", "constraints.txt")]
    times = import_times(asked.rounds)
    added = statistics.median(times["import nbproof"]) - statistics.median(times["pass"])
    records = [
        *(Record("import", name, "ms, median of a process", statistics.median(each)) for name, each in times.items()),
        Record("import", "added", "ms, between medians", added, f"<= {IMPORT_MS}"),
        Record("resolution", "extras on each Python", "failed", sum(not each["packages"] for each in found), "<= 0"),
    ]
    print(table_of(records))
    for each in found:
        print(f"{each['extra'] or '(none)':14} {each['python']}  {each['packages'] or each['error']}")
    kept = {"machine": machine(), "rounds": asked.rounds, "import_ms": times, "added_ms": added, "resolved": found}
    RESULT.write_text(json.dumps(kept, indent=1) + "\n")
    failed = any(not each["packages"] for each in found)
    sys.exit(1 if failed or added > IMPORT_MS else 0)


def resolved(uv: str, python: str, extra: str, *more: str) -> dict[str, Any]:
    """How many packages nbproof with an extra would bring on a Python, or what stands against it."""
    command = [uv, "pip", "compile", "--quiet", "--no-annotate", "--no-header", "pyproject.toml"]
    chosen = ["--extra", extra] if extra else []
    ran = subprocess.run(
        [*command, *chosen, "--python-version", python, *more], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [line for line in ran.stdout.splitlines() if "==" in line]
    said = " ".join(ran.stderr.split())[:500] if ran.returncode else ""
    return {
        "extra": extra + "".join(f" {word}" for word in more[1:]), "python": python,
        "packages": 0 if ran.returncode else len(lines), "error": said,
    }  # fmt: skip


def import_times(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a whole process, in turns."""
    found: dict[str, list[float]] = {"pass": [], "import nbproof": []}
    for _ in range(rounds):
        for code, each in found.items():
            each.append(seconds([sys.executable, "-c", code]) * 1000)
    return found


def seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
