"""Every command on a real project: the one that `nbproof init` makes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest

pytestmark = pytest.mark.slow
PROGRAM = str(Path(sys.executable).with_name("nbproof"))
# The tracker has tests of its own; without it a run takes half the time.
ENVIRON = {**os.environ, "NBPROOF_TRACKING": "false"}


def nbproof(
    project: Path, *arguments: str, expected: int = 0, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program in `project`; the exit code must be the expected one."""
    env = {**ENVIRON, **(environ or {})}
    ran = subprocess.run([PROGRAM, *arguments], cwd=project, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == expected, ran.stdout + ran.stderr
    return ran


def answer(project: Path, *arguments: str, expected: int = 0) -> Any:
    """What a command says with --json."""
    return json.loads(nbproof(project, *arguments, "--json", expected=expected).stdout)


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project after its first run."""
    project = tmp_path_factory.mktemp("projects") / "demo"
    nbproof(project.parent, "init", "demo")
    nbproof(project, "run")
    return project


@pytest.fixture
def demo(ran_once: Path, tmp_path: Path) -> Path:
    """A copy of that project, for one test to change."""
    return shutil.copytree(ran_once, tmp_path / "demo")


def outcomes(report: Any) -> dict[str, str]:
    return {task["task"]: task["outcome"] for task in report["finished"]}


def edit(notebook: Path, old: str, new: str) -> None:
    text = notebook.read_text()
    assert old in text
    notebook.write_text(text.replace(old, new))


def test_a_second_run_is_fresh(demo: Path) -> None:
    """Nothing changed, so nothing runs, and the closing lines say so."""
    ran = nbproof(demo, "run")

    assert "everything is fresh: none of the 3 tasks of demo had to run" in ran.stdout
    assert ran.stderr.splitlines() == ["fresh   measure", "fresh   summarise", "fresh   report"]


def test_status_says_why_in_words(demo: Path) -> None:
    """After an edit, status names the task, the state and the reason, and runs nothing."""
    before = answer(demo, "runs", "list")
    edit(demo / "notebooks/summarise.ipynb", "sorted(months.items())", "sorted(months.items(), reverse=True)")

    states = {task["task"]: task["state"] for task in answer(demo, "status")["tasks"]}
    told = nbproof(demo, "status").stdout

    assert states == {"measure": "fresh", "summarise": "stale", "report": "waits"}
    assert "summarise  stale  code cell 3 changed" in told
    assert told.splitlines()[-1] == "1 of 3 tasks would run, 1 more if what they read changes"
    assert answer(demo, "runs", "list") == before


def test_a_parameter_reruns_what_depends_on_it(demo: Path) -> None:
    """A parameter of the first notebook changes all three, and the record tells both values."""
    first = answer(demo, "runs", "list")[0]["run_id"]

    report = answer(demo, "run", "-p", "measure.days=31")
    found = answer(demo, "runs", "compare", first)

    assert outcomes(report) == {"measure": "done", "summarise": "done", "report": "done"}
    assert {"task": "measure", "what": "parameter days", "before": "365", "after": "31"} in found["differences"]
    assert {"task": "summarise", "what": "metric months", "before": "12", "after": "1"} in found["differences"]


def test_a_failure_is_told_and_blocks_what_depends_on_it(demo: Path) -> None:
    """A check that fails ends the run with exit code 1 and its message; the record remembers, and resume mends it."""
    edit(demo / "notebooks/summarise.ipynb", "assert not wrong", "assert wrong")

    ran = nbproof(demo, "run", "-p", "days=31", expected=1)
    shown = answer(demo, "runs", "show")
    edit(demo / "notebooks/summarise.ipynb", "assert wrong", "assert not wrong")
    resumed = answer(demo, "runs", "resume")

    assert ran.stderr.splitlines()[-2:] == [
        "error: failed: summarise; not started: report", "hint: nbproof runs show"
    ]  # fmt: skip
    assert "the mean is not between lowest and highest" in ran.stdout
    assert [task["outcome"] for task in shown["tasks"]] == ["done", "failed", "blocked"]
    assert outcomes(resumed) == {"measure": "fresh", "summarise": "done", "report": "done"}


def test_what_came_of_it_is_shown_though_all_is_fresh(demo: Path) -> None:
    """Results of fresh tasks come from the run that made them: the report's path, and the metrics with that run."""
    first = answer(demo, "runs", "list")[0]["run_id"]
    nbproof(demo, "run")

    told = nbproof(demo, "runs", "show", "--results").stdout.splitlines()

    assert told[0] == "report   pipelines/demo/build/report.html"
    assert told[1].startswith("tracked  nowhere (tracking is off): run ")
    assert told[2] == f"made by  run {first}"
    assert told[3].startswith("metrics  summarise: months 12, mean_celsius ")


def test_a_record_that_waits_is_not_called_tracked(demo: Path) -> None:
    """What could not be sent is said to wait; sent later, it is said to be in the tracker."""
    nowhere = {"NBPROOF_TRACKING": "true", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    embedded = {"NBPROOF_TRACKING": "true"}

    ran = nbproof(demo, "run", environ=nowhere)
    refused = nbproof(demo, "runs", "sync", environ=nowhere, expected=1)
    before = nbproof(demo, "runs", "show", "--results", environ=embedded)
    sent = nbproof(demo, "runs", "sync", environ=embedded)
    after = nbproof(demo, "runs", "show", "--results", environ=embedded)

    assert "entries wait for http://127.0.0.1:9 (" in ran.stdout
    assert refused.stderr.startswith("error: the tracker cannot be reached: ")
    assert "tracked  not yet: run " in before.stdout
    assert sent.stdout == "sqlite:///mlflow.db, experiment demo\n"
    assert "tracked  run " in after.stdout


def test_the_pipeline_is_drawn(demo: Path) -> None:
    """The drawing names each task with its state."""
    nbproof(demo, "plot", "-o", "dag.svg")

    root = ElementTree.parse(demo / "dag.svg").getroot()
    groups = [group.findtext("{http://www.w3.org/2000/svg}title") for group in root.iter()]
    assert [title for title in groups if title and ": " in title] == [
        "measure: fresh", "summarise: fresh", "report: fresh"
    ]  # fmt: skip


def test_a_run_is_found_by_the_start_of_its_name(demo: Path) -> None:
    """Enough of a run's id is its name; an unknown one is refused with those that are known."""
    run_id = answer(demo, "runs", "list")[0]["run_id"]

    assert answer(demo, "runs", "show", run_id[:-3])["run_id"] == run_id
    assert f"no run is called `1999`; known: {run_id}" in nbproof(demo, "runs", "show", "1999", expected=2).stderr


def test_one_notebook_runs_alone(demo: Path) -> None:
    """A notebook can be named instead of a pipeline."""
    report = answer(demo, "run", "notebooks/measure.ipynb", "-p", "days=2")

    assert outcomes(report) == {"measure": "done"}


def test_a_value_out_of_range_starts_nothing(demo: Path) -> None:
    """A parameter that does not fit is exit code 2, one line, and no run."""
    before = answer(demo, "runs", "list")

    ran = nbproof(demo, "run", "-p", "digits=0", expected=2)

    assert ran.stderr.startswith("error: task `summarise`: `digits` is 0, expected at least 1\nhint: ")
    assert answer(demo, "runs", "list") == before


def _works_in(folder: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


def test_the_keyboard_stops_a_run(demo: Path) -> None:
    """Ctrl-C ends the run with one line and exit code 130, leaves no process, and the record says it was stopped."""
    edit(demo / "notebooks/measure.ipynb", "import math\\n", "import time; time.sleep(600)\\n")
    process = subprocess.Popen(
        [PROGRAM, "run"], cwd=demo, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("start   measure")
    working: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while len(working) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        working = [each for each in psutil.process_iter() if each.pid != process.pid and _works_in(demo, each)]

    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert told.splitlines()[-2:] == ["error: interrupted; what was running has ended", "hint: nbproof runs resume"]
    assert len(working) >= 2
    assert psutil.wait_procs(working, timeout=30)[1] == []
    assert answer(demo, "runs", "list")[0]["outcome"] == "stopped"


def test_the_doctor_finds_a_healthy_project(demo: Path) -> None:
    """On a machine that can run the project, no check finds anything broken."""
    found = {finding["check"]: finding["state"] for finding in answer(demo, "doctor")}

    assert set(found) == {
        "python", "extras", "ploomber", "kernel", "warm kernels", "jupyterlab", "panels", "project", "tracker",
        "locks", "processes",
    }  # fmt: skip
    assert "broken" not in found.values()


def test_machines_get_a_document_even_of_a_failure(demo: Path) -> None:
    """With --json a failed run still prints its one document, and the error goes to stderr with exit code 1."""
    edit(demo / "notebooks/report.ipynb", "assert not missing", "assert missing")

    ran = nbproof(demo, "run", "--json", expected=1)

    assert outcomes(json.loads(ran.stdout)) == {"measure": "fresh", "summarise": "fresh", "report": "failed"}
    assert ran.stderr.splitlines()[-2:] == ["error: failed: report", "hint: nbproof runs show"]
