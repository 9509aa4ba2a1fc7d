"""What the checks of determinism and hidden state find: planted kinds, and public notebooks that are always the same.

    python -m benchmarks.review_determinism                                   # the planted ones: half a minute
    python -m benchmarks.review_determinism --public LIST --most 60           # and false alarms, by NBP103

LIST is a CSV with the columns `id`, `path` and `seconds`, beside folders of these ids that hold the notebook and what
it reads. A public notebook counts when ten runs by an independent executor give the same bytes; each run is a fresh
process, under two hash seeds. Work is resumable: what was measured stands in `--state`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbproof.errors import NbproofError
from nbproof.notebook.document import read
from nbproof.review.checks.findings import Inspected
from nbproof.review.checks.rerun import dynamic_outcomes
from nbproof.review.checks.source import names
from nbproof.review.checks.stored import order
from nbproof.settings import Settings

from .machine import machine

RESULTS = Path(__file__).parent / "results" / "review_determinism.json"
FOUND_BOUND, ALARM_BOUND, RUNS = 0.95, 0.02, 10
SETTINGS = Settings(experiment="x", tracking=False, timeout_s=120)
IMPORTS = """import datetime, glob, hashlib, os, pathlib, random, secrets, tempfile, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
import numpy as np, pandas as pd, torch, matplotlib.pyplot as plt
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
class Thing: pass
X = np.arange(200.0).reshape(100, 2) % 7; y = (np.arange(100) % 3 == 0).astype(int)"""
PLANTED = {
    "random": "random.random()",
    "random.sample": "print(random.sample(range(10_000), 5))",
    "shuffle": "order = list(range(30)); random.shuffle(order); print(order)",
    "numpy, global": "np.random.rand(3).round(3)",
    "numpy, generator": "np.random.default_rng().normal(size=2)",
    "torch.rand": "torch.rand(2)",
    "torch, weights of a layer": "print(torch.nn.Linear(3, 2).weight.sum().item())",
    "torch, loader that shuffles": "print([int(b) for b in torch.utils.data.DataLoader(range(40), shuffle=True)])",
    "sklearn, split": "print(train_test_split(np.arange(100))[0][:5])",
    "sklearn, forest": "print(RandomForestClassifier(5).fit(X[::2], y[::2]).predict_proba(X[:9] + .5)[:, 1])",
    "sklearn, descent": "print(SGDClassifier(max_iter=5, tol=None).fit(X, y).coef_)",
    "pandas, sample": "pd.DataFrame({'a': range(500)}).sample(3)",
    "pandas, shown as HTML": "pd.DataFrame({'a': np.random.rand(2)})",
    "order of a set": "print(list({str(n) for n in range(30)}))",
    "set, joined": "''.join(frozenset('abcdefghijklm'))",
    "dict made from a set": "{name: len(name) for name in set('alpha beta gamma delta epsilon zeta'.split())}",
    "hash of a text": "print(hash('credit'))",
    "hash, in hexadecimal": "print(hex(hash('credit') & 0xFFFFFFFFFF))",
    "bucket by hash": "print([hash(name) % 97 for name in ('ana', 'bela', 'cleo')])",
    "dict of objects, sorted": "things = [Thing() for _ in range(12)]; print([things.index(t) for t in sorted("
    "things, key=lambda t: hash(str(t)))])",
    "id of an object": "print(id(Thing()))",
    "time": "print(time.time())",
    "time, formatted": "print(datetime.datetime.now().strftime('%H%M%S%f'))",
    "seed from the clock": "random.seed(time.time_ns()); print(random.randint(0, 10**9))",
    "time that was taken": "start = time.perf_counter(); sum(range(10_000)); print(time.perf_counter() - start)",
    "duration": "print(pd.Timedelta(seconds=random.randint(20_000, 80_000)))",
    "uuid4": "uuid.uuid4().hex",
    "uuid1": "print(uuid.uuid1())",
    "process": "print(os.getpid())",
    "name of a temporary file": "print(os.path.basename(tempfile.mktemp()))",
    "secrets": "print(secrets.token_hex(4))",
    "os.urandom": "os.urandom(4)",
    "order of threads": """with ThreadPoolExecutor(8) as pool:
    jobs = {pool.submit(time.sleep, random.random() / 20): n for n in range(24)}
    print([jobs[job] for job in as_completed(jobs)])""",
    "race of threads": """seen = []
def work(n):
    time.sleep(int.from_bytes(os.urandom(1), 'big') / 5000)
    seen.append(n)
threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
print(seen)""",
    "state left on the disk": """runs = pathlib.Path(STATE)
runs.write_text((runs.read_text() if runs.exists() else '') + 'x')
print(len(runs.read_text()))""",
    "picture": "plt.scatter(np.random.rand(9), np.random.rand(9)); plt.show()",
    "digest of something unordered": "print(hashlib.sha256(str(set('abcdefgh')).encode()).hexdigest())",
    "last digits": "print(round(0.8123 + np.random.rand() / 1000, 6))",
}  # fmt: skip
# Notebooks that a kernel alone still understands, as cells with execution counts; and the check that must say so.
HIDDEN: dict[str, tuple[str, Sequence[tuple[str, int | None]]]] = {
    "cell deleted that bound a name": ("NBP009", [("x = y + 1", 2), ("print(x)", 3)]),
    "name bound further down": ("NBP009", [("print(limit)", 2), ("limit = 3", 3)]),
    "function of a deleted cell": ("NBP009", [("rows = load()", 2)]),
    "import deleted": ("NBP009", [("np.arange(3)", 2)]),
    "variable renamed in one place": ("NBP009", [("total = 1", 2), ("print(totals)", 3)]),
    "loop deleted around its variable": ("NBP009", [("print(row)", 2)]),
    "cells run in another order": ("NBP003", [("a = 1", 3), ("a = 2", 2)]),
    "cell run twice": ("NBP003", [("a = 1", 2), ("a += 1", 5)]),
    "cell edited and not run": ("NBP003", [("a = 1", 2), ("print(a)", None)]),
    "cell added above": ("NBP003", [("a = 0", 7), ("a = 1", 2)]),
    "cells run from the middle": ("NBP003", [("a = 1", None), ("print(a)", 4)]),
    "rerun after all": ("NBP003", [("a = 1", 9), ("print(a)", 3)]),
}


def cell(name: str, source: str, tags: Sequence[str] = (), count: int | None = None) -> dict[str, Any]:
    return {"cell_type": "code", "id": name, "metadata": {"tags": list(tags)}, "source": source, "outputs": [],
            "execution_count": count}  # fmt: skip


def written(path: Path, cells: Sequence[dict[str, Any]]) -> Path:
    content = {
        "nbformat": 4, "nbformat_minor": 5, "cells": list(cells),
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def planted() -> dict[str, bool]:
    """Each planted kind in a cell of its own, and whether NBP103 names that cell."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
        state = f"STATE = {str(project / 'state.txt')!r}\n"
        cells = [cell("p", "upstream = None\nproduct = None", ["parameters"]), cell("i", state + IMPORTS)]
        cells += [cell(f"c{n}", source) for n, source in enumerate(PLANTED.values())]
        outcomes, _ = dynamic_outcomes(written(project / "planted.ipynb", cells), project, SETTINGS)
        verdicts = {outcome.check.code: outcome for outcome in outcomes}
        assert verdicts["NBP101"].verdict == "passed", verdicts["NBP101"].findings
        named = {finding.cell for finding in verdicts["NBP103"].findings}
        assert named <= {f"c{n}" for n in range(len(PLANTED))}, named
        return {kind: f"c{n}" in named for n, kind in enumerate(PLANTED)}


def hidden() -> dict[str, bool]:
    """Each notebook with hidden state, and whether the check that should find it does."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (code, cells) in HIDDEN.items():
            listed = [cell("p", "rows: int = 3", ["parameters"], 1)]
            listed += [cell(f"c{n}", source, (), count) for n, (source, count) in enumerate(cells)]
            inspected = Inspected(read(written(Path(folder) / "h.ipynb", listed)), Path(folder), SETTINGS)
            found[kind] = bool(list({"NBP003": order, "NBP009": names}[code](inspected)))
    return found


# The independent executor: a shell without a kernel, and all that it said, as one hash. What takes long to import is
# imported once, and each run is a fork of that process with seeds of its own; hash seeds are those of two processes.
RUN = """
import hashlib, json, os, sys, time
os.environ["MPLBACKEND"] = "agg"
import random
sources, times = json.load(open(sys.argv[1])), int(sys.argv[2])
used = [name for name in ("matplotlib", "numpy", "pandas", "scipy", "sklearn") if any(name in text for text in sources)]
if "matplotlib" in used:
    import matplotlib; matplotlib.use("module://matplotlib_inline.backend_inline")
    import matplotlib.pyplot
for name in used:
    __import__(name)
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output
def run():
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    shell = InteractiveShell.instance()
    shell.user_ns["display"] = display
    told = []
    for source in sources:
        with capture_output() as said:
            ran = shell.run_cell(source)
        if not ran.success:
            print("failed:", repr(ran.error_in_exec or ran.error_before_exec)[:200], file=sys.stderr)
            return 3
        shown = [json.dumps(output.data, sort_keys=True, default=str) for output in said.outputs]
        told.append([said.stdout, shown])
    print(hashlib.sha256(json.dumps(told).encode()).hexdigest(), flush=True)
    return 0
for _ in range(times):
    child = os.fork()
    if not child:
        os._exit(run())
    if os.waitpid(child, 0)[1]:
        sys.exit(3)
"""


def ten_runs(notebook: Path) -> str:
    """`equal`, or why these runs are none to measure by."""
    content = json.loads(notebook.read_text())
    sources = ["".join(one["source"]) for one in content["cells"] if one["cell_type"] == "code"]
    listed = notebook.with_suffix(".sources.json")
    listed.write_text(json.dumps(sources))
    seen: list[str] = []
    for seed in ("1", "7919"):
        environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONWARNINGS": "ignore"}
        try:
            ran = subprocess.run(
                [sys.executable, "-c", RUN, str(listed), str(RUNS // 2)], cwd=notebook.parent, env=environ,
                check=False, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return "too slow"
        if ran.returncode:
            return f"failed: {ran.stderr.strip().splitlines()[-1:]}"[:160]
        seen += [line for line in ran.stdout.splitlines() if len(line) == 64]
        if len(set(seen)) > 1:
            return "another result in another run"
    return "equal" if len(seen) == RUNS else f"{len(seen)} runs"


def judged(notebook: Path) -> tuple[str, list[str]]:
    """What NBP103 says of a notebook that declares nothing: it gets an empty contract first."""
    content = json.loads(notebook.read_text())
    (notebook.parent / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    for number, one in enumerate(content["cells"]):
        one.setdefault("id", f"c{number}")
    content["cells"].insert(0, cell("nbproof-p", "upstream = None\nproduct = None", ["parameters"]))
    content["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.write_text(json.dumps({**content, "nbformat": 4, "nbformat_minor": 5}))
    try:
        outcomes, _ = dynamic_outcomes(notebook, notebook.parent, SETTINGS)
    except NbproofError as error:
        return "not evaluated", [str(error)[:200]]
    found = next(outcome for outcome in outcomes if outcome.check.code == "NBP103")
    return found.verdict, [found.reason, *(f"{one.number}: {one.message}" for one in found.findings)][:6]


def public(listed: Path, most: int, state: Path, budget_s: float) -> dict[str, Any]:
    """Measure notebooks, quick ones first, until enough of them are equal or the time is over."""
    rows = sorted(csv.DictReader(listed.open()), key=lambda row: float(row["seconds"] or 1e9))
    known: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {}
    started = time.monotonic()
    for row in rows:
        equal = sum(one["runs"] == "equal" for one in known.values())
        if equal >= most or time.monotonic() - started > budget_s:
            break
        if row["id"] in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "p"
            shutil.copytree(listed.parent / row["id"], place)
            notebook = place / row["path"]
            runs = ten_runs(notebook)
            verdict, said = judged(notebook) if runs == "equal" else ("", [])
        known[row["id"]] = {"path": row["path"], "runs": runs, "verdict": verdict, "said": said}
        state.write_text(json.dumps(known, indent=1))
    return known


def main() -> int:
    """Measure, print, write; the exit status says whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", type=Path, help="the CSV of public notebooks")
    parser.add_argument("--most", type=int, default=50, help="how many that are equal over ten runs")
    parser.add_argument("--state", type=Path, default=Path(tempfile.gettempdir()) / "review_determinism.state.json")
    parser.add_argument("--budget", type=float, default=200.0, help="seconds after which no further one is begun")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"machine": machine()}
    holds = True
    for title, found in (("planted nondeterminism", planted()), ("planted hidden state", hidden())):
        share = sum(found.values()) / len(found)
        missed = [kind for kind, is_found in found.items() if not is_found]
        print(f"{title}: {sum(found.values())} of {len(found)} kinds found ({share:.1%}; bound {FOUND_BOUND:.0%})")
        print("".join(f"  missed: {kind}\n" for kind in missed), end="")
        result[title] = {"kinds": len(found), "found": share, "missed": missed}
        holds = holds and share >= FOUND_BOUND
    if arguments.public:
        known = public(arguments.public, arguments.most, arguments.state, arguments.budget)
        equal = [one for one in known.values() if one["runs"] == "equal"]
        judged_ones = [one for one in equal if one["verdict"] in ("passed", "failed")]
        alarms = [one for one in judged_ones if one["verdict"] == "failed"]
        rate = len(alarms) / max(1, len(judged_ones))
        print(f"public: {len(known)} tried, {len(equal)} equal over {RUNS} runs, {len(judged_ones)} judged, "
              f"{len(alarms)} false alarms ({rate:.1%}; bound {ALARM_BOUND:.0%})")  # fmt: skip
        for one in alarms:
            print(f"  {one['path']}: {one['said']}")
        listed = hashlib.sha256(arguments.public.read_bytes()).hexdigest()
        result["public"] = {"list": listed, "tried": len(known), "equal": len(equal), "judged": len(judged_ones),
                            "alarms": rate, "found": alarms}  # fmt: skip
        holds = holds and rate <= ALARM_BOUND
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
