"""The doors to pipelines on a real server: how they stand, runs that a page starts, and what becomes of these."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket
from lab_server import Lab, is_gone, jupyter_lab, wait_until
from pipeline_project import edit, write_project

pytestmark = pytest.mark.slow
RUN_S = 120


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyter_lab(tmp_path_factory.mktemp("pipelines")) as server:
        yield server


@pytest.fixture
def project(lab: Lab) -> Iterator[Path]:
    """A project of its own for each test."""
    folder = write_project(lab.root / f"p{time.monotonic_ns()}")
    yield folder
    run = get(lab, "pipeline", path=folder.name).get("run")
    if run and run["is_running"]:
        post(lab, "pipeline/stop", run=run["id"])
        ended(lab, folder)
    shutil.rmtree(folder)


def get(lab: Lab, door: str, **arguments: Any) -> Any:
    return lab.ask(f"{door}?{urllib.parse.urlencode(arguments)}", below="nbproof")


def post(lab: Lab, door: str, **body: Any) -> Any:
    return lab.ask(door, body, below="nbproof")


def refused(lab: Lab, door: str, **body: Any) -> tuple[int, Any]:
    """The status and the words of a refusal."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(lab, door, **body)
    return caught.value.code, json.loads(caught.value.read())


def run(lab: Lab, project: Path, **order: Any) -> Any:
    return post(lab, "pipeline/run", path=f"{project.name}/pipeline.yaml", **order)


def ended(lab: Lab, project: Path) -> Any:
    """How the pipeline stands once its run has ended."""
    found = {}

    def has_ended() -> bool:
        found.update(get(lab, "pipeline", path=project.name))
        return not found["run"]["is_running"]

    wait_until(has_ended, "the run has ended", RUN_S)
    return found


def states(found: Any) -> dict[str, str]:
    return {task["name"]: task["state"] for task in found["tasks"]}


def ran(project: Path) -> list[str]:
    """The tasks that the last run carried out, in their order."""
    journal = max((project / ".nbproof/runs").iterdir())
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    return [event["task"] for event in events if event["kind"] == "TaskStarted"]


def test_a_pipeline_is_told_before_it_has_run(lab: Lab, project: Path) -> None:
    """Tasks come with what they read and make, by paths that the page can open."""
    found = get(lab, "pipeline", path=f"{project.name}/use.ipynb")

    make, use, _ = found["tasks"]
    assert (found["path"], found["name"], found["project"]) == (
        f"{project.name}/pipeline.yaml", project.name, project.name
    )  # fmt: skip
    assert states(found) == {"make": "new", "use": "new", "tell": "new"}
    assert (use["upstream"], use["notebook"], use["executed"]) == (["make"], f"{project.name}/use.ipynb", None)
    assert make["parameters"] == {"rows": 3, "kind": "a", "token": "env:HOME", "quick": True}
    assert make["products"][1] == {
        "key": "data", "path": f"{project.name}/build/data.txt", "file": "data.txt", "exists": False
    }  # fmt: skip


def test_a_run_is_told_to_every_page_and_leaves_all_fresh(lab: Lab, project: Path) -> None:
    """Open pages hear of each task; output comes in chunks; after an edit the page says what is stale, and why."""
    address = lab.address.replace("http", "ws", 1)
    told = websocket.create_connection(f"{address}/api/events/subscribe?token={lab.token}", timeout=RUN_S)

    started = run(lab, project, parameters={"make": {"rows": "3"}})
    facts = []
    while not facts or facts[-1]["kind"] != "ended":
        said = json.loads(told.recv())
        # The end of another test's run may be told only now.
        if said.get("part") == "pipeline" and said["facts"]["path"] == f"{project.name}/pipeline.yaml":
            facts.append(said["facts"])
    told.close()
    found = ended(lab, project)
    output = get(lab, "pipeline/output", run=started["id"])
    log = get(lab, "pipeline/log", path=project.name, task="use", run_id=found["run"]["run_id"])
    edit(project / "use.ipynb", "'read'", "'seen'")
    edited = get(lab, "pipeline", path=project.name)

    assert facts[0]["kind"] == "begun"
    assert [fact["task"] for fact in facts if fact.get("now", {}).get("outcome") == "done"] == ["make", "use", "tell"]
    assert (found["run"]["outcome"], found["run"]["error"]) == ("done", None)
    assert states(found) == {"make": "fresh", "use": "fresh", "tell": "fresh"}
    assert found["tasks"][0]["executed"] == f"{project.name}/build/make.ipynb"
    assert [chunk["text"] for chunk in output["chunks"]] == ["made 3\n", "read 3\n", "told\n"]
    assert get(lab, "pipeline/output", run=started["id"], after=output["next"])["chunks"] == []
    assert "read 3" in log["text"]
    assert states(edited) == {"make": "fresh", "use": "stale", "tell": "waits"}
    assert edited["tasks"][1]["reasons"] == ["code cell 2 changed"]


def test_from_here_runs_the_task_and_what_depends_on_it(lab: Lab, project: Path) -> None:
    """By force, too, only what was asked for runs again; what it needs runs only where it is stale."""
    run(lab, project)
    ended(lab, project)

    run(lab, project, task="use", downstream=True, force=True)
    ended(lab, project)
    from_use = ran(project)
    run(lab, project, task="use", force=True)
    ended(lab, project)

    assert from_use == ["use", "tell"]
    assert ran(project) == ["use"]


def test_one_run_at_a_time_and_it_can_be_stopped(lab: Lab, project: Path) -> None:
    """While it runs a second is refused; stopped, it is recorded so and leaves no process."""
    (project / "go").unlink()
    started = run(lab, project)
    wait_until(lambda: states(get(lab, "pipeline", path=project.name))["use"] == "running", "use runs", RUN_S)
    working = [process for process in psutil.process_iter() if _works_in(project, process)]

    status, words = refused(lab, "pipeline/run", path=f"{project.name}/pipeline.yaml")
    stopping = post(lab, "pipeline/stop", run=started["id"])
    found = ended(lab, project)

    assert (status, words["error"]) == (409, "Busy")
    assert stopping["is_stopping"] is True
    assert (found["run"]["outcome"], found["run"]["error"]) == ("stopped", None)
    assert states(found) == {"make": "fresh", "use": "stopped", "tell": "new"}
    assert len(working) >= 2
    wait_until(lambda: all(map(is_gone, working)), "nothing works there any more")


def test_a_run_of_a_terminal_is_seen_and_not_disturbed(lab: Lab, project: Path) -> None:
    """The page shows what runs elsewhere; a run of its own is refused in the words of the lock."""
    (project / "go").unlink()
    with subprocess.Popen(
        [sys.executable, "-m", "nbproof", "run"], cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as elsewhere:
        try:
            wait_until(lambda: states(get(lab, "pipeline", path=project.name))["use"] == "running", "use runs", RUN_S)
            seen = get(lab, "pipeline", path=project.name)
            status, words = refused(lab, "pipeline/run", path=f"{project.name}/pipeline.yaml")
        finally:
            (project / "go").touch()

    assert elsewhere.returncode == 0
    assert seen["run"] is None
    assert status == 409
    assert f"is being built by process {elsewhere.pid} since " in words["message"]
    assert states(get(lab, "pipeline", path=project.name)) == {"make": "fresh", "use": "fresh", "tell": "fresh"}


def test_what_failed_says_where_and_its_notebook_can_be_opened(lab: Lab, project: Path) -> None:
    """The reason names the cell; the executed notebook is put where pages may open it, beside the product."""
    edit(project / "use.ipynb", "'broken' not in lines", "'line' not in lines, 'there is a line'")
    run(lab, project)
    found = ended(lab, project)

    opened = post(lab, "pipeline/executed", path=f"{project.name}/pipeline.yaml", task="use")

    use = found["tasks"][1]
    assert states(found) == {"make": "fresh", "use": "failed", "tell": "blocked"}
    assert use["last"]["reason"] == "cell 5: AssertionError: there is a line"
    assert use["last"]["has_notebook"] is True
    assert found["run"]["error"]["message"] == "failed: use; not started: tell"
    assert opened == {"path": f"{project.name}/build/use.failed.ipynb"}
    assert "there is a line" in (project / "build/use.failed.ipynb").read_text()
    assert lab.ask(f"contents/{opened['path']}?content=0")["type"] == "notebook"


def test_a_wrong_value_starts_nothing(lab: Lab, project: Path) -> None:
    """The server's words come back, by field where they are asked for, and nothing has run."""
    status, words = refused(
        lab, "pipeline/run", path=f"{project.name}/pipeline.yaml", parameters={"make": {"rows": "0"}}
    )
    checked = post(
        lab, "pipeline/check", path=f"{project.name}/make.ipynb", parameters={"rows": "0", "kind": "c", "other": "1"}
    )

    assert (status, words["message"]) == (400, "task `make`: `rows` is 0, expected at least 1")
    assert checked["problems"]["rows"] == "`rows` is 0, expected at least 1"
    assert checked["problems"]["kind"].startswith("`kind` is 'c', expected ")
    assert checked["problems"]["other"] == "unknown parameter `other`"
    assert not (project / "build").exists()


def test_a_form_can_be_made_of_the_contract(lab: Lab, project: Path) -> None:
    """The schema has types, bounds and choices, and a secret is its reference."""
    found = get(lab, "pipeline/parameters", path=f"{project.name}/make.ipynb")

    properties = found["schema"]["properties"]
    assert found["order"] == ["rows", "kind", "token", "quick"]
    assert found["secrets"] == ["token"]
    assert properties["rows"]["minimum"] == 1
    assert properties["kind"]["enum"] == ["a", "b"]
    assert properties["token"]["default"] == "env:HOME"


def test_a_pipeline_that_cannot_be_read_is_told_in_its_own_words(lab: Lab, project: Path) -> None:
    """The panel still opens, and says what is wrong."""
    (project / "pipeline.yaml").write_text("tasks:\n  - {source: gone.ipynb, product: build/gone.ipynb}\n")

    found = get(lab, "pipeline", path=project.name)

    assert found["tasks"] == []
    assert "gone.ipynb" in found["problem"]["message"]
    assert found["problem"]["hint"]


@pytest.mark.parametrize(
    ("door", "body", "status"),
    [
        ("run", {"path": "{}/use.ipynb"}, 400),
        ("run", {"path": "{}/gone.yaml"}, 400),
        ("run", {"path": "../pipeline.yaml"}, 409),
        ("run", {"path": "{}/pipeline.yaml", "task": "none"}, 400),
        ("run", {"path": "{}/pipeline.yaml", "force": "yes"}, 400),
        ("run", {"path": "{}/pipeline.yaml", "parameters": {"make": {"rows": "1\0"}}}, 400),
        ("run", {"path": "{}/pipeline.yaml", "parameters": {"make": {"rows": 5}}}, 400),
        ("stop", {"run": "none"}, 400),
        ("executed", {"path": "{}/pipeline.yaml", "task": "none"}, 400),
        ("executed", {"path": "{}/pipeline.yaml", "task": "make"}, 400),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    lab: Lab, project: Path, door: str, body: dict[str, Any], status: int
) -> None:
    """Nothing starts on a word that is not understood."""
    body = {**body, **({"path": body["path"].format(project.name)} if "path" in body else {})}

    found, words = refused(lab, f"pipeline/{door}", **body)

    assert (found, bool(words["message"])) == (status, True)
    assert not (project / "build").exists()


@pytest.mark.parametrize(("run_id", "task"), [("../..", "x"), ("x", "../../pipeline"), ("..", "pipeline.yaml\0")])
def test_a_log_is_a_log_and_no_other_file(lab: Lab, project: Path, run_id: str, task: str) -> None:
    """Names that lead elsewhere lead nowhere."""
    (project / ".nbproof/logs/x").mkdir(parents=True)
    (project / ".nbproof/pipeline.log").write_text("secret")

    assert get(lab, "pipeline/log", path=project.name, run_id=run_id, task=task) == {"text": "", "is_cut": False}


def test_a_run_ends_with_the_server_however_that_ends(tmp_path: Path) -> None:
    """Killed, the server can stop nothing; the run notices, stops its kernels and is recorded as stopped."""
    with jupyter_lab(tmp_path / "killed") as lab:
        project = write_project(lab.root / "p")
        (project / "go").unlink()
        run(lab, project)
        wait_until(lambda: states(get(lab, "pipeline", path="p"))["use"] == "running", "use runs", RUN_S)
        working = [process for process in psutil.process_iter() if _works_in(project, process)]

        os.kill(lab.process.pid, signal.SIGKILL)

        wait_until(lambda: all(map(is_gone, working)), "the run and its kernels have ended", RUN_S)
        lab.process.wait()
    (journal,) = (project / ".nbproof/runs").iterdir()
    last = json.loads(journal.read_text().splitlines()[-1])
    assert len(working) >= 2
    assert (last["kind"], last["outcome"]) == ("RunFinished", "stopped")


def _works_in(folder: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):
        return False
