"""What scoring costs beside the model itself, how much memory it takes, and whether it survives being killed.

    python -m benchmarks.score                       # 10 million rows of 30 columns; writes results/score.json
    python -m benchmarks.score --rows 1000000 --rounds 1 --kills 3
    python -m benchmarks.score --device cuda         # beside what the GPU can copy and compute; results/score_cuda.json

The peer is the model alone: the same exported program in a process of its own, asked about tensors that lie ready in
memory, in batches of the same size. The same program in batches of the size that suits it best on this machine stands
beside: nobody knows that size before they have tried. The wider its layers (`--hidden`), the less all the rest weighs,
so results are kept by that. Each round measures both, one after the other; `nbproof score` is the command as one types
it, so that importing, verifying the approval, reading, copying, writing, syncing and hashing all count.
Processor seconds stand beside, since they say the same on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .machine import machine

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("nbproof", "torch", "pyarrow", "numpy")
COLUMNS, FILES, GROUPS, PARTS = 30, 10, 40, 20
BATCH_ROWS = 16_384
FEATURES = [f"x{at}" for at in range(COLUMNS)]
# What the house promises: so many times the model's own time.
MOST = 1.2
BARE = """
import json, sys, time
import numpy as np, pyarrow.parquet, torch
from pathlib import Path
model, rows, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
module = torch.export.load(model).module()
features = [f"x{at}" for at in range(30)]
files = sorted(rows.iterdir(), key=lambda path: int(path.stem))
held = torch.cat([
    torch.from_numpy(np.stack([pyarrow.parquet.read_table(file)[name].to_numpy() for name in features], 1))
    for file in files
])
answers = np.empty(len(held), np.float32)
def timed(size, rows):
    module(held[:size])
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, rows, size):
        answers[start : start + size] = module(held[start : start + size])[:, 0].numpy()
    return time.perf_counter() - began, time.process_time() - used
with torch.inference_mode():
    took, used = timed(batch, len(held))
    np.save(sys.argv[4], answers)
    best = min((1024, 2048, 4096, 8192, 16_384, 65_536), key=lambda size: timed(size, len(held) // 10)[0])
    best_took, best_used = timed(best, len(held))
print(json.dumps({"wall_s": took, "cpu_s": used, "best_batch_rows": best, "best_wall_s": best_took,
                  "best_cpu_s": best_used}))
"""


# What no program on that GPU can do faster: all rows copied there from pinned memory, and all of them computed there.
BARE_CUDA = """
import json, sys, time
import numpy as np, pyarrow.parquet, torch
from pathlib import Path
model, rows, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
module = torch.export.load(model).module().to("cuda")
features = [f"x{at}" for at in range(30)]
files = sorted(rows.iterdir(), key=lambda path: int(path.stem))
began = time.perf_counter()
tables = [pyarrow.parquet.read_table(file, columns=features) for file in files]
read = time.perf_counter() - began
held = torch.cat([torch.from_numpy(np.stack([table[name].to_numpy() for name in features], 1)) for table in tables])
held = held.pin_memory()
answers = torch.empty(len(held)).pin_memory()
starts = range(0, len(held), batch)
def timed(work):
    work(); torch.cuda.synchronize(); began = time.perf_counter(); work(); torch.cuda.synchronize()
    return time.perf_counter() - began
with torch.inference_mode():
    there = held.to("cuda"); back = torch.empty(len(held), device="cuda")
    def copied():
        for start in starts: there[start : start + batch].copy_(held[start : start + batch], non_blocking=True)
    def computed():
        for start in starts: back[start : start + batch] = module(there[start : start + batch])[:, 0]
    def returned():
        answers.copy_(back, non_blocking=True)
    copy_s, compute_s, return_s = timed(copied), timed(computed), timed(returned)
np.save(sys.argv[4], answers.numpy())
print(json.dumps({"wall_s": max(copy_s, compute_s), "copy_s": copy_s, "compute_s": compute_s,
                  "return_s": return_s, "read_s": read, "gb_per_s": held.nbytes / copy_s / 1e9,
                  "gpu": torch.cuda.get_device_name(0)}))
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=10_000_000)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--kills", type=int, default=10)
    asked.add_argument("--hidden", type=int, default=256, help="how wide the two hidden layers are")
    asked.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    asked.add_argument("--batch-rows", type=int, default=BATCH_ROWS)
    given = asked.parse_args()
    how = How(given.device, given.batch_rows)
    with tempfile.TemporaryDirectory(prefix="nbproof-benchmark-", dir=os.environ.get("TMPDIR")) as folder:
        place = Path(folder)
        prepare(place, given.rows, given.hidden)
        rounds = []
        for _ in range(given.rounds):
            bare, ours = alone(place, how), scored(place, "rows", "scores", how)
            rounds.append({"bare": bare, "nbproof": ours, "apart": apart(place)})
            best = f", in its best batches {bare['best_wall_s']:.2f} s" if "best_wall_s" in bare else ""
            print(f"model alone {bare['wall_s']:.2f} s ({bare.get('cpu_s', 0):.2f} s of processors){best}, "
                  f"nbproof score {ours['wall_s']:.1f} s ({ours['cpu_s']:.1f})", flush=True)  # fmt: skip
            keep(place, "scores", "undisturbed")
        small = scored(place, "few", "few_scores", how)
        killed = kill(
            place, given.kills, how, small["wall_s"], statistics.median(each["nbproof"]["wall_s"] for each in rounds)
        )
    ratios = {
        kind: statistics.median(each["nbproof"][kind] / each["bare"][kind] for each in rounds)
        for kind in ("wall_s", "cpu_s")
        if kind in rounds[0]["bare"]
    }
    if how.device == "cpu":
        ratios["wall_s_of_best_batch"] = statistics.median(
            each["nbproof"]["wall_s"] / each["bare"]["best_wall_s"] for each in rounds
        )
        ratios["beyond_start_of_best_batch"] = statistics.median(growth(each, small, "best_wall_s") for each in rounds)
    peak = max(each["nbproof"]["peak_mib"] for each in rounds)
    if how.device == "cpu":
        print(f"times the model's own: {ratios['wall_s']:.3f} (processors: {ratios['cpu_s']:.3f}), at most {MOST}: "
              f"{'met' if ratios['wall_s'] <= MOST else 'falls short'}")  # fmt: skip
        print(f"times the model's own in its best batches ({rounds[0]['bare']['best_batch_rows']} rows): "
              f"{ratios['wall_s_of_best_batch']:.3f}; beyond the time that a tenth of the rows takes: "
              f"{ratios['beyond_start_of_best_batch']:.3f}")  # fmt: skip
    print(f"peak memory: {small['peak_mib']:.0f} MiB for {small['rows']:,} rows, {peak:.0f} MiB for {given.rows:,}")
    print(f"killed: {killed}")
    told = {
        "machine": machine(), "versions": {name: version(name) for name in PACKAGES},
        "asked": vars(given), "ratio": ratios, "peak_mib": {"few": small, "all": peak}, "killed": killed,
        "rounds": rounds,
    }  # fmt: skip
    if how.device == "cuda":
        for name in ("copy_s", "compute_s", "read_s", "gb_per_s"):
            print(f"{name}: {statistics.median(each['bare'][name] for each in rounds):.3f}")
        print(f"share of that limit: {1 / ratios['wall_s']:.4f}; of what is beyond the time that a tenth of the rows "
              f"takes: {share_of_growth(rounds, small):.4f}")  # fmt: skip
    path = RESULTS / ("score.json" if how.device == "cpu" else "score_cuda.json")
    kept = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**kept, f"2 x {given.hidden}": told}, indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class How:
    """Where the model answers, and how many rows at a time."""

    device: str
    batch_rows: int


def share_of_growth(rounds: Sequence[dict[str, Any]], small: dict[str, Any]) -> float:
    """The share of the limit that rows reach once a process has started: starting costs the same for few and many."""
    return statistics.median(1 / growth(each, small, "wall_s") for each in rounds)


def growth(round_: dict[str, Any], small: dict[str, Any], kind: str) -> float:
    """How many times the model's own time (`kind`) each further row takes once a process has started."""
    share = 1 - small["rows"] / round_["nbproof"]["rows"]
    grown: float = round_["nbproof"]["wall_s"] - small["wall_s"]
    return grown / (share * round_["bare"][kind])


def prepare(place: Path, rows: int, hidden: int) -> None:
    """Rows, a tenth of them by themselves, an exported program, and its approval."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet
    import torch

    drawn = np.random.default_rng(0)
    for folder, files in (("rows", FILES), ("few", 1)):
        (place / folder).mkdir()
        for number in range(files):
            size, start = rows // FILES, number * (rows // FILES)
            held = {"id": np.arange(start, start + size)}
            held |= {name: drawn.standard_normal(size, dtype=np.float32) for name in FEATURES}
            pyarrow.parquet.write_table(
                pyarrow.table(held), place / folder / f"{number}.parquet", row_group_size=rows // GROUPS
            )
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(COLUMNS, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden), torch.nn.ReLU(),
        torch.nn.Linear(hidden, 1),
    ).eval()  # fmt: skip
    shapes = ({0: torch.export.Dim("rows")},)
    torch.export.save(
        torch.export.export(module, (torch.zeros(4, COLUMNS),), dynamic_shapes=shapes), place / "model.pt2"
    )
    approve(place)


def approve(place: Path) -> None:
    """Let a reviewer who is made up approve the program, since reading one can run code."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from nbproof.review.deciding import Verdict, decide, request
    from nbproof.review.keys import PrivateKey
    from nbproof.review.signers import line_of

    keys = {name: PrivateKey(Ed25519PrivateKey.generate()) for name in ("Ana", "Bela")}
    (place / "pyproject.toml").write_text('[tool.nbproof]\ntracking = false\nreview_name = "Bela"\n')
    (place / "approvals").mkdir()
    listed = [line_of(name, key.public) for name, key in keys.items()]
    (place / "approvals/allowed_signers").write_text("\n".join([*listed, ""]))
    (place / "approvals/reviewers.toml").write_text('[[reviewer]]\nname = "Ana"\n')
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"tags": tags}, "source": source, "outputs": [],
         "execution_count": None}
        for name, tags, source in (("p", ["parameters"], "rows: int = 3"), ("a", [], "print(rows)"))
    ]  # fmt: skip
    notebook = place / "train.ipynb"
    notebook.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": cells})
    )
    request(place, notebook, key=keys["Bela"], files={"model": "model.pt2"})
    decide(place, notebook, Verdict(decision="approved"), keys["Ana"])


def alone(place: Path, how: How) -> dict[str, float]:
    """The model's own time; on a GPU the longer of the time to copy its rows there, and of the time to compute."""
    script = BARE if how.device == "cpu" else BARE_CUDA
    ran = subprocess.run(
        [sys.executable, "-c", script, "model.pt2", "rows", str(how.batch_rows), "answers.npy"],
        cwd=place, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def command(place: Path, rows: str, output: str, how: How) -> list[str]:
    import pyarrow.parquet

    group_rows = pyarrow.parquet.read_metadata(place / "rows/0.parquet").row_group(0).num_rows
    return [
        sys.executable, "-m", "nbproof", "score", "model.pt2", rows, output, "--features", ",".join(FEATURES), "--keep",
        "id", "--device", how.device, "--batch-rows", str(how.batch_rows), "--part-rows",
        str(group_rows * GROUPS // PARTS), "--json",
    ]  # fmt: skip


def scored(place: Path, rows: str, output: str, how: How) -> dict[str, Any]:
    """The command, with what it took of time, processors and memory."""
    shutil.rmtree(place / output, ignore_errors=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        command(place, rows, output, how), cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - began
    if process.returncode:
        assert process.stderr is not None
        raise SystemExit(process.stderr.read().decode())
    return {
        "rows": json.loads(said)["rows"], "wall_s": took, "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
    }  # fmt: skip


def apart(place: Path) -> float:
    """By how much the scores differ from the model's own answers at most; their ids must stand in order."""
    import numpy as np
    import pyarrow.parquet

    parts = [pyarrow.parquet.read_table(path) for path in sorted((place / "scores").glob("part-*.parquet"))]
    found = np.concatenate([part["prediction"].to_numpy() for part in parts])
    ids = np.concatenate([part["id"].to_numpy() for part in parts])
    expected = np.load(place / "answers.npy")
    assert (ids == np.arange(len(expected))).all()
    return float(np.abs(found - expected).max())


def keep(place: Path, output: str, name: str) -> None:
    shutil.rmtree(place / name, ignore_errors=True)
    (place / output).rename(place / name)


def kill(place: Path, kills: int, how: How, started_s: float, took_s: float) -> dict[str, Any]:
    """Kill the command at random moments of the time that it takes; let it end, and compare with an undisturbed run."""
    chance = random.Random(0)
    before = []
    for _ in range(kills):
        process = subprocess.Popen(
            command(place, "rows", "scores", how), cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # Each try goes on where the last one ended, so each gets its share of the work, and what it takes to start.
        time.sleep(0.7 * started_s + chance.uniform(0.0, 1.2 * (took_s - started_s) / kills))
        process.send_signal(signal.SIGKILL)
        process.wait()
        before.append(len(list((place / "scores.unfinished").glob("part-*.json"))))
        if (place / "scores").exists():
            break
    ended = scored_again(place, how)
    same = hashes(place / "scores") == hashes(place / "undisturbed")
    return {"parts_complete_after_each": before, "kept_parts": ended["kept_parts"], "parts": ended["parts"],
            "same_bytes": same}  # fmt: skip


def scored_again(place: Path, how: How) -> dict[str, Any]:
    ran = subprocess.run(command(place, "rows", "scores", how), cwd=place, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


if __name__ == "__main__":
    main()
