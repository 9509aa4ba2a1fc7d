"""The recorder in a real JupyterLab server: whatever becomes of pages, kernels and the server, no execution is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket
from lab_kernels import answers, channels, outcome, run, run_in, send, start, started, stop_kernel
from lab_server import ANSWER_S, USUAL, WARM, Lab, jupyter_lab, process_of, stop, wait_until
from other_environment import kernelspec, other_environment

from nbproof.assemble import Project
from nbproof.settings import Settings
from nbproof.track.capture import place
from nbproof.track.capture.session import Execution, NotebookSession, read_session
from nbproof.track.courier import sync
from ports import free_port

OTHER, FOREIGN, WRAPPED = "other-environment", "foreign-language", "wrapped"
SPECS = pytest.mark.parametrize("spec", [USUAL, WARM])
IS_RECORDED = "print('_nbproof_capture' in __import__('sys').modules)"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for the tests that leave it running; nothing is delivered anywhere."""
    folder = tmp_path_factory.mktemp("lab")
    python = other_environment(folder / "venv")
    kernelspec(folder / "data/kernels" / OTHER, python)
    kernelspec(folder / "data/kernels" / FOREIGN, Path(sys.executable), language="R")
    script = folder / "wrapper.py"
    script.write_text("import sys\nfrom ipykernel.kernelapp import launch_new_instance\nlaunch_new_instance()\n")
    kernelspec(folder / "data/kernels" / WRAPPED, python, argv=(str(script), "-f", "{connection_file}"))
    with jupyter_lab(folder, panels=False, NBPROOF_TRACKING="false") as server:
        yield server


def notebook() -> str:
    return f"{uuid.uuid4()}.ipynb"


def sessions(project: Path, notebook: str | None = None) -> list[NotebookSession]:
    """The sessions of a project, or of one of its notebooks, the oldest first."""
    found = [read_session(path) for path in place.sessions(project)]
    whole = [session for session in found if session is not None]
    wanted = [session for session in whole if notebook is None or session.notebook == notebook]
    return sorted(wanted, key=lambda session: session.opened_at)


def executions(project: Path, notebook: str | None = None) -> list[Execution]:
    return [execution for session in sessions(project, notebook) for execution in session.executions]


def cells(project: Path, notebook: str | None = None) -> list[str | None]:
    return [execution.cell_id for execution in executions(project, notebook)]


def recording(lab: Lab, path: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask(f"recording?{urllib.parse.urlencode({'path': path})}", below="nbproof")
    return found


def outcomes(lab: Lab, path: str) -> list[str]:
    return [execution["outcome"] for execution in recording(lab, path)["executions"]]


def switch(lab: Lab, path: str, level: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.ask("recording", {"path": path, "level": level}, below="nbproof")
    return found


@SPECS
def test_the_first_cell_is_recorded_and_the_page_can_ask(lab: Lab, spec: str) -> None:
    """From the very first cell on, without a word from the user; with metadata, no code and no message."""
    path = notebook()
    with started(lab, spec, path) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId="a")
        run(lab, kernel_id, "raise ValueError(x)", cellId="b")
        wait_until(lambda: outcomes(lab, path) == ["ok", "error"], "the recorder has read along")
        told = recording(lab, path)

        first, second = told["executions"]
        assert {name: told[name] for name in ("path", "level", "is_recording", "reason", "is_cut")} == {
            "path": path, "level": "metadata", "is_recording": True, "reason": None, "is_cut": False,
        }  # fmt: skip
        assert set(first) == {
            "exec_id", "number", "cell_id", "count", "code_sha256", "started_at", "seconds", "outcome", "error",
            "parent", "is_quiet", "runs",
        }  # fmt: skip
        assert (first["cell_id"], first["count"], first["outcome"], first["error"]) == ("a", 1, "ok", None)
        assert (second["cell_id"], second["count"], second["outcome"], second["error"]) == (
            "b",
            2,
            "error",
            "ValueError",
        )
        assert first["exec_id"] == f"{told['session']}.1"
        assert told["waiting"]["records"] > 0


@SPECS
def test_a_page_that_goes_away_costs_nothing(lab: Lab, spec: str) -> None:
    """Cells that were asked for and run after the page is gone are recorded like all others."""
    path, question = notebook(), [f"import time\ntime.sleep(0.1)\n{number}" for number in range(5)]
    with started(lab, spec, path) as kernel_id:
        with channels(lab, kernel_id) as connection:
            for number, cell in enumerate(question):
                send(connection, cell, cellId=f"c{number}")
        wait_until(lambda: len(cells(lab.root, path)) == 5, "all five cells ran", 60)

    assert cells(lab.root, path) == ["c0", "c1", "c2", "c3", "c4"]


@SPECS
def test_each_life_of_a_kernel_is_a_session(lab: Lab, spec: str) -> None:
    """Restarted, it is recorded from its first cell on, and what came before is a session that is done."""
    path = notebook()
    with started(lab, spec, path) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId="a")
        lab.ask(f"kernels/{kernel_id}/restart", {})
        run(lab, kernel_id, "x = 2", cellId="b")
        lab.ask(f"kernels/{kernel_id}/restart", {})
        lab.ask(f"kernels/{kernel_id}/restart", {})
        run(lab, kernel_id, "x = 3", cellId="c")

        found = sessions(lab.root, path)
        assert [[each.cell_id for each in session.executions] for session in found] == [["a"], ["b"], ["c"]]
        assert [session.outcome for session in found] == ["done", "done", "running"]
        assert {session.kernel_id for session in found} == {kernel_id}


@SPECS
def test_a_kernel_that_is_killed_loses_no_more_than_the_end_of_its_cell(lab: Lab, spec: str) -> None:
    """The session says that its kernel died; the kernel that comes by itself is recorded in turn."""
    path = notebook()
    with started(lab, spec, path) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId="a")
        with channels(lab, kernel_id) as connection:
            said = answers(connection, send(connection, "import time\nprint('now')\ntime.sleep(600)", cellId="b"))
            assert any(message["content"].get("text") == "now\n" for message in said)
            first = process_of(kernel_id)
            first.kill()
            wait_until(lambda: is_other(kernel_id, first), "the server has started another kernel", 60)
        assert outcome(lab, kernel_id, "x = 2", cellId="c") == "ok"
        wait_until(lambda: len(sessions(lab.root, path)) == 2, "the new kernel is recorded")
        wait_until(lambda: bool(sessions(lab.root, path)[0].closings), "the server has noticed")
        assert outcome(lab, kernel_id, "x = 3", cellId="d") == "ok"

        died, running = sessions(lab.root, path)
        assert [(each.cell_id, each.outcome) for each in died.executions] == [("a", "ok"), ("b", "lost")]
        assert (died.outcome, running.outcome) == ("died", "running")
        # A cell that is on its way before the server says that there is a kernel may be quicker than the recording.
        assert [each.cell_id for each in running.executions] in (["c", "d"], [None, "d"])
        assert [each.count for each in running.executions] == [1, 2]


def is_other(kernel_id: str, first: psutil.Process) -> bool:
    try:
        return process_of(kernel_id).pid != first.pid
    except (AssertionError, psutil.Error):
        return False


def test_two_pages_on_one_kernel_and_a_console_beside_it(lab: Lab) -> None:
    """Whoever asks the kernel, and however many listen: each cell is recorded once."""
    path = notebook()
    with started(lab, USUAL, path) as kernel_id:
        with channels(lab, kernel_id) as one, channels(lab, kernel_id) as two:
            for number in range(10):
                run_in(one, f"x = {number}", cellId=f"one-{number}")
                run_in(two, f"y = {number}")
        wanted = {"path": "console", "name": "console", "type": "console", "kernel": {"id": kernel_id}}
        lab.ask("sessions", wanted)
        run(lab, kernel_id, "x + y")

        assert len(cells(lab.root, path)) == 21
        assert sum(cell is None for cell in cells(lab.root, path)) == 11
        (session,) = sessions(lab.root, path)
        assert session.is_live


def test_a_console_of_its_own_is_recorded_under_its_path(lab: Lab) -> None:
    """No notebook stands behind it; what runs in it is an execution all the same."""
    path = f"console-{uuid.uuid4()}"
    kernel_id = start(lab, USUAL, path, kind="console")
    try:
        run(lab, kernel_id, "x = 1")

        assert cells(lab.root, path) == [None]
    finally:
        stop_kernel(lab, kernel_id)


def test_a_kernel_for_nobody_is_recorded_too(lab: Lab) -> None:
    """Started by REST without a session, it belongs to the project of the server's folder."""
    kernel_id = lab.ask("kernels", {"name": USUAL})["id"]
    try:
        run(lab, kernel_id, "x = 1", cellId="nobody's")
        wait_until(lambda: "nobody's" in cells(lab.root), "the cell is recorded")
    finally:
        lab.ask(f"kernels/{kernel_id}", method="DELETE")


@pytest.mark.parametrize("spec", [OTHER, WRAPPED])
def test_a_kernel_without_nbproof_is_recorded(lab: Lab, spec: str) -> None:
    """In another environment nothing of ours can be imported; a kernel behind a script is asked what it is first."""
    path = notebook()
    with started(lab, spec, path) as kernel_id:
        wait_until(lambda: recording(lab, path)["is_recording"], "the kernel has answered", 60)
        said = run(lab, kernel_id, "import importlib.util\nprint(importlib.util.find_spec('nbproof'))", cellId="a")
        lab.ask(f"kernels/{kernel_id}/restart", {})
        wait_until(lambda: recording(lab, path)["is_recording"], "the kernel has answered", 60)
        run(lab, kernel_id, "x = 1", cellId="b")

    assert said == "None\n"
    assert cells(lab.root, path) == ["a", "b"]


def test_a_kernel_of_another_language_gets_nothing(lab: Lab) -> None:
    """Nobody sends Python to a kernel that says it speaks R, and the page is told why nothing is recorded."""
    path = notebook()
    with started(lab, FOREIGN, path) as kernel_id:
        said = run(lab, kernel_id, IS_RECORDED, cellId="a")
        told = recording(lab, path)

    assert said == "False\n"
    assert (told["is_recording"], told["reason"]) == (False, "no Python kernel runs for it")


def test_the_switch(lab: Lab) -> None:
    """Off, nothing is written; in full, the code is; it holds for later kernels, and while the kernel is busy."""
    path = notebook()
    with started(lab, USUAL, path) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId="a")
        with channels(lab, kernel_id) as connection:
            question = send(connection, "import time\ntime.sleep(1)", cellId="b")
            later = send(connection, "x = 3", cellId="c")
            off = switch(lab, path, "off")
            list(answers(connection, question))
            list(answers(connection, later))
        lab.ask(f"kernels/{kernel_id}/restart", {})
        run(lab, kernel_id, IS_RECORDED, cellId="d")
        full = switch(lab, path, "full")
        wait_until(lambda: recording(lab, path)["is_recording"], "the kernel has answered", 60)
        run(lab, kernel_id, "x = 5", cellId="e")

    assert (off["level"], off["is_recording"], off["reason"]) == ("off", False, "it is switched off")
    assert full["level"] == "full"
    assert [(each.cell_id, each.code) for each in executions(lab.root, path)] in (
        [("a", None), ("b", None), ("e", "x = 5")],
        # The kernel may not have begun the second cell when the switch was thrown.
        [("a", None), ("e", "x = 5")],
    )


def test_off_by_the_settings_of_a_project(lab: Lab) -> None:
    """Where the project says so, nothing of ours gets into its kernels, until somebody switches it on."""
    folder = lab.root / f"off-{uuid.uuid4()}"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[tool.nbproof]\nrecording = "off"\n')
    path = f"{folder.name}/a.ipynb"
    with started(lab, USUAL, path) as kernel_id:
        said = run(lab, kernel_id, IS_RECORDED)
        told = recording(lab, path)
        switch(lab, path, "metadata")
        wait_until(lambda: recording(lab, path)["is_recording"], "the kernel has answered", 60)
        run(lab, kernel_id, "x = 1", cellId="a")

    assert said == "False\n"
    assert (told["level"], told["is_recording"], told["reason"]) == ("off", False, "it is switched off")
    assert cells(folder, "a.ipynb") == ["a"]


def test_settings_that_cannot_be_read_are_no_permission(lab: Lab) -> None:
    """They might say that nothing shall be recorded; the kernel starts all the same, and the page is told."""
    folder = lab.root / f"broken-{uuid.uuid4()}"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[tool.nbproof]\nrecording = "sometimes"\n')
    with started(lab, USUAL, f"{folder.name}/a.ipynb") as kernel_id:
        said = run(lab, kernel_id, IS_RECORDED)
        told = recording(lab, f"{folder.name}/a.ipynb")

    assert said == "False\n"
    assert not told["is_recording"]
    assert "sometimes" in told["reason"]


def test_a_notebook_that_is_renamed_goes_on_under_its_new_name(lab: Lab) -> None:
    """The session stays one, and its executions are found under the new path."""
    before, after = notebook(), notebook()
    with started(lab, USUAL, before) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId="a")
        wait_until(lambda: len(recording(lab, before)["executions"]) == 1, "the recorder has read along")
        (session,) = [each for each in lab.ask("sessions") if each["path"] == before]
        lab.ask(f"sessions/{session['id']}", {"path": after, "name": after}, method="PATCH")
        wait_until(lambda: recording(lab, after)["session"] is not None, "the new name is known")
        run(lab, kernel_id, "x = 2", cellId="b")
        wait_until(lambda: len(recording(lab, after)["executions"]) == 2, "the recorder has read along")

        assert recording(lab, before)["executions"] == []
        assert cells(lab.root, after) == ["a", "b"]


def beside(root: Path) -> set[Path]:
    """What lies beside the server's folder, but what npm keeps there: another extension asks it where it lives."""
    return {path for path in root.parent.iterdir() if path.name != ".npm"}


HOSTILE = [
    "..x.ipynb",
    "é" * 200 + ".ipynb",
    "n" * 300 + ".ipynb",
    "a'b\"<script>$(id).ipynb",
    "no/such/folder/a.ipynb",
]


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
def test_a_notebook_of_any_name_is_recorded_within_the_root(lab: Lab, path: str) -> None:
    """Its name is no more than a word in the lines; no file is made outside of the server's folder."""
    outside = beside(lab.root)
    cell = str(uuid.uuid4())
    with started(lab, USUAL, path) as kernel_id:
        run(lab, kernel_id, "x = 1", cellId=cell)
        wait_until(lambda: cell in cells(lab.root), "the cell is recorded")

    assert beside(lab.root) == outside
    assert not (lab.root.parents[1] / ".nbproof").exists()


def test_what_is_asked_wrongly_is_refused(lab: Lab) -> None:
    """An unknown level, no path, or one that leads out of the folder: each in words, and nothing changes."""
    found = []
    for body in ({"path": "a.ipynb", "level": "all"}, {"level": "off"}, {"path": "../a.ipynb", "level": "off"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            lab.ask("recording", body, below="nbproof")
        found.append((refused.value.code, json.loads(refused.value.read())["error"]))
        refused.value.close()

    assert found == [(400, "RequestInvalid"), (400, "RequestInvalid"), (409, "PathRefused")]


def test_open_pages_are_told_of_each_execution(lab: Lab) -> None:
    """What begins and ends is pushed, without code, to whoever listens to the server's events."""
    path, address = notebook(), lab.address.replace("http", "ws", 1)
    listener = websocket.create_connection(
        f"{address}/api/events/subscribe", header=[f"Authorization: token {lab.token}"], timeout=ANSWER_S
    )
    told: dict[str, list[str]] = {}
    try:
        with started(lab, USUAL, path) as kernel_id:
            run(lab, kernel_id, "import time\ntime.sleep(1)", cellId="a")
            run(lab, kernel_id, "1/0", cellId="b")
            while told.get("b", [""])[-1] != "error":
                facts = json.loads(listener.recv()).get("facts", {})
                for execution in facts.get("executions", ()) if facts.get("path") == path else ():
                    told.setdefault(execution["cell_id"], []).append(execution["outcome"])
    finally:
        listener.close()

    assert told["a"] == ["running", "ok"]
    assert told["b"][-1] == "error"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_server_that_ends_leaves_whole_sessions(tmp_path: Path, number: signal.Signals) -> None:
    """Closed or killed in the middle of a cell; the next server finds them ended, and records its own."""
    with jupyter_lab(tmp_path, panels=False, NBPROOF_TRACKING="false") as lab:
        idle, busy = start(lab, USUAL, "idle.ipynb"), start(lab, USUAL, "busy.ipynb")
        run(lab, idle, "x = 1", cellId="a")
        with channels(lab, busy) as connection:
            said = answers(connection, send(connection, "import time\nprint('now')\ntime.sleep(600)", cellId="b"))
            assert any(message["content"].get("text") == "now\n" for message in said)
        os.kill(lab.process.pid, number)
        stop(lab)
    wait_until(lambda: not any(session.is_live for session in sessions(lab.root)), "the kernels have ended", 60)
    with (
        jupyter_lab(tmp_path, panels=False, NBPROOF_TRACKING="false") as lab,
        started(lab, USUAL, "idle.ipynb") as idle,
    ):
        run(lab, idle, "x = 2", cellId="c")

    first, second = sessions(lab.root, "idle.ipynb")
    (cut,) = sessions(lab.root, "busy.ipynb")
    assert [[each.cell_id for each in session.executions] for session in (first, second)] == [["a"], ["c"]]
    (execution,) = cut.executions
    assert execution.cell_id == "b"
    # A server that is closed interrupts its kernels first; one that is killed cannot.
    assert execution.outcome in (("error", "lost") if number == signal.SIGTERM else ("lost",))
    assert cut.outcome == ("died" if number == signal.SIGKILL else cut.outcome)
    assert (first.outcome, second.outcome) == ("done" if number == signal.SIGTERM else first.outcome, "done")


@pytest.mark.slow
def test_sessions_wait_for_the_tracker_and_arrive_later(tmp_path: Path) -> None:
    """While it is away the page is told how much waits and why; the next delivery brings everything, once."""
    with jupyter_lab(tmp_path, panels=False, NBPROOF_TRACKING_URI=f"http://127.0.0.1:{free_port()}") as lab:
        kernel_id = start(lab, USUAL, "a.ipynb")
        run(lab, kernel_id, "from nbproof import track\ntrack.metrics(auc=0.5)", cellId="a")
        wait_until(lambda: recording(lab, "a.ipynb")["waiting"]["reason"] is not None, "the courier has tried", 120)
        waiting = recording(lab, "a.ipynb")["waiting"]
        stop_kernel(lab, kernel_id)
        wait_until(lambda: sessions(lab.root)[0].outcome == "done", "the kernel has ended")
        wait_until(lambda: len(sessions(lab.root)[0].closings) == 2, "the server has had its word")
    project = Project(lab.root, Settings(experiment="credit"))

    reports = [sync(project.root, project.settings), sync(project.root, project.settings)]

    assert waiting["records"] >= 4
    assert "Connection refused" in waiting["reason"]
    assert (reports[0].waiting, reports[1].delivered) == (0, 0)
    assert runs_of(lab.root / "mlflow.db") == [("FINISHED", 1.0, 0.5)]


def runs_of(store: Path) -> list[tuple[str, float, float]]:
    """Status, number of executions and AUC of the runs in a store."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    found = client.search_runs(experiments)
    return [(run.info.status, run.data.metrics["executions"], run.data.metrics["auc"]) for run in found]


def test_the_time_of_the_first_cell_is_its_own(lab: Lab) -> None:
    """The start of an execution lies between asking for it and its end, and its seconds are those of the cell."""
    path = notebook()
    with started(lab, USUAL, path) as kernel_id:
        before = time.time()
        run(lab, kernel_id, "import time\ntime.sleep(0.5)", cellId="a")
        after = time.time()

    (execution,) = executions(lab.root, path)
    assert before <= execution.started_at <= after
    assert 0.5 <= (execution.seconds or 0) <= after - before
