"""The job of a task, where it runs: begun as an engine begins it, with no engine there."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nbproof.assemble import load_pipeline, open_project
from nbproof.errors import UpstreamStale
from nbproof.records import LoggedEntry, TaskFinished, TaskStarted
from nbproof.run.remote.events import Ended, Reading, TaskEvent, decode, encode
from nbproof.run.remote.node import see_upstream
from nbproof.run.remote.order import Order, order_of
from nbproof.run.remote.place import Place, place_of, unfinished
from nbproof.run.state import State, state_of

if TYPE_CHECKING:
    from conftest import Workspace

# It waits as long as a file is there, and says who wrote its product: the start that it is, by its staging folder.
HELD = """\
# %% tags=["parameters"]
upstream = None
product = {"data": "build/make/data.txt"}

# %%
import time
from pathlib import Path
with open("ran.log", "a") as log:
    log.write("make\\n")
first = Path("ran.log").read_text().count("make") == 1
while first and Path("hold").exists():
    time.sleep(0.05)
Path(product["data"]).write_text("first" if first else "second")
"""
LONGEST_S = 100


def placed(workspace: Workspace, *tasks: str, force: bool = False) -> tuple[Place, State]:
    """The orders of some tasks, as a run that submits them writes them."""
    project = open_project(workspace.root)
    loaded = load_pipeline(project, workspace.root / "pipeline.yaml")
    place = place_of(state_of(loaded.pipeline), "20260301-0930")
    state_of(loaded.pipeline).root.mkdir(exist_ok=True)
    orders = {
        name: order_of(loaded, loaded.pipeline.task(name), run_id=place.run_id, is_forced=force) for name in tasks
    }
    place.begin("slurm", orders)
    return place, state_of(loaded.pipeline)


def begun(place: Place, task: str) -> subprocess.Popen[bytes]:
    """A start of a task, as an engine begins it."""
    command = [sys.executable, "-m", "nbproof.run.remote.node", str(place.folder), task]
    with place.said(task).open("ab") as log:
        folder = place.order(task).pipeline.folder
        return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def said(place: Place, task: str) -> list[TaskEvent | Ended]:
    return [event for path in place.starts(task) for event in Reading(path).more()]


def outcomes(place: Place, task: str) -> list[str]:
    return [event.outcome for event in said(place, task) if isinstance(event, TaskFinished | Ended)]


@pytest.fixture
def held(workspace: Workspace) -> Iterator[Workspace]:
    """A pipeline of one task, which waits the first time that it runs."""
    workspace.write("make.py", HELD)
    workspace.write(
        "pipeline.yaml", "tasks:\n- {source: make.py, product: {nb: build/make/m.ipynb, data: build/make/data.txt}}\n"
    )
    workspace.write("hold", "")
    yield workspace
    (workspace.root / "hold").unlink(missing_ok=True)


def until_ran(workspace: Workspace, times: int) -> None:
    log, end = workspace.root / "ran.log", time.monotonic() + LONGEST_S
    while not (log.exists() and log.read_text().count("make") == times):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_does_what_a_build_does(tiny: Workspace) -> None:
    """The product is there with its record, so a build here finds the task fresh; a second start does nothing."""
    place, _ = placed(tiny, "make")
    for _ in range(2):
        job = begun(place, "make")
        assert job.wait(LONGEST_S) == 0, place.said("make").read_text()

    assert outcomes(place, "make") == ["done", "done"]
    assert tiny.ran() == ["make"]
    assert tiny.plan()["make"].is_fresh


def test_it_runs_the_notebook_as_it_was_submitted(tiny: Workspace) -> None:
    """An edit while it waits is for the next run."""
    place, _ = placed(tiny, "make")
    tiny.edit("make.py", "helper.line() * rows", "'edited'")

    assert begun(place, "make").wait(LONGEST_S) == 0

    assert tiny.products() == {"build/make/data.txt": b"one line\n" * 3}
    assert tiny.plan()["make"].reasons == ("code cell 3 changed",)


def test_a_start_that_was_taken_for_dead_publishes_nothing(held: Workspace) -> None:
    """The later one does, whichever ends first; of the earlier one no trace is left, and it counts as a try."""
    place, state = placed(held, "make")
    early = begun(place, "make")
    until_ran(held, 1)
    # On another machine nothing would end the early one; here its processes are those of the same task.
    later = place.start("make")
    (held.root / "hold").unlink()

    assert early.wait(LONGEST_S) == 1
    assert held.products() == {}
    assert not (state.root / "tasks" / state.pipeline / "make.json").exists()
    assert later.is_latest()
    reasons = [event.reason for event in said(place, "make") if isinstance(event, TaskFinished)]
    assert reasons == ["it was taken for dead and started again elsewhere; that one publishes"]


def test_a_start_that_was_killed_is_told_by_the_next_one(held: Workspace) -> None:
    """It counts as an attempt, not as one of the retries; what it left half written is gone."""
    place, _ = placed(held, "make")
    early = begun(place, "make")
    until_ran(held, 1)
    early.kill()
    early.wait()

    assert begun(place, "make").wait(LONGEST_S) == 0

    assert outcomes(place, "make") == ["failed", "done", "done"]
    attempts = [event.attempt for event in said(place, "make") if isinstance(event, TaskStarted)]
    assert attempts == [1, 2]
    assert held.products() == {"build/make/data.txt": b"second"}
    assert not list((held.root / "build/make").glob(".nbproof-*"))


def test_what_it_cannot_do_is_told_as_a_failure(tiny: Workspace) -> None:
    """In one line, as the end of the task; the whole of it is in what the job printed."""
    place, _ = placed(tiny, "make")
    (tiny.root / "build").write_text("no folder")

    assert begun(place, "make").wait(LONGEST_S) == 1

    assert "Traceback" in place.said("make").read_text()
    assert outcomes(place, "make") == ["failed", "failed"]
    assert place in unfinished(state_of(load_pipeline(open_project(tiny.root), tiny.root / "pipeline.yaml").pipeline))


def test_products_are_read_only_as_they_were_left(tiny: Workspace) -> None:
    """What a file system still shows of before, or somebody has changed, is waited for, and then refused."""
    tiny.run("--task", "make")
    place, state = placed(tiny, "use")
    loaded = place.order("use").loaded()
    task = loaded.pipeline.task("use")
    data = tiny.root / "build/make/data.txt"
    made = data.read_text()

    see_upstream(loaded, state, task, patience_s=0)
    data.write_text("old")
    threading.Timer(0.3, data.write_text, [made]).start()
    see_upstream(loaded, state, task, patience_s=LONGEST_S)
    data.unlink()
    with pytest.raises(UpstreamStale, match="make: product `data` is not what it left"):
        see_upstream(loaded, state, task, patience_s=0)


def test_hooks_of_the_project_are_called_where_it_runs(tiny: Workspace) -> None:
    """What `on_finish` refuses has failed, in its own words."""
    tiny.write("hooks.py", "def check(product):\n    raise ValueError('too few rows')\n")
    tiny.edit("pipeline.yaml", "- source: make.py\n", "- source: make.py\n    on_finish: hooks.check\n")
    place, _ = placed(tiny, "make")

    assert begun(place, "make").wait(LONGEST_S) == 1

    assert outcomes(place, "make") == ["failed", "failed"]
    (finished,) = [event for event in said(place, "make") if isinstance(event, TaskFinished)]
    assert finished.reason == "its on_finish hook refused: ValueError: too few rows"


def test_orders_survive_their_way_through_a_file(tiny: Workspace) -> None:
    """Two that ask for the same are known by it, whichever run they belong to."""
    place, _ = placed(tiny, "use")
    order = place.order("use")

    assert Order.from_json(order.to_json()) == order
    assert Order.from_json(order.to_json().replace(b"20260301-0930", b"another")).digest == order.digest
    tiny.edit("use.py", "ran.log", "other.log")
    loaded = load_pipeline(open_project(tiny.root), tiny.root / "pipeline.yaml")
    again = order_of(loaded, loaded.pipeline.task("use"), run_id=place.run_id, is_forced=False)
    assert again.digest != order.digest


def test_a_line_that_was_cut_short_waits_for_its_end(tmp_path: Path) -> None:
    """Nothing is told of it, nor is it lost."""
    entry = LoggedEntry("metrics", {"auc": 0.5})
    event = TaskFinished("r", 1.0, "t", "done", products={"nb": ("a", "b")}, logged=(entry,), reason="\ud83d half")
    line = encode(event)
    path = tmp_path / "t.1.jsonl"
    path.write_bytes(line[:-5])
    reading = Reading(path)

    assert list(reading.more()) == []
    with path.open("ab") as file:
        file.write(line[-5:])
    assert list(reading.more()) == [event]
    with pytest.raises(ValueError, match="not an event"):
        decode(b'{"kind": "Nothing"}')
