"""What it costs to record the executions of a kernel: to start it, and for each cell.

    python -m benchmarks.capture                  # less than a minute on one core; writes results/capture.json

Real kernels, each new for every round. A cell is run a thousand times by the kernel's own shell, without a client, so
that nothing but the cell and its recording is measured; CPU and wall-clock seconds are those of the kernel itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from nbproof.track.capture import boot, place
from nbproof.track.capture.place import Level

from .machine import machine

RESULTS = Path(__file__).parent / "results" / "capture.json"
ROUNDS, CELLS = 5, 1000
LEVELS: tuple[Level, ...] = ("off", "metadata", "full")
START_BOUND_MS, CELL_BOUND_MS = 30.0, 5.0
CELL = "\n".join(f"value_{number} = {number}  # a line of a usual length" for number in range(20))
MANY = f"""
import time as _time
_shell = get_ipython()
_wall, _cpu = _time.perf_counter(), _time.process_time()
for _ in range({CELLS}):
    _shell.run_cell({CELL!r})
print(_time.perf_counter() - _wall, _time.process_time() - _cpu)
"""


def measure(level: Level) -> dict[str, float]:
    """One kernel: how long the text took in it, what a cell costs, and what is written of it."""
    with tempfile.TemporaryDirectory() as folder:
        manager, client = start_new_kernel()
        try:
            where = place.new_place(Path(folder), "benchmark", 1, time.time())
            started_ms = _inject(client, boot.Given(where, "a.ipynb", level, "k", 1))
            wall, cpu = map(float, _run(client, MANY).split())
            written = where.lines.stat().st_size if where.lines.exists() else 0
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    return {
        "start_ms": started_ms,
        "cell_wall_ms": wall / CELLS * 1000,
        "cell_cpu_ms": cpu / CELLS * 1000,
        "bytes_a_cell": written / CELLS,
    }


def _inject(client: Any, given: boot.Given) -> float:
    """Start the recording as the server does, and let the kernel say how long it took."""
    code = f"__import__('builtins').exec({boot.code(given)!r})"
    timed = (
        f"import time as _time\n_began = _time.perf_counter()\n{code}\nprint((_time.perf_counter() - _began) * 1000)"
    )
    return float(_run(client, timed))


def _run(client: Any, code: str) -> str:
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    client.execute_interactive(code, output_hook=hear, timeout=120)
    return "".join(said)


def main() -> None:
    """Measure in turns, print the table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = [{level: measure(level) for level in LEVELS} for _ in range(parser.parse_args().rounds)]
    medians = {
        level: {name: statistics.median(each[level][name] for each in rounds) for name in rounds[0][level]}
        for level in LEVELS
    }
    for name in ("cell_wall_ms", "cell_cpu_ms"):
        for level in LEVELS:
            # Taken within each round, so that a busy machine is busy for both.
            medians[level][f"more_{name}"] = statistics.median(each[level][name] - each["off"][name] for each in rounds)
    print(f"{'recording':<10} {'start ms':>9} {'cell ms':>9} {'more ms':>9} {'more CPU ms':>12} {'bytes a cell':>13}")
    for level, found in medians.items():
        print(
            f"{level:<10} {found['start_ms']:>9.2f} {found['cell_wall_ms']:>9.3f} {found['more_cell_wall_ms']:>9.3f} "
            f"{found['more_cell_cpu_ms']:>12.3f} {found['bytes_a_cell']:>13.0f}"
        )
    worst = max(found["start_ms"] for found in medians.values())
    more = max(found["more_cell_wall_ms"] for found in medians.values())
    print(f"start: {worst:.1f} ms, bound {START_BOUND_MS:g} ms: {_verdict(worst <= START_BOUND_MS)}")
    print(f"each cell: {more:.3f} ms more, bound {CELL_BOUND_MS:g} ms: {_verdict(more <= CELL_BOUND_MS)}")
    _write({"rounds": rounds, "medians": medians})


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "falls short"


def _write(found: dict[str, Any]) -> None:
    content = {
        "benchmark": "capture",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "versions": {name: version(name) for name in ("ipykernel", "ipython", "nbproof")},
        "cells": CELLS,
        **found,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
