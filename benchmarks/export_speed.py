"""How long a package takes beside the plain script of its notebook, and what importing it loads.

python -m benchmarks.export_speed PIPELINE_FOLDER PACKAGE=NOTEBOOK …   # writes results/export_speed.json

Both run in fresh processes in the folder, in turns; the least time of each counts. The script is what nbconvert makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbconvert import PythonExporter

from .machine import machine

RESULTS = Path(__file__).parent / "results" / "export_speed.json"
TURNS = 3
LOADED = """import sys
before = set(sys.modules)
__import__(sys.argv[1])
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"""


def seconds(command: list[str], folder: Path, path: str) -> float:
    """Wall-clock seconds of one run, which must end well."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(path), check=True, capture_output=True)
    return time.perf_counter() - began


def environment(path: str) -> dict[str, str]:
    kept = {**os.environ, "NBPROOF_TRACKING": "false", "MPLBACKEND": "agg"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [path, kept.get("PYTHONPATH", "")]))}


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    rows = []
    print(f"{'package':<28}  {'script':>8}  {'package':>8}  {'ratio':>6}  loads when imported")
    for pair in sys.argv[2:]:
        package, _, notebook = pair.partition("=")
        source = str(Path(package).resolve() / "src")
        name = Path(package).name
        with tempfile.TemporaryDirectory() as place:
            script = Path(place) / "script.py"
            script.write_text(PythonExporter().from_notebook_node(nbformat.read(notebook, 4))[0])
            took: dict[str, list[float]] = {"script": [], "package": []}
            for _ in range(TURNS):
                took["script"].append(seconds([sys.executable, str(script)], folder, ""))
                took["package"].append(seconds([sys.executable, "-m", name], folder, source))
        loaded = subprocess.run([sys.executable, "-c", LOADED, name], env=environment(source), check=True,
                                capture_output=True, text=True).stdout.strip()  # fmt: skip
        least = {kind: min(times) for kind, times in took.items()}
        rows.append({"package": name, **least, "loads": loaded})
        ratio = least["package"] / least["script"]
        print(f"{name:<28}  {least['script']:>6.2f} s  {least['package']:>6.2f} s  {ratio:>6.2f}  {loaded}", flush=True)
    RESULTS.write_text(json.dumps({"machine": machine(), "turns": TURNS, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
