"""How long a package takes beside the plain script of its notebook, and what importing it loads.

python -m benchmarks.export_speed PIPELINE_FOLDER PACKAGE=NOTEBOOK …   # writes results/export_speed.json

Both run in fresh processes in the folder, in turns; the least time of each counts, on the clock and of processors,
which others that use the machine lengthen less. The script is what nbconvert makes.
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
# At least so many turns, and more of what is soon over: the host may be half as fast again a second later.
TURNS, SECONDS = 4, 45.0
LOADED = """import sys
before = set(sys.modules)
__import__(sys.argv[1])
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"""


def seconds(command: list[str], folder: Path, path: str) -> tuple[float, float]:
    """Wall-clock seconds, and those of processors, of one run, which must end well."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=folder, env=environment(path), check=True, capture_output=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, used


def environment(path: str) -> dict[str, str]:
    kept = {**os.environ, "NBPROOF_TRACKING": "false", "MPLBACKEND": "agg"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [path, kept.get("PYTHONPATH", "")]))}


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    rows = []
    print(f"{'package':<28}  {'script':>8}  {'package':>8}  {'ratio':>6}  {'of CPU':>6}  loads when imported")
    for pair in sys.argv[2:]:
        package, _, notebook = pair.partition("=")
        source = str(Path(package).resolve() / "src")
        name = Path(package).name
        with tempfile.TemporaryDirectory() as place:
            script = Path(place) / "script.py"
            script.write_text(PythonExporter().from_notebook_node(nbformat.read(notebook, 4))[0])
            took: dict[str, list[tuple[float, float]]] = {"script": [], "package": []}
            began = time.perf_counter()
            while len(took["script"]) < TURNS or time.perf_counter() - began < SECONDS:
                took["script"].append(seconds([sys.executable, str(script)], folder, ""))
                took["package"].append(seconds([sys.executable, "-m", name], folder, source))
        loaded = subprocess.run([sys.executable, "-c", LOADED, name], env=environment(source), check=True,
                                capture_output=True, text=True).stdout.strip()  # fmt: skip
        clock, used = ({kind: min(each[at] for each in runs) for kind, runs in took.items()} for at in (0, 1))
        rows.append({"name": name, "turns": len(took["script"]), "wall_s": clock, "cpu_s": used, "loads": loaded})
        ratios = [least["package"] / least["script"] for least in (clock, used)]
        told = f"{clock['script']:>6.2f} s  {clock['package']:>6.2f} s  {ratios[0]:>6.2f}  {ratios[1]:>6.2f}"
        print(f"{name:<28}  {told}  {loaded}", flush=True)
    RESULTS.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
