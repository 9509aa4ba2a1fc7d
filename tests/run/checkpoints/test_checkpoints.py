"""Long notebooks that stop: what is kept at a checkpoint, when it is used again, and when it is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from nbproof import assemble
from nbproof.assemble import RunReport
from nbproof.errors import CheckpointRefused
from nbproof.records import Event, TaskStarted
from nbproof.run.checkpoints.in_worker import kernel_source
from nbproof.run.checkpoints.values import Unstorable, Writer

if TYPE_CHECKING:
    from conftest import Workspace

LONG = """\
# %% tags=["parameters"]
upstream = None
product = {"data": ""}
rows: int = 3

# %%
import random
from pathlib import Path

def note(word):
    with open(word + ".log", "a") as log:
        log.write(word + "\\n")

# %% tags=["checkpoint"]
note("above")
values = [random.random() for _ in range(rows)]
alias = values
print("above", values[0])
Path(product["data"]).write_text("above\\n")

# %%
note("below")
alias.append(random.random())
if Path("fail").exists():
    raise RuntimeError("asked to")
while Path("wait").exists():
    Path("waiting").touch()
with open(product["data"], "a") as file:
    file.write(f"{len(values)} {values[-1]}\\n")
print("below", len(values))
"""
PIPELINE = """\
tasks:
  - source: long.py
    product: {nb: build/long.ipynb, data: build/data.txt}
"""
PATIENCE_S = 60.0


@pytest.fixture
def long(workspace: Workspace) -> Workspace:
    """A notebook of one checkpoint, that fails below it as long as the file `fail` is there."""
    workspace.write("long.py", LONG)
    workspace.write("pipeline.yaml", PIPELINE)
    workspace.write("fail", "")
    return workspace


def run(workspace: Workspace, *parameters: str, resume: bool = False) -> tuple[RunReport, list[str]]:
    """Run as `nbproof run` or `nbproof runs resume` does; return also why each attempt was made."""
    reasons: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, TaskStarted):
            reasons.append(event.reason)

    project = assemble.open_project(workspace.root)
    loaded = assemble.load_pipeline(project, workspace.root / "pipeline.yaml", parameters)
    return assemble.run(project, loaded, resume=resume, listeners=[listen]), reasons


def ran(workspace: Workspace) -> list[str]:
    """The cells that have run since the last time this was asked; what they wrote stays as it is."""
    seen = workspace.root / "seen.json"
    before = json.loads(seen.read_text()) if seen.exists() else {}
    logs = {word: workspace.root / f"{word}.log" for word in ("above", "below")}
    now = {word: len(log.read_text().split()) if log.exists() else 0 for word, log in logs.items()}
    seen.write_text(json.dumps(now))
    return [word for word in now for _ in range(now[word] - before.get(word, 0))]


def stopped(workspace: Workspace) -> str:
    """Run until the cell below the checkpoint fails; return the run's id."""
    report, _ = run(workspace)
    assert report.outcome == "failed"
    assert ran(workspace) == ["above", "below"]
    (workspace.root / "fail").unlink()
    return report.run_id


def checkpoints(workspace: Workspace) -> list[Path]:
    return sorted(workspace.root.glob(".nbproof/checkpoints/pipeline.yaml/*/[!.]*"))


def executed(workspace: Workspace) -> Any:
    return json.loads((workspace.root / "build/long.ipynb").read_text())


def printed(notebook: Any) -> str:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell["outputs"])


def test_a_resumed_notebook_is_whole(long: Workspace) -> None:
    """Cells above the checkpoint do not run again; their outputs, products and values are there."""
    first = stopped(long)
    (kept,) = checkpoints(long)
    assert [path.stat().st_mode & 0o777 for path in (kept, kept.parent)] == [0o700, 0o700]

    report, (reason,) = run(long, resume=True)

    assert report.outcome == "done"
    assert ran(long) == ["below"]
    assert reason == f"it has not run yet; goes on after cell 3, from the checkpoint of run {first}"
    notebook = executed(long)
    assert printed(notebook).split()[::2] == ["above", "below"]
    assert printed(notebook).split()[-1] == "4"
    assert (long.root / "build/data.txt").read_text().split()[:2] == ["above", "4"]
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == [1, 2, 3, 4, 5]
    assert notebook["metadata"]["nbproof"]["restored"] == {
        "run": first,
        "cells": ["cell-1", "injected-parameters", "cell-2", "cell-3"],
    }
    assert checkpoints(long) == []
    assert long.plan()["long"].is_fresh


def test_a_resumed_notebook_draws_the_numbers_that_it_would_have_drawn(long: Workspace) -> None:
    """The random state goes on where it was: a resumed run and one that never stopped make the same bytes."""
    long.edit("long.py", "import random\n", "import random\nrandom.seed(7)\n")
    (long.root / "fail").unlink()
    run(long, "rows=2")
    run(long)
    whole = (long.root / "build/data.txt").read_bytes()
    ran(long)
    long.write("fail", "")
    long.edit("long.py", "asked to", "asked for")
    stopped(long)

    run(long, resume=True)

    assert ran(long) == ["below"]
    assert (long.root / "build/data.txt").read_bytes() == whole


def test_what_changed_below_does_not_matter(long: Workspace) -> None:
    """Code below the checkpoint is what one mends; a comment above it changes nothing."""
    stopped(long)
    long.edit("long.py", 'print("below", len(values))', 'print("mended", len(values))')
    long.edit("long.py", 'note("above")', '# a remark\nnote("above")')

    report, _ = run(long, resume=True)

    assert report.outcome == "done"
    assert ran(long) == ["below"]
    assert "mended 4" in printed(executed(long))
    assert "# a remark" in str(executed(long))


CHANGES: dict[str, tuple[Callable[[Workspace], object], str]] = {
    "code above": (
        lambda w: w.edit("long.py", "range(rows)", "range(rows + 1)"),
        "above the checkpoint code cell 3 changed",
    ),
    "a name that is read below": (
        lambda w: w.edit("long.py", 'print("below", len(values))', 'print("below", len(values), rows)'),
        "the cells below the checkpoint now read `rows`, which it does not hold",
    ),
    "a file of the checkpoint cut short": (
        lambda w: os.truncate(checkpoints(w)[0] / "values/values.json", 20),
        "the file `values/values.json` of the checkpoint is not what was stored",
    ),
    "a file of the checkpoint gone": (
        lambda w: (checkpoints(w)[0] / "staged/0/data.txt").unlink(),
        "the file `staged/0/data.txt` of the checkpoint is missing",
    ),
    "its manifest cut short": (lambda w: os.truncate(checkpoints(w)[0] / "manifest.json", 20), "cannot be read"),
    "a file that was written above": (
        lambda w: w.write("above.log", "other\n"),
        "`above.log`, which cells above the checkpoint wrote",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_what_changed_above_runs_from_the_start(
    long: Workspace, change: Callable[[Workspace], object], reason: str
) -> None:
    """A checkpoint that no longer holds is not used, and the reason says what changed."""
    stopped(long)

    change(long)
    report, (told,) = run(long, resume=True)

    assert report.outcome == "done"
    assert "; runs from its start: " in told
    assert reason in told.replace(f"{long.root}/", "")
    assert ran(long) == ["above", "below"]


def test_another_parameter_runs_from_the_start(long: Workspace) -> None:
    """The values at the checkpoint were made with the parameters as they were."""
    stopped(long)

    report, (told,) = run(long, "rows=5", resume=True)

    assert told.endswith("runs from its start: above the checkpoint parameter `rows` changed from 3 to 5")
    assert "below 6" in printed(executed(long))
    assert report.outcome == "done"


def test_another_upstream_runs_from_the_start(long: Workspace) -> None:
    """So does what the notebook reads from another one."""
    long.write("make.py", '# %% tags=["parameters"]\nupstream = None\nproduct = {"data": ""}\nseed: int = 1\n\n# %%\n'
                          'with open(product["data"], "w") as file:\n    file.write(str(seed))\n')  # fmt: skip
    long.edit("long.py", "upstream = None", 'upstream = {"make": {"data": ""}}')
    long.write(
        "pipeline.yaml", PIPELINE + "  - source: make.py\n    product: {nb: build/make.ipynb, data: build/made.txt}\n"
    )
    stopped(long)

    report, told = run(long, "make.seed=2", resume=True)

    assert told[-1].endswith("runs from its start: above the checkpoint upstream product `make.data` changed")
    assert report.outcome == "done"


def test_a_plain_run_starts_over_and_says_what_there_is(long: Workspace) -> None:
    """Only `resume` resumes."""
    stopped(long)

    _, (told,) = run(long)

    assert told == "it has not run yet; from its start (to use its checkpoint: nbproof runs resume)"
    assert ran(long) == ["above", "below"]


def test_a_retry_goes_on(long: Workspace) -> None:
    """A second attempt of the same run uses what the first one kept."""
    long.write("pipeline.yaml", PIPELINE + "executor:\n  dotted_path: nbproof.run.executor.TaskExecutor\n"
                                           "  limits: {long: {retries: 1, backoff_s: 0}}\n")  # fmt: skip

    report, told = run(long)

    assert told[1] == f"attempt 2; goes on after cell 3, from the checkpoint of run {report.run_id}"
    assert ran(long) == ["above", "below", "below"]


def test_a_module_that_remembers_makes_it_run_from_the_start(long: Workspace) -> None:
    """State that only a module holds cannot be restored; the kernel finds out, and the result is right all the same."""
    long.write("counter.py", "calls = 0\n\ndef count():\n    global calls\n    calls += 1\n    return calls\n")
    long.edit("long.py", "import random\n", "import random\nimport counter\n")
    long.edit("long.py", 'note("above")', 'note("above")\nfirst: int = counter.count()')
    long.edit("long.py", 'print("below"', 'print("counted", counter.count())\nprint("below"')
    stopped(long)

    report, _ = run(long, resume=True)

    (task,) = report.finished
    assert task.reason == "ran from its start: after its checkpoint the module `counter` would not be what it was"
    assert ran(long) == ["above", "below"]
    assert "counted 2" in printed(executed(long))
    assert "restored" not in str(executed(long)["metadata"])


MANY = """\
# %% tags=["parameters"]
upstream = None
product = {"data": "", "plot": ""}
rows: int = 30

# %%
%matplotlib inline
import warnings
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from nbproof import track
import helper
warnings.filterwarnings("ignore")
pd.set_option("display.max_rows", 20)
plt.rcParams["figure.dpi"] = 40
torch.manual_seed(1)

# %%
rng = np.random.default_rng(0)
frame: pd.DataFrame = helper.prepare(pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)}))
frame.plot()
plt.show()
track.metrics(mean=float(frame["a"].mean()))

# %% tags=["checkpoint"]
model = RandomForestRegressor(5, random_state=0).fit(frame[["a", "b"]], frame["z"])
weights = torch.zeros(3, requires_grad=False)
loss: float = float(((frame["z"] - model.predict(frame[["a", "b"]])) ** 2).mean())
frame.to_csv(product["data"])
frame.describe()

# %%
from pathlib import Path
if Path("fail").exists():
    raise RuntimeError("asked to")
print(loss.hex(), model.predict(frame[["a", "b"]]).sum().hex(), torch.rand(2), rng.random(), weights)
fig, ax = plt.subplots()
ax.plot(frame["a"])
fig.savefig(product["plot"])
track.metrics(loss=loss)
"""
HELPER = """\
import logging

LIMIT = 3
log = logging.getLogger(__name__)


def prepare(frame):
    return frame.assign(z=frame["a"] * LIMIT)
"""


@pytest.mark.slow
def test_a_notebook_of_many_libraries(workspace: Workspace) -> None:
    """In a real kernel with plots, a forest, tensors and a local module, a resumed run says what a whole one says."""
    workspace.write("long.py", MANY)
    workspace.write("helper.py", HELPER)
    workspace.write("pipeline.yaml", PIPELINE.replace("data.txt}", "data.csv, plot: build/plot.png}"))
    workspace.write("fail", "")
    assert run(workspace)[0].outcome == "failed"
    (workspace.root / "fail").unlink()

    report, (reason,) = run(workspace, resume=True)

    (task,) = report.finished
    assert "goes on after cell 4" in reason
    assert (task.outcome, task.reason) == ("done", "")
    assert [sorted(entry.values) for entry in task.logged] == [["mean"], ["loss"]]
    resumed, made = printed(executed(workspace)), workspace.products()
    (workspace.root / "build/long.ipynb").unlink()
    assert run(workspace)[0].outcome == "done"
    assert printed(executed(workspace)) == resumed
    assert workspace.products() == made


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"waited in vain for {path}"
        time.sleep(0.05)


def process_of(root: Path, word: str) -> psutil.Process:
    for process in psutil.process_iter():
        try:
            if word in " ".join(process.cmdline()) and Path(process.cwd()) == root:
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process {word}")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["ipykernel_launcher", "nbproof.run.worker", "nbproof run"])
def test_a_kill_after_the_checkpoint(long: Workspace, victim: str) -> None:
    """Whoever is killed, the kernel, the worker or the runner: what was kept is there, and is used."""
    (long.root / "fail").unlink()
    long.write("wait", "")
    begun = subprocess.Popen(
        [Path(sys.executable).parent / "nbproof", "run", "pipeline.yaml"],
        cwd=long.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(long.root / "waiting")
    target = begun if victim == "nbproof run" else process_of(long.root, victim)
    os.kill(target.pid, signal.SIGKILL)
    begun.wait(PATIENCE_S)
    (long.root / "wait").unlink()
    ran(long)

    report, (told,) = run(long, resume=True)

    assert report.outcome == "done"
    assert "goes on after cell 3" in told
    assert ran(long) == ["below"]
    assert (long.root / "build/data.txt").read_text().split()[:2] == ["above", "4"]


def test_the_command_resumes_and_refuses(long: Workspace) -> None:
    """`nbproof runs resume` goes on; a checkpoint that cannot be is refused with exit 2 before anything runs."""
    stopped(long)

    answer = long.nbproof("runs", "resume")
    assert "goes on after cell 3" in answer.stderr + answer.stdout
    ran(long)

    long.edit("long.py", "alias = values", "alias = exec('values')")
    answer = long.run(expect=2)
    assert "cell 3, line 3: found `exec`, which names what only the running code knows" in answer.stderr
    assert "hint: " in answer.stderr
    assert ran(long) == []


def test_a_notebook_with_a_secret_has_no_checkpoint(long: Workspace) -> None:
    """What a secret went into is not known for certain, so nothing is stored."""
    long.edit(
        "long.py",
        "rows: int = 3",
        'rows: int = 3\nfrom nbproof.notebook.secrets import Secret\ntoken: Secret = "env:TOKEN"',
    )

    with pytest.raises(CheckpointRefused, match="a checkpoint in a notebook with the secret `token`"):
        run(long)


def test_a_value_that_is_not_what_was_planned(long: Workspace) -> None:
    """The task fails at the checkpoint, and names the value and what it is."""
    long.edit("long.py", "alias = values", "class Own:\n    pass\nalias = [Own()]")

    report, _ = run(long)

    (task,) = report.finished
    assert task.reason == (
        "its checkpoint cannot be stored: `alias`: a __main__.Own cannot be kept in a typed file; "
        "expected plain values, arrays, frames or estimators"
    )
    assert checkpoints(long) == []
    assert ran(long) == ["above"]


def test_the_kernel_needs_no_nbproof(tmp_path: Path) -> None:
    """What is sent to a kernel runs where nbproof is not installed, and imports none of the large libraries."""
    request = {"do": "begin", "own": [], "project": str(tmp_path), "answer": str(tmp_path / "answer.json")}
    code = (
        "import sys\nsys.modules['nbproof'] = None\n"
        f"exec({kernel_source()!r}, {{'request': {request!r}, 'shell': None}})\n"
        "assert not {'numpy', 'pandas', 'torch', 'sklearn', 'skops', 'pyarrow'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    assert json.loads((tmp_path / "answer.json").read_text()) == {}


def test_an_estimator_needs_skops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that the kernel's environment lacks is named."""
    from sklearn.linear_model import LinearRegression

    monkeypatch.setitem(sys.modules, "skops.io", None)

    with pytest.raises(Unstorable, match="pip install skops"):
        Writer(tmp_path).encode(LinearRegression())
