"""The credit training package in a real Airflow 3: its DAG file parsed, tested, and run by its own scheduler."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from submitted import submit, told, until

from conftest import Credit, Record, environment
from ports import free_port

Caught = pytest.CaptureFixture[str]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(2400)]
PARSE = """
import sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(bag.import_errors, sorted(bag.dags), [task.task_id for dag in bag.dags.values() for task in dag.tasks])
"""
QUICK = ("-p", "epochs=2", "-p", "replicates=100", "-p", "explained_rows=50")


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The programs of an Airflow with a database of its own."""
    programs, port = environment("airflow"), free_port()
    settings = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        # Under load its own tasks ask their server in vain.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "airflow/dags").mkdir(parents=True)
    subprocess.run([str(programs / "airflow"), "db", "migrate"], check=True, capture_output=True, env=own())
    return programs


def own() -> Mapping[str, str]:
    """The environment without what belongs to nbproof's own Python."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@contextmanager
def standalone(programs: Path, said: Path) -> Iterator[None]:
    """Airflow's scheduler and all that it needs, in one process group."""
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(programs / "airflow"), "standalone"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, env={**own(), "PATH": f"{programs}:{os.environ['PATH']}"},
        )  # fmt: skip
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.wait(20)


def test_training_in_airflow(airflow: Path, in_project: Credit, capsys: Caught, record: Record, tmp_path: Path) -> None:
    """The DAG is parsed without an error, tested as Airflow tests one, and run once by the scheduler, unasked."""
    package, on = in_project.package, ("--on", "airflow", "-o", f"program={airflow / 'airflow'}")
    with record.row("Airflow 3.3", "`submit --on airflow`, DagBag, `airflow dags test`") as say:
        job = submit(capsys, package, *on)
        parsed = subprocess.run(
            [str(airflow / "python"), "-c", PARSE, str(tmp_path / "airflow/dags")],
            capture_output=True,
            text=True,
            env=own(),
        )
        assert parsed.stdout.splitlines()[-1] == f"{{}} ['{job}'] ['element_0']", parsed.stdout + parsed.stderr
        tested = subprocess.run(
            [str(airflow / "airflow"), "dags", "test", job], capture_output=True, text=True, env=own()
        )
        assert tested.returncode == 0, tested.stdout[-3000:]
        assert until(capsys, job, "done")["elements"][0]["attempt"] == 1
        told(capsys, "jobs", "fetch", job, "--to", str(tmp_path / "one"))
        say("no import errors; the run succeeded")
        say(in_project.same_as_notebook(tmp_path / "one"))
    with record.row("Airflow 3.3", "its own scheduler (`airflow standalone`), `--array` of 2") as say:
        Path("two.csv").write_text("seed\n0\n1\n")
        with standalone(airflow, tmp_path / "said.txt"):
            array = submit(capsys, package, *on, "--array", "two.csv", "--at-once", "1", *QUICK)
            found = until(capsys, array, "done", "failed", longest_s=900)
            assert found["state"] == "done", (found, _wrong(tmp_path))
            seen = _run_of(airflow, array)
        assert '"state": "success"' in seen
        say("2 of 2 done; `airflow dags list-runs` says success")


def _wrong(place: Path) -> str:
    """What Airflow said of its tasks, and of itself."""
    logs = [path.read_text(errors="replace")[-2000:] for path in (place / "airflow/logs").rglob("attempt=*.log")]
    return "\n".join([*logs, (place / "said.txt").read_text(errors="replace")[-3000:]])


def _run_of(programs: Path, job: str) -> str:
    """What Airflow says of a run once it has counted its tasks."""
    said = ""
    for _ in range(20):
        said = subprocess.run(
            [str(programs / "airflow"), "dags", "list-runs", job, "--output", "json"],
            capture_output=True,
            text=True,
            env=own(),
        ).stdout
        if '"state": "success"' in said:
            break
    return said
