"""One task of a pipeline run alone, as an engine's own scheduler runs each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workspace

SIDES = """\
tasks:
  - source: make.py
    product: {nb: build/make/make.ipynb, data: build/make/data.txt}
  - source: left.py
    product: {nb: build/left/left.ipynb}
  - source: right.py
    product: {nb: build/right/right.ipynb}
"""
# Each waits until the other has begun: neither ends unless both run at once.
SIDE = """\
# %% tags=["parameters"]
upstream = {{"make": {{"data": "build/make/data.txt"}}}}
product = None

# %%
import time
from pathlib import Path
Path("begun-{this}").touch()
deadline = time.monotonic() + 100
while not Path("begun-{other}").exists():
    assert time.monotonic() < deadline
    time.sleep(0.05)
"""


def test_what_it_reads_must_be_fresh(tiny: Workspace) -> None:
    """Else it is refused, and says why; nothing runs."""
    refused = tiny.run("--only", "use", expect=3)

    assert refused.stderr.startswith("error: `use` would read products that are not fresh (make: it has not run yet)")
    assert "hint: run what comes before it, too: nbproof run --task use" in refused.stderr
    assert tiny.ran() == []


def test_one_after_another_they_make_the_whole(tiny: Workspace) -> None:
    """In their order; then everything is fresh, and each that is asked for again does nothing."""
    for task in ("make", "use", "tell"):
        tiny.run("--only", task)

    assert tiny.ran() == ["make", "use", "tell"]
    assert {found.state for found in tiny.plan().values()} == {"fresh"}
    tiny.run("--only", "tell")
    tiny.run("--only", "make", "--force")
    assert tiny.ran() == ["make"]


def test_two_of_them_run_at_once(tiny: Workspace) -> None:
    """Neither waits for the other, nor ends what belongs to it; a whole run meanwhile is refused."""
    tiny.write("pipeline.yaml", SIDES)
    tiny.write("left.py", SIDE.format(this="left", other="right"))
    tiny.write("right.py", SIDE.format(this="right", other="left"))
    tiny.run("--only", "make")
    command = [Path(sys.executable).parent / "nbproof", "run", "--only"]
    left = subprocess.Popen([*command, "left"], cwd=tiny.root, stdout=subprocess.DEVNULL)
    while not (tiny.root / "begun-left").exists():
        assert left.poll() is None

    tiny.run(expect=3)
    tiny.run("--only", "left", expect=3)
    tiny.run("--only", "right")

    assert left.wait(100) == 0
    assert {found.state for found in tiny.plan().values()} == {"fresh"}
