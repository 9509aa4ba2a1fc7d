"""`nbproof run --events`: a run as lines of JSON, which ends when nobody reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nbproof.cli.main import carry_out
from nbproof.cli.story import RunStory, TaskStory, last_of

FIRST = '# %% tags=["parameters"]\nupstream = None\nproduct = None\n\n# %%\nprint("said")\n'
WAITING = FIRST + 'import pathlib, time\nwhile not pathlib.Path("go").exists():\n    time.sleep(0.05)\n'
PIPELINE = "tasks:\n- {source: first.py, product: build/first.ipynb}\n"
RUN = [sys.executable, "-m", "nbproof", "run", "--events"]


def project(folder: Path, notebook: str, pipeline: str = PIPELINE) -> Path:
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\nworkers = 1\n")
    (folder / "pipeline.yaml").write_text(pipeline)
    (folder / "first.py").write_text(notebook)
    return folder


def test_every_event_is_one_line_of_json(tmp_path: Path) -> None:
    """What happens comes in order, what cells say included, and nothing else is on stdout."""
    ran = subprocess.run(RUN, cwd=project(tmp_path, FIRST), capture_output=True, check=True)

    events = [json.loads(line) for line in ran.stdout.splitlines()]
    kinds = [event["kind"] for event in events if event["kind"] != "CellStarted"]
    assert kinds == ["RunStarted", "TaskStarted", "CellOutput", "TaskFinished", "RunFinished"]
    assert next(event["text"] for event in events if event["kind"] == "CellOutput") == "said\n"


def test_what_a_hook_prints_does_not_come_between(tmp_path: Path) -> None:
    """Stdout belongs to the events; a hook that prints there, even half a line, is heard on stderr."""
    (tmp_path / "hooks.py").write_text("def told():\n    print('from the hook', end='')\n")
    pipeline = "tasks:\n- {source: first.py, product: build/first.ipynb, on_finish: hooks.told}\n"

    ran = subprocess.run(RUN, cwd=project(tmp_path, FIRST, pipeline), capture_output=True, check=True)

    assert all(json.loads(line) for line in ran.stdout.splitlines())
    assert b"from the hook" in ran.stderr


def test_a_run_that_nobody_reads_ends(tmp_path: Path) -> None:
    """When the reader goes, while a cell says nothing, the run stops its kernel and is recorded as stopped."""
    reader = subprocess.Popen(RUN, cwd=project(tmp_path, WAITING), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert reader.stdout is not None
    while json.loads(reader.stdout.readline())["kind"] != "CellOutput":
        pass
    working = [process for process in psutil.process_iter() if _works_in(tmp_path, process)]

    reader.stdout.close()

    assert reader.wait(timeout=120) == 130
    assert len(working) >= 2
    assert psutil.wait_procs(working, timeout=60)[1] == []
    (journal,) = (tmp_path / ".nbproof/runs").iterdir()
    assert json.loads(journal.read_text().splitlines()[-1])["outcome"] == "stopped"


def _works_in(folder: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False


@pytest.mark.parametrize("arguments", [["--events", "--json"], ["--events", "--follow"], ["--downstream"]])
def test_what_does_not_go_together_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Two ways to tell, or a direction without a start, are exit code 2 before anything is read."""
    assert carry_out(["run", *arguments]) == 2
    assert "expected" in capsys.readouterr().err


def test_status_tells_machines_what_came_of_each_task(tmp_path: Path) -> None:
    """With --json: what a task reads and makes, and its last run with the reason of its end."""
    folder = project(tmp_path, FIRST + "assert False, 'it broke'\n")
    subprocess.run(RUN, cwd=folder, capture_output=True, check=False)

    ran = subprocess.run(
        [sys.executable, "-m", "nbproof", "status", "--json"], cwd=folder, capture_output=True, check=True
    )

    (task,) = json.loads(ran.stdout)["tasks"]
    assert (task["task"], task["state"], task["upstream"], task["has_succeeded"]) == ("first", "stale", [], False)
    assert task["products"] == {"nb": str(folder.resolve() / "build/first.ipynb")}
    assert (task["last"]["outcome"], task["last"]["reason"]) == ("failed", "cell 3: AssertionError: it broke")
    assert (folder / task["last"]["notebook"]).is_file()


def test_the_last_run_of_a_task_is_one_that_did_something() -> None:
    """A run that found a task fresh says nothing about it; the one before does."""

    def story(run_id: str, outcome: str) -> RunStory:
        return RunStory(run_id, 0.0, "p", "p.yaml", "done", 1.0, None, "", (TaskStory("a", outcome, 1.0, ""),))

    runs = [story("3", "fresh"), story("2", "failed"), story("1", "done")]

    assert {name: run.run_id for name, (run, _) in last_of(["a", "b"], runs).items()} == {"a": "2"}
