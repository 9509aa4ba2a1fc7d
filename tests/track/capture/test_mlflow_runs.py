"""Runs of MLflow made in a recorded kernel: each says which cell made it, and the session names them all."""

from __future__ import annotations

import json
import os
import shutil
import time
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from nbproof.records import LoggedEntry
from nbproof.track import kept
from nbproof.track.capture.context import ExecutionContext

ROOT = Path(__file__).parents[3]
Start = Callable[..., Any]
QUIET = "import os\nos.environ['MLFLOW_DISABLE_TELEMETRY'] = 'true'\nimport mlflow\n"


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> str:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def tags_of(store: str) -> dict[str, dict[str, str]]:
    """The tags of ours on each run, by the name of the run."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=store)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return {
        str(run.info.run_name): {name: value for name, value in run.data.tags.items() if name.startswith("nbproof.")}
        for run in runs
    }


def test_each_run_says_which_cell_made_it(start: Start, store: str) -> None:
    """From the cell that imports MLflow on: one run in a cell, two, one in another, and none of a cell not logged."""
    kernel = start()
    kernel.inject()
    said = [
        kernel.run(
            f"{QUIET}mlflow.set_tracking_uri({store!r})\nwith mlflow.start_run(run_name='a'): pass", cellId="one"
        ),
        kernel.run(
            "with mlflow.start_run(run_name='b') as outer:\n"
            "    with mlflow.start_run(run_name='c', nested=True): pass\n"
            "with mlflow.start_run(run_name='d'): pass",
            cellId="two",
        ),
        kernel.run("with mlflow.start_run(run_name='e'): pass", cellId="three", tags=["nolog"]),
        kernel.run("x = 1", cellId="four"),
    ]

    executions = kernel.session.executions
    # The tags of the first may come a moment later: nbproof may not be among the packages that MLflow asks.
    deadline = time.monotonic() + 60
    while not (found := tags_of(store))["a"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [word for word in said if "Error" in word] == []
    assert found["e"] == {}
    assert {name: tags.get("nbproof.cell_id") for name, tags in found.items()} == {
        "a": "one", "b": "two", "c": "two", "d": "two", "e": None,
    }  # fmt: skip
    assert found["d"] == {
        "nbproof.session": kernel.place.session_id,
        "nbproof.exec_id": executions[1].exec_id,
        "nbproof.cell_id": "two",
        "nbproof.notebook": "a.ipynb",
        "nbproof.code_sha256": executions[1].code_sha256,
    }
    # Of a run within a run the kernel may not hear; its tags tell the courier.
    assert [len(execution.runs) for execution in executions] == [1, 2, 0, 0]


def test_without_a_recording_the_provider_says_nothing() -> None:
    """In a headless run, or in any other program, no run gets a tag of a cell."""
    provider = ExecutionContext()

    assert (provider.in_context(), provider.tags()) == (False, {})


def test_the_entry_point_leads_to_the_provider() -> None:
    """MLflow finds it by its name in the package's metadata."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    module, _, name = points["mlflow.run_context_provider"]["nbproof"].partition(":")

    assert getattr(import_module(module), name) is ExecutionContext


def test_what_a_notebook_logs_goes_to_its_session(start: Start, tmp_path: Path) -> None:
    """Metrics, parameters that change with a cell that is run again, and a figure, kept as it was."""
    kernel = start()
    kernel.inject()
    figure = tmp_path / "roc.svg"
    kernel.run("from nbproof import track\ntrack.metrics(auc=0.5)\ntrack.parameters(depth=4)", cellId="a")
    kernel.run("track.parameters(depth=5)", cellId="a")
    said = kernel.run(
        f"from pathlib import Path\nfigure = Path({str(figure)!r})\nfigure.write_text('<svg/>')\n"
        "track.artifact(figure)\nfigure.write_text('changed')\nwith track.child('tree') as run: run.tags(gate='open')",
        cellId="b",
    )

    session = kernel.session
    first, second, third = (execution.exec_id for execution in session.executions)
    entries = [(exec_id, entry.kind, dict(entry.values), entry.child) for exec_id, entry in session.logged]
    assert said == ""
    assert entries[:3] == [
        (first, "metrics", {"auc": 0.5}, None),
        (first, "parameters", {"depth": "4"}, None),
        (second, "parameters", {"depth": "5"}, None),
    ]
    assert entries[4] == (third, "tags", {"gate": "open"}, "tree")
    kept_copy = kept.folder(kernel.place.project) / entries[3][2]["sha256"]
    assert kept_copy.read_text() == "<svg/>"


def test_switched_off_nothing_is_logged_and_the_user_is_told(start: Start) -> None:
    """The call warns as it does wherever nothing is recorded."""
    kernel = start()
    kernel.inject("off")

    assert "UserWarning: no run is being recorded" in kernel.run("from nbproof import track\ntrack.metrics(auc=0.5)")
    assert not kernel.place.lines.exists()


def test_a_child_process_logs_for_the_cell_that_made_it(kernel: Any) -> None:
    """A forked worker writes what it is told to log, and nothing about cells."""
    kernel.run(
        "import os\nfrom nbproof import track\npid = os.fork()\n"
        "if pid == 0:\n    track.metrics(auc=0.5)\n    os._exit(0)\nos.waitpid(pid, 0)",
        cellId="a",
    )

    (execution,) = kernel.session.executions
    (entry,) = kernel.session.logged
    assert execution.outcome == "ok"
    assert (entry[0], entry[1].values) == (execution.exec_id, {"auc": 0.5})


def test_an_extension_records_where_no_server_does(start: Start, tmp_path: Path) -> None:
    """`%load_ext` in VS Code, say: from the next cell on, in the project of the notebook, and no more than once."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[tool.nbproof]\ntracking = false\nrecording = "full"\n')
    kernel = start(environment={**os.environ, "JPY_SESSION_NAME": str(folder / "b.ipynb")})
    first = kernel.run("%load_ext nbproof.track.recording")
    second = kernel.run("%reload_ext nbproof.track.recording", cellId="a")
    kernel.run("x = 1", cellId="b")

    (file,) = (folder / ".nbproof/sessions").glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert (first, second) == ("", "")
    assert (lines[0]["how"], lines[0]["notebook"], lines[0]["level"]) == ("extension", "b.ipynb", "full")
    # The cell that loads it has begun before, and ended after.
    assert [line["cell_id"] for line in lines if line["kind"] == "started"] == ["a", "b"]


def test_an_entry_that_is_logged_is_an_entry_that_is_read() -> None:
    """The two ends of a line agree on its form."""
    entry = LoggedEntry("metrics", {"auc": 0.5}, "tree", 3, 1.5)

    assert LoggedEntry.from_json(json.dumps(json.loads(entry.to_json()))) == entry
