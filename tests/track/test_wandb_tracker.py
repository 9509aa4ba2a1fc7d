"""Runs written for Weights & Biases: what its own records of them hold."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbproof.records import Event, RunStarted
from nbproof.track.journal import Journal
from nbproof.track.mirroring import mirror
from nbproof.track.wandb_file import missing, records
from nbproof.track.wandb_tracker import WandbTracker

Tell = Callable[..., list[Event]]
Write = Callable[[Path, list[Event]], Path]


def held(folder: Path) -> dict[str, Any]:
    """Name, group, configuration, history and exit code of a run, as they were written."""
    found: dict[str, Any] = {"config": {}, "history": []}
    for record in records(folder):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"name": record.run.display_name, "group": record.run.run_group, "id": record.run.run_id}
            found["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            found["history"].append({key: value for key, value in items.items() if key not in OWN})
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found


@pytest.fixture(autouse=True)
def _loops_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of kernels in an earlier test may have put another `run` there, which leaves its event loops open."""
    monkeypatch.setattr(asyncio, "run", asyncio.runners.run)


OWN = {"_timestamp", "_runtime", "_step"}


@pytest.fixture
def written(project: Path, tell: Tell, write: Write, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What is held of a run with a task that was tried twice, by name."""
    write(project, tell(project, "r1"))
    tracker = WandbTracker(tmp_path / "wandb", "credit")
    assert mirror(project, ["r1"], tracker) == ()
    runs = [held(folder) for folder in tracker.written]
    return {run["name"]: run for run in runs}


def test_each_attempt_and_each_child_is_a_run(written: dict[str, dict[str, Any]]) -> None:
    """They are one group; what was fresh or blocked did not run."""
    assert sorted(written) == [
        "training#1", "training#2", "training#2/gradient boosting's", "training#2/logistic",
    ]  # fmt: skip
    assert {run["group"] for run in written.values()} == {"r1"}
    assert written["training#1"]["exit"] == 1
    assert written["training#2"]["exit"] == 0


def test_it_holds_what_the_journal_holds(written: dict[str, dict[str, Any]]) -> None:
    """Parameters, metrics step by step, where the code and the environment came from, hashes of products."""
    run = written["training#2"]

    assert run["history"] == [{"auc": 0.9, "brier": 0.25}, {"loss": 0.75}, {"loss": 0.5}]
    assert run["config"]["parameters"] == {"depth": "5", "note": "x" * 9000, "solver": "lbfgs"}
    assert run["config"]["tags"] == {"gate": "passed"}
    assert run["config"]["git_commit"] == "c0ffee" * 6 + "beef"
    assert run["config"]["git_dirty"] is True
    assert run["config"]["products"] == {"nb": "1" * 64, "model": "2" * 64}
    assert run["config"]["outcome"] == "done"
    assert written["training#1"]["config"]["outcome"] == "failed: out of memory"
    assert written["training#2/logistic"]["history"] == [{"auc": 0.65}]


def test_written_again_it_is_what_is_there(project: Path, tell: Tell, write: Write, tmp_path: Path) -> None:
    """The second time makes nothing, and changes no byte."""
    write(project, tell(project, "r1"))
    folder = tmp_path / "wandb"
    mirror(project, ["r1"], WandbTracker(folder, "credit"))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    again = WandbTracker(folder, "credit")
    mirror(project, ["r1"], again)

    assert again.written == []
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
    assert sorted(path.name.rpartition("-")[0] for path in folder.iterdir()) == ["offline-run-r1"] * 4


def test_what_is_in_its_place_is_whole(project: Path, tell: Tell, write: Write, tmp_path: Path) -> None:
    """The client's own process writes the end of a run after the client took it for finished: it has ended by then."""
    write(project, tell(project, "r1"))
    before = {process.pid for process in psutil.Process().children(recursive=True)}

    mirror(project, ["r1"], WandbTracker(tmp_path / "wandb", "credit"))

    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    assert [process.cmdline() for process in left] == []


KILLED = """\
import psutil, wandb
from nbproof.cli.main import main

finish = wandb.Run.finish

def killed(run, exit_code=None):
    finish(run, exit_code)
    for process in psutil.Process().children(recursive=True):
        process.kill()

wandb.Run.finish = killed
main(["runs", "mirror", "--to", "wandb"])
"""


def test_a_client_that_is_killed_leaves_nothing_in_its_place(
    project: Path, tell: Tell, write: Write, tmp_path: Path
) -> None:
    """The next time every run is written."""
    write(project, tell(project, "r1"))

    ran = subprocess.run([sys.executable, "-c", KILLED], cwd=project, capture_output=True, text=True, timeout=120)

    assert ran.returncode == 1
    error, hint = ran.stderr.splitlines()
    assert re.fullmatch(
        r"error: `wandb` could not be written: the client ended with .+; expected a run that is whole", error
    )
    assert hint == "hint: make room on the disk, then tell it again: nbproof runs mirror --to wandb"
    assert list((project / "wandb").iterdir()) == []

    mirror(project, ["r1"], WandbTracker(project / "wandb", "credit"))

    assert len(list((project / "wandb").iterdir())) == 4


def test_a_run_is_whole_only_with_its_end(project: Path, tell: Tell, write: Write, tmp_path: Path) -> None:
    """Cut anywhere, as on a full disk, it lacks steps or its end."""
    write(project, tell(project, "r1"))
    tracker = WandbTracker(tmp_path / "wandb", "credit")
    mirror(project, ["r1"], tracker)
    (folder,) = [folder for folder in tracker.written if held(folder)["name"] == "training#2"]
    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    assert missing(folder, 3) == ""
    needed = 1 + next(at for at in range(len(content), 0, -1) if _cut(file, content[:at]) and missing(folder, 3))

    for at in range(7, needed, 97):
        _cut(file, content[:at])
        assert re.fullmatch(r"it holds \d of 3 steps|it has no end", missing(folder, 3))


def _cut(file: Path, content: bytes) -> bool:
    return file.write_bytes(content) == len(content)


def test_what_still_runs_waits(project: Path, tell: Tell, tmp_path: Path) -> None:
    """Half a run is not told."""
    first, *_ = tell(project, "r1")
    tracker = WandbTracker(tmp_path / "wandb", "credit")
    with Journal(project) as journal:
        journal(first)

        assert mirror(project, ["r1"], tracker) == ("r1",)

    assert tracker.written == []


def test_a_run_whose_runner_died_is_told_as_far_as_it_went(
    project: Path, tell: Tell, write: Write, tmp_path: Path
) -> None:
    """What had begun is interrupted, and no success."""
    begun = [event for event in tell(project, "r1") if isinstance(event, RunStarted) or event.at < 1_700_000_002.5]
    write(project, begun)
    tracker = WandbTracker(tmp_path / "wandb", "credit")

    mirror(project, ["r1"], tracker)

    (run,) = [held(folder) for folder in tracker.written]
    assert (run["name"], run["config"]["outcome"], run["exit"]) == ("training#1", "interrupted", 1)


def test_the_command_writes_and_sends_nothing(project: Path, tell: Tell, write: Write) -> None:
    """A key in the environment changes nothing: it is offline, whatever the variables say."""
    write(project, tell(project, "r1"))
    environ = {**os.environ, "WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"}

    ran = subprocess.run(
        [sys.executable, "-m", "nbproof", "runs", "mirror", "--to", "wandb"],
        cwd=project, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("4 runs written to wandb\n")
    assert "to send them: wandb sync wandb/offline-run-*" in ran.stdout
    assert ran.stderr == ""
