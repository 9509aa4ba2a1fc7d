"""The same pipeline.yaml serves `nbproof run`, `ploomber build` with our executor, and Ploomber without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbproof.errors import SettingsInvalid
from nbproof.records import Limits

if TYPE_CHECKING:
    from conftest import Workspace

EXECUTOR = """\
executor:
  dotted_path: nbproof.run.executor.TaskExecutor
  workers: 2
  limits:
    make: {timeout_s: 300, retries: 1}
"""
PRODUCTS = {
    "build/make/data.txt": b"one line\none line\none line\n",
    "build/use/count.txt": b"3",
    "build/tell/text.txt": b"there are 3 lines",
}


def ploomber_build(workspace: Workspace, tmp_path: Path, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `ploomber build` as its own users do."""
    answer = subprocess.run(
        [Path(sys.executable).parent / "ploomber", "build"],
        cwd=workspace.root,
        env={**os.environ, "HOME": str(tmp_path), "PLOOMBER_STATS_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == expect, answer.stdout + answer.stderr
    return answer


@pytest.mark.slow
def test_ploomber_build_with_our_executor(tiny: Workspace, tmp_path: Path) -> None:
    """Ploomber's own command builds through it; what it built is fresh for both commands."""
    tiny.edit("pipeline.yaml", "tasks:", f"{EXECUTOR}tasks:")

    ploomber_build(tiny, tmp_path)
    assert tiny.ran() == ["make", "use", "tell"]
    assert tiny.products() == PRODUCTS

    ploomber_build(tiny, tmp_path)
    assert tiny.ran() == []
    assert tiny.build().outcome == "done"
    assert tiny.ran() == []

    tiny.edit("helper.py", "one line", "another line")
    ploomber_build(tiny, tmp_path)
    assert tiny.ran() == ["make", "use"]


@pytest.mark.slow
def test_ploomber_build_says_which_task_failed(tiny: Workspace, tmp_path: Path) -> None:
    """Through Ploomber's command a failed task is a failed build, too."""
    tiny.edit("pipeline.yaml", "tasks:", f"{EXECUTOR.replace('retries: 1', 'retries: 0')}tasks:")
    tiny.edit("use.py", "lines = len", "raise ValueError('no lines')\n    lines = len")

    answer = ploomber_build(tiny, tmp_path, expect=1)

    assert "ValueError: no lines" in answer.stdout + answer.stderr
    assert tiny.ran() == ["make", "use"]
    assert not (tiny.root / "build/tell/tell.ipynb").exists()


@pytest.mark.slow
def test_ploomber_build_without_our_executor(tiny: Workspace, tmp_path: Path) -> None:
    """A pipeline for nbproof needs nothing of nbproof to be built."""
    ploomber_build(tiny, tmp_path)

    assert tiny.ran() == ["make", "use", "tell"]
    assert {path: content for path, content in tiny.products().items() if ".metadata" not in path} == PRODUCTS


HOOKS = """\
from pathlib import Path


def check(product):
    assert Path("good").exists(), "the lines are not good"
"""


@pytest.mark.slow
def test_a_hook_that_raises_fails_its_task(tiny: Workspace) -> None:
    """`on_finish` may refuse what was made; the task then runs again the next time."""
    tiny.write("hooks.py", HOOKS)
    tiny.edit("pipeline.yaml", "data: build/make/data.txt}", "data: build/make/data.txt}\n    on_finish: hooks.check")

    answer = tiny.run(expect=1)

    assert "its on_finish hook refused: AssertionError: the lines are not good\n" in answer.stderr
    assert "error: failed: make; not started: use, tell" in answer.stderr
    assert tiny.ran() == ["make"]

    tiny.write("good", "")
    tiny.run()
    assert tiny.ran() == ["make", "use", "tell"]

    # A gate that became stricter has not been passed by what is there.
    tiny.edit("hooks.py", "def check", "LIMIT = 1\n\n\ndef check")
    assert tiny.plan()["make"].reasons == ("`hooks.py`, which it imports, changed",)


@pytest.mark.slow
def test_a_failure_is_told_to_its_hook(tiny: Workspace) -> None:
    """`on_failure` runs in the folder of the pipeline, whatever folder the runner was started in."""
    tiny.write("sub/hooks.py", "def alarm():\n    open('alarmed', 'w').close()\n")
    tiny.write("sub/bad.py", '# %% tags=["parameters"]\nupstream = None\nproduct = None\n\n# %%\n1 / 0\n')
    tiny.write("sub/pipeline.yaml", "tasks:\n  - source: bad.py\n    product: bad.ipynb\n    on_failure: hooks.alarm\n")

    answer = tiny.nbproof("run", "sub", expect=1)

    assert "failed  bad in " in answer.stderr
    assert "ZeroDivisionError: division by zero" in answer.stderr
    assert (tiny.root / "sub/alarmed").exists()


FIT = """\
# %% tags=["parameters"]
upstream = None
product = {"score": ""}
seed: int = 0
depth: int = 1

# %%
with open(product["score"], "w") as file:
    file.write(f"seed {seed} depth {depth}")
with open("ran.log", "a") as log:
    log.write(f"fit-{seed}-{depth}\\n")
"""
GRID = """\
tasks:
  - source: fit.py
    name: fit-[[seed]]-[[depth]]
    product:
      nb: build/fit-[[seed]]-[[depth]].ipynb
      score: build/fit-[[seed]]-[[depth]].txt
    grid:
      seed: [1, 2]
      depth: [5, 6]
"""


@pytest.mark.slow
def test_a_grid_is_one_task_for_each_point(workspace: Workspace) -> None:
    """Each point of a grid has its parameters, its products and its own freshness."""
    workspace.write("fit.py", FIT)
    workspace.write("pipeline.yaml", GRID)

    assert workspace.build().outcome == "done"
    assert sorted(workspace.ran()) == ["fit-1-5", "fit-1-6", "fit-2-5", "fit-2-6"]
    # Ploomber numbers the products of a grid.
    assert workspace.products() == {
        "build/fit-1-5-0.txt": b"seed 1 depth 5",
        "build/fit-1-6-1.txt": b"seed 1 depth 6",
        "build/fit-2-5-2.txt": b"seed 2 depth 5",
        "build/fit-2-6-3.txt": b"seed 2 depth 6",
    }

    workspace.edit("pipeline.yaml", "seed: [1, 2]", "seed: [1, 3]")
    assert workspace.build().outcome == "done"
    assert sorted(workspace.ran()) == ["fit-3-5", "fit-3-6"]


@pytest.mark.slow
def test_placeholders_are_filled_from_env_yaml(tiny: Workspace) -> None:
    """`env.yaml` beside the pipeline fills paths and parameters; a changed value is a changed parameter."""
    tiny.write(
        "pipeline.yaml",
        "tasks:\n  - source: make.py\n    product: {nb: '{{out}}/make.ipynb', data: '{{out}}/data.txt'}\n"
        "    params: {rows: '{{rows}}'}\n",
    )
    tiny.write("env.yaml", "out: build/here\nrows: 2\n")

    assert tiny.build().outcome == "done"
    assert tiny.products() == {"build/here/data.txt": b"one line\none line\n"}

    tiny.write("env.yaml", "out: build/here\nrows: 1\n")
    verdict = tiny.plan()["make"]
    assert (verdict.state, verdict.reasons) == ("stale", ("parameter `rows` changed from 2 to 1",))


@pytest.mark.slow
def test_the_executed_notebook_as_a_page(tiny: Workspace) -> None:
    """Where the pipeline asks for HTML, the executed notebook is a page, and the next run finds it fresh."""
    tiny.write("pipeline.yaml", "tasks:\n  - source: page.py\n    product: build/page.html\n")
    tiny.write("page.py", '# %% tags=["parameters"]\nupstream = None\nproduct = None\n\n# %%\nprint(40 + 2, product)\n')

    assert tiny.build().outcome == "done"

    page = (tiny.root / "build/page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<pre>42 " in page
    assert [path.name for path in (tiny.root / "build").iterdir()] == ["page.html"]
    assert tiny.plan()["page"].is_fresh


@pytest.mark.slow
def test_the_executed_notebook_names_its_products_as_they_are_called(tiny: Workspace) -> None:
    """Products are written elsewhere first; who reads the executed notebook need not know."""
    tiny.write(
        "pipeline.yaml",
        "tasks:\n  - source: make.py\n    product: {nb: build/make.ipynb, data: build/data.txt}\n",
    )

    assert tiny.build().outcome == "done"

    text = (tiny.root / "build/make.ipynb").read_text(encoding="utf-8")
    injected = next(
        cell for cell in json.loads(text)["cells"] if "injected-parameters" in cell["metadata"].get("tags", ())
    )
    assert "product = {'nb': 'build/make.ipynb', 'data': 'build/data.txt'}" in "".join(injected["source"])
    assert ".nbproof-" not in text


def test_limits_are_checked_when_the_executor_is_made() -> None:
    """A limit that nobody knows, or that means nothing, is refused with its place."""
    with warnings.catch_warnings():
        # Ploomber's own, at its import.
        warnings.simplefilter("ignore")
        from nbproof.run.executor import TaskExecutor

    assert TaskExecutor(workers=2, limits={"fit": {"retries": 2}}).limits == {"fit": Limits(retries=2)}
    with pytest.raises(SettingsInvalid, match=r"executor\.limits\.fit: found `tries`, expected timeout_s, retries"):
        TaskExecutor(limits={"fit": {"tries": 2}})
    with pytest.raises(SettingsInvalid, match=r"found `gpus`, expected .*; resources stand below executor\.resources"):
        TaskExecutor(limits={"fit": {"gpus": 1}})
    with pytest.raises(SettingsInvalid, match=r"executor\.limits\.fit: found timeout_s must be above 0"):
        TaskExecutor(limits={"fit": {"timeout_s": 0}})
    with pytest.raises(SettingsInvalid, match=r"executor\.workers: found 0"):
        TaskExecutor(workers=0)
