"""Each example pipeline from a fresh clone: run, reported, verified, and every notebook exported and proven.

The clone is of what is committed, and gets nothing else; the run must end within three minutes on two cores. An export
compares the package with its notebook under several parameters, and `nbproof verify` asks the package again.

    python -m benchmarks.examples [--only NAME] [--no-export]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from benchmarks.explain.records import Record, table_of
from benchmarks.machine import machine

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results/examples.json"
EXAMPLES = ("anomaly", "image", "text")
RUN_S = 180


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=EXAMPLES, action="append")
    parser.add_argument("--no-export", action="store_true")
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="nbproof-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        for name in asked.only or EXAMPLES:
            found[name] = example(clone, name, is_exported=not asked.no_export)
            print(json.dumps({name: found[name]}, indent=1), flush=True)
    records = [Record("run", name, "s", each["run_s"], f"<= {RUN_S}") for name, each in found.items()]
    print(table_of(records))
    kept = json.loads(RESULT.read_text()).get("examples", {}) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({"machine": machine(), "examples": {**kept, **found}}, indent=1) + "\n")
    sys.exit(0 if all(each["is_whole"] for each in found.values()) else 1)


def example(clone: Path, name: str, *, is_exported: bool) -> dict[str, Any]:
    """One example; `is_whole` says that every command of it ended well and in time."""
    place = f"pipelines/{name}"
    run_s, ran = carried_out(clone, "run", place)
    _, reported = carried_out(clone, "report", place)
    _, verified = carried_out(clone, "report", "--verify", f"{place}/build/report/report.html")
    exports = {}
    if is_exported:
        for notebook in notebooks(clone / place):
            seconds, made = carried_out(clone, "export", str(notebook.relative_to(clone)), "--draft")
            package = clone / "exports" / f"{notebook.stem}_draft"
            _, proven = carried_out(clone, "verify", str(package.relative_to(clone)))
            exports[notebook.stem] = {"seconds": round(seconds, 1), "export": said(made), "verify": said(proven)}
    steps = [ran, reported, verified]
    is_whole = all(step.returncode == 0 for step in steps) and run_s <= RUN_S
    return {
        "run_s": round(run_s, 1), "run": said(ran), "report": said(reported), "report --verify": said(verified),
        "exports": exports if is_exported else "not asked for", "is_whole": is_whole and all(
            each[kind].startswith("0:") for each in exports.values() for kind in ("export", "verify")
        ),
    }  # fmt: skip


def notebooks(folder: Path) -> list[Path]:
    """The notebooks that a pipeline names; each is exported with the values that the pipeline gives it."""
    tasks = yaml.safe_load((folder / "pipeline.yaml").read_text())["tasks"]
    return [(folder / task["source"]).resolve() for task in tasks]


def carried_out(clone: Path, *words: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Seconds, and what came of a command of the clone's own nbproof."""
    environ = {**os.environ, "PYTHONPATH": str(clone / "src"), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "nbproof", *words], cwd=clone, env=environ, capture_output=True, text=True, check=False
    )
    return time.perf_counter() - began, ran


def said(ran: subprocess.CompletedProcess[str]) -> str:
    """How a command ended, with its last line, or with what it said against it."""
    text = (ran.stderr if ran.returncode else ran.stdout).strip() or ran.stdout.strip()
    lines = [line for line in text.splitlines() if line]
    line = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "")
    return f"{ran.returncode}: {line[:300]}"


if __name__ == "__main__":
    main()
