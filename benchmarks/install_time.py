"""What installing nbproof costs beyond the packages that it needs, once pip has them all in its cache.

In turns, each time in an environment of its own: the dependencies alone, nbproof's wheel on top of them, and all of it
at once. The versions are those of `constraints.txt`; a first installation, which fills the cache, is not counted.

    python -m benchmarks.install_time [--rounds N]
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
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results/install_time.json"
BEYOND_S = 45
DEPENDENCIES, ON_TOP, WHOLE = "its dependencies alone", "nbproof on top of them", "pip install nbproof"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    with tempfile.TemporaryDirectory(prefix="nbproof-install-") as folder:
        place = Path(folder)
        wheel = built(place / "wheel")
        seconds(place / "first", [str(wheel)])
        times: dict[str, list[float]] = {DEPENDENCIES: [], ON_TOP: [], WHOLE: []}
        for number in range(asked.rounds):
            times[DEPENDENCIES].append(seconds(place / f"apart{number}", needed))
            times[ON_TOP].append(seconds(place / f"apart{number}", [str(wheel)]))
            times[WHOLE].append(seconds(place / f"whole{number}", [str(wheel)]))
    whole, alone = statistics.median(times[WHOLE]), statistics.median(times[DEPENDENCIES])
    beyond = max(whole - alone, statistics.median(times[ON_TOP]))
    records = [
        *(Record("installation", name, "s, median", statistics.median(each)) for name, each in times.items()),
        Record("installation", "beyond its dependencies", "s, the larger of both ways", beyond, f"<= {BEYOND_S}"),
    ]
    print(table_of(records))
    kept = {"machine": machine(), "rounds": asked.rounds, "seconds": times, "beyond_s": beyond}
    RESULT.write_text(json.dumps(kept, indent=1) + "\n")
    sys.exit(beyond > BEYOND_S)


def built(folder: Path) -> Path:
    """The wheel of the sources as they are."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SKIP_JUPYTER_BUILDER": "1"})
    (wheel,) = folder.iterdir()
    return wheel


def seconds(environment: Path, what: Sequence[str]) -> float:
    """How long pip takes to install into an environment, which is made before the clock starts."""
    if not environment.exists():
        venv.create(environment, with_pip=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    began = time.perf_counter()
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *what], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
