"""A DAG file for the user's own Airflow: what stands in it, and what its commands do when a shell runs them."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from submitted import refused, submit, told, until, until_begun

from nbproof.cli.main import carry_out
from nbproof.errors import JobRefused
from nbproof.jobs.job import PYTHON, Job, Resources
from nbproof.jobs.target import Seen
from nbproof.jobs.targets.airflow import Airflow, seen

Caught = pytest.CaptureFixture[str]
PLACE = "/p/.nbproof/jobs/train-0a1b2c"
PLAIN = Job(name="train", command=(PYTHON, "-m", "train", "--out", "{work}"), folder="/p/exports/train")
FULL = replace(
    PLAIN,
    resources=Resources(gpus=2, time_s=600),
    elements=tuple((f"--month={month}",) for month in range(8)),
    is_array=True,
    at_once=3,
)


def keywords(text: str, name: str) -> dict[str, str]:
    """The keywords that a call of `name` in a DAG file is given, as they are spelled."""
    (call,) = [
        node for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]  # fmt: skip
    return {each.arg or "": ast.unparse(each.value) for each in call.keywords}


def test_a_dag_runs_once_and_by_itself() -> None:
    """It waits for nobody to start it, and never runs for a time that is past."""
    text = Airflow(gpu_pool="gpus", queue="big").render(FULL, PLACE)["dag.py"]

    assert keywords(text, "DAG") == {
        "dag_id": "'train-0a1b2c'", "schedule": "'@once'",
        "start_date": "datetime(2020, 1, 1, tzinfo=timezone.utc)", "catchup": "False",
        "is_paused_upon_creation": "False", "max_active_runs": "1", "max_active_tasks": "3", "tags": "['nbproof']",
    }  # fmt: skip
    assert keywords(text, "BashOperator") == {
        "task_id": "f'element_{index}'", "bash_command": "COMMAND.replace('INDEX', str(index))", "append_env": "True",
        "retries": "2", "retry_delay": "timedelta(seconds=10)", "execution_timeout": "timedelta(seconds=720)",
        "pool": "'gpus'", "pool_slots": "2", "queue": "'big'",
    }  # fmt: skip
    assert "range(8)" in text


def test_no_command_is_taken_for_a_file() -> None:
    """Airflow reads what ends in .sh or .bash as the name of one, unless a space follows."""
    text = Airflow().render(PLAIN, "/p/jobs.sh/jobs/train-0a1b2c")["dag.py"]

    assert re.search(r"^COMMAND = 'exec env .* '$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("job", "place", "words"),
    [
        (replace(PLAIN, resources=Resources(gpus=1)), PLACE, "Airflow counts none"),
        (replace(PLAIN, after=("17",)), PLACE, "it waits for another job"),
        (PLAIN, "/p/{{ ds }}/jobs/train-0a1b2c", "is a template in Airflow's eyes"),
    ],
)
def test_what_airflow_would_not_do_is_refused(job: Job, place: str, words: str) -> None:
    """Before a file is written."""
    with pytest.raises(JobRefused, match=words):
        Airflow().render(job, place)


RUN = {"run_id": "scheduled__1", "state": "running"}


@pytest.mark.parametrize(
    ("run", "state", "expected"),
    [
        (RUN, "success", Seen("done")),
        (RUN, "running", Seen("running")),
        (RUN, "queued", Seen("waiting")),
        (RUN, None, Seen("waiting")),
        (RUN, "failed", Seen("failed", "Airflow: failed")),
        (RUN, "upstream_failed", Seen("cancelled", "Airflow: upstream_failed")),
        ({**RUN, "state": "failed"}, None, Seen("lost")),
        (RUN, "something new", Seen("unknown", "Airflow: something new")),
    ],
)
def test_what_airflow_says_of_a_task(run: Any, state: str | None, expected: Seen) -> None:
    """In its own words where they are no matter of course."""
    assert list(seen(run, [{"task_id": "element_0", "state": state}], 1)) == [expected]


@pytest.fixture
def dags(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an Airflow whose command line is somewhere else."""
    folder = Path("airflow/dags").absolute()
    folder.mkdir(parents=True)
    monkeypatch.setenv("AIRFLOW_HOME", "airflow")
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    return folder


ON = ("--on", "airflow", "-o", "program=no-airflow")


def commands(file: Path, size: int) -> Iterator[str]:
    """What a shell is given for each task, as Airflow gives it."""
    (command,) = re.findall(r"^COMMAND = (.*)$", file.read_text(), re.MULTILINE)
    yield from (ast.literal_eval(command).replace("INDEX", str(index)) for index in range(size))


def test_the_tasks_of_an_array_leave_their_results(package: Path, dags: Path, capsys: Caught) -> None:
    """As elements do everywhere; what they say is in the job's log."""
    Path("rows.csv").write_text("rows\n1\n2000\n")
    job = submit(capsys, package, *ON, "--array", "rows.csv")
    before = told(capsys, "jobs", "show", job)

    codes = [subprocess.run(["bash", "-c", each], capture_output=True).returncode
             for each in commands(dags / f"{job}.py", 2)]  # fmt: skip

    assert {element["state"] for element in before["elements"]} == {"unknown"}
    assert "found no `no-airflow` on this machine" in before["elements"][0]["reason"]
    assert codes == [0, 1]
    found = told(capsys, "jobs", "show", job)
    assert [element["state"] for element in found["elements"]] == ["done", "failed"]
    assert "too many rows" in Path(".nbproof/jobs", job, "logs/1.log").read_text()


def test_what_failed_is_told_to_airflow_as_well(package: Path, dags: Path, capsys: Caught) -> None:
    """Its users look into its own log first."""
    job = submit(capsys, package, *ON, "-p", "rows=2000")
    (command,) = commands(dags / f"{job}.py", 1)

    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)

    assert ended.returncode == 1
    assert "what this says is in" in ended.stdout
    assert "too many rows" in ended.stdout


def test_an_element_is_tried_as_often_as_the_job_says(package: Path, dags: Path, capsys: Caught) -> None:
    """Airflow has tries of its own for workers that are lost: they do nothing where an element has failed for good."""
    job = submit(capsys, package, *ON, "-p", "rows=2000", "--retries", "1")
    (command,) = commands(dags / f"{job}.py", 1)

    codes, states = [], []
    for _ in range(3):
        codes.append(subprocess.run(["bash", "-c", command], capture_output=True).returncode)
        states.append(told(capsys, "jobs", "show", job)["elements"][0])

    assert codes == [1, 1, 3]
    assert [(each["state"], each["attempt"]) for each in states] == [("unknown", 1), ("failed", 2), ("failed", 2)]
    assert Path(".nbproof/jobs", job, "logs/0.log").read_text().count("AssertionError: too many rows") == 2


def test_a_worker_that_is_lost_costs_no_try(package: Path, dags: Path, capsys: Caught) -> None:
    """Airflow ends it with a signal, or the machine is gone; the next start goes on from the checkpoint."""
    job = submit(capsys, package, *ON, "-p", "seconds=60")
    (command,) = commands(dags / f"{job}.py", 1)
    process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.DEVNULL)
    until_begun(capsys, job, "unknown")

    process.terminate()

    assert process.wait(60) != 0
    assert subprocess.run(["bash", "-c", command], capture_output=True).returncode == 0
    found = told(capsys, "jobs", "show", job)["elements"][0]
    assert (found["state"], found["attempt"]) == ("done", 2)


def test_a_cancelled_job_ends_by_itself(package: Path, dags: Path, capsys: Caught) -> None:
    """Nothing of it starts, since its file is gone; and what runs sees that it was cancelled."""
    job = submit(capsys, package, *ON, "-p", "seconds=60")
    (command,) = commands(dags / f"{job}.py", 1)
    process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.DEVNULL)
    until_begun(capsys, job, "unknown")

    assert carry_out(["jobs", "cancel", job]) == 0

    assert process.wait(60) != 0
    assert not (dags / f"{job}.py").exists()
    assert until(capsys, job, "cancelled")["elements"][0]["state"] == "cancelled"
    assert not any(Path(".nbproof/jobs", job, "results").iterdir())


def test_time_that_is_over_ends_an_element(package: Path, dags: Path, capsys: Caught) -> None:
    """It keeps its own time; it is warned before, and not tried again afterwards."""
    job = submit(capsys, package, *ON, "-p", "seconds=60", "--time", "4s", "--retries", "2")
    (command,) = commands(dags / f"{job}.py", 1)

    subprocess.run(["bash", "-c", command], capture_output=True)

    found = told(capsys, "jobs", "show", job)["elements"][0]
    assert (found["state"], found["reason"], found["attempt"]) == ("failed", "its time of 4 s was over", 1)


def test_without_a_folder_for_dags_the_engine_is_absent(
    package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and nothing left behind."""
    monkeypatch.setenv("AIRFLOW_HOME", "nowhere")
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)

    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", "--on", "airflow")

    assert (code, "airflow: found no folder" in line) == (1, True), line
    assert not any(Path(".nbproof/jobs").glob("*"))
