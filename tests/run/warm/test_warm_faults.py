"""Many at once, and kills at random: nothing hangs, nothing is left, and every failure has a name."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from nbproof.run.warm import pool

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
STARTER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from trial_kernels import kernel

async def one(number):
    async with kernel() as live:
        said = await live.run(f"print({number} * 2, end='')")
        return said.text, live.is_warm

async def all_of_them():
    return await asyncio.gather(*(one(number) for number in range(int(sys.argv[2]))))

for text, is_warm in asyncio.run(all_of_them()):
    print(text, is_warm)
"""
PROCESSES, KERNELS = 4, 25


def test_a_hundred_kernels_at_once() -> None:
    """Four processes start twenty-five each: no two clash at a port, all answer, all are warm, and none is left."""
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(HERE), str(KERNELS)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    lines = []
    for starter in starters:
        said, _ = starter.communicate(timeout=400)
        assert starter.returncode == 0
        lines += said.splitlines()

    texts, warm = zip(*(line.split() for line in lines), strict=True)
    assert sorted(map(int, texts)) == sorted(2 * number for number in range(KERNELS) for _ in range(PROCESSES))
    assert set(warm) == {"True"}
    assert len(lines) == PROCESSES * KERNELS
    deadline = time.monotonic() + 120
    while any(zygote["children"] for zygote in pool.zygotes()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


NOTEBOOK = """\
# %% tags=["parameters"]
upstream = None
product = {"data": "build/NAME.txt"}
seed: int = 0

# %%
import json, time
time.sleep(0.2)

# %%
with open(product["data"], "w") as file:
    file.write(f"NAME {seed} " * 1000)
"""
NAMES = tuple(f"task_{number}" for number in range(4))
DISTURBED_S = float(os.environ.get("DISTURBED_S") or 120)


@pytest.mark.timeout(900)
def test_kills_at_random_for_two_minutes(workspace: Workspace) -> None:
    """Zygotes, kernels, workers and runners die: each run completes or says why not, and then everything is as it was
    undisturbed."""
    for name in NAMES:
        workspace.write(f"{name}.py", NOTEBOOK.replace("NAME", name))
    tasks = "".join(
        f"  - source: {name}.py\n    product: {{nb: build/{name}.ipynb, data: build/{name}.txt}}\n" for name in NAMES
    )
    workspace.write("pipeline.yaml", f"tasks:\n{tasks}")
    chance, over = random.Random(7), threading.Event()
    killed: list[str] = []
    killer = threading.Thread(target=kill_at_random, args=(workspace.root, chance, over, killed))
    killer.start()
    try:
        outcomes = [disturbed_run(workspace, seed) for seed in seeds_for(DISTURBED_S)]
    finally:
        over.set()
        killer.join()

    assert len(killed) >= DISTURBED_S / 6
    assert set(killed) >= {"zygote", "kernel"}
    assert any(outcome == 0 for outcome in outcomes)
    last = len(outcomes) + 1
    workspace.run("-p", f"seed={last}", "--force")
    for name in NAMES:
        assert (workspace.root / f"build/{name}.txt").read_text() == f"{name} {last} " * 1000
    assert left_in(workspace.root) == []


def seeds_for(seconds: float) -> Iterator[int]:
    began, seed = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        seed += 1
        yield seed


def disturbed_run(workspace: Workspace, seed: int) -> int:
    answer = workspace.nbproof("run", "pipeline.yaml", "-p", f"seed={seed}", "--force", expect=None)
    said = answer.stdout + answer.stderr
    assert answer.returncode in (0, 1, -signal.SIGKILL), said
    assert "Traceback" not in said
    if answer.returncode == 1:
        # Each failure names its cause.
        failed = [line for line in answer.stderr.splitlines() if line.startswith("failed ")]
        assert failed
        for line in failed:
            assert any(word in line for word in ("kernel", "worker process", "signal", "zygote")), line
    for name in NAMES:
        product = workspace.root / f"build/{name}.txt"
        if product.exists():
            text = product.read_text()
            assert text in {f"{name} {number} " * 1000 for number in range(1, seed + 1)}, "half written"
    return answer.returncode


def kill_at_random(root: Path, chance: random.Random, over: threading.Event, killed: list[str]) -> None:
    while not over.wait(chance.uniform(0.5, 4)):
        found = victims(root)
        kinds = [kind for kind in ("zygote", "kernel", "worker", "runner") if found[kind]]
        if not kinds:
            continue
        kind = chance.choice(kinds)
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(found[kind]).kill()
            killed.append(kind)


def victims(root: Path) -> dict[str, list[psutil.Process]]:
    found: dict[str, list[psutil.Process]] = {"zygote": [], "kernel": [], "worker": [], "runner": []}
    for zygote in pool.zygotes():
        with contextlib.suppress(psutil.NoSuchProcess):
            found["zygote"].append(psutil.Process(zygote["pid"]))
    for process in left_in(root):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            for kind, word in (
                ("kernel", "ipykernel_launcher"),
                ("worker", "nbproof.run.worker"),
                ("runner", "bin/nbproof"),
            ):
                if word in command:
                    found[kind].append(process)
    return found


def left_in(root: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(root) and process.pid != os.getpid():
                found.append(process)
    return found
