"""Pipelines on a real Slurm of two nodes: a job for each task, lost by neither a node nor a client that is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster

from nbproof.cli.main import carry_out

Caught = pytest.CaptureFixture[str]
pytestmark = pytest.mark.slow
LONGEST_S = 120
# Each run of a task is a line; it waits where it is told to, and only the first time.
BEGIN = """\
import os, time
from pathlib import Path
with open("ran.log", "a") as log:
    log.write("{name}\\n")
while Path("hold-{name}").exists() and Path("ran.log").read_text().split().count("{name}") == 1:
    time.sleep(0.1)
"""


@dataclass(frozen=True)
class Project:
    """A pipeline whose tasks are told what to do beside noting that they ran."""

    root: Path

    def write(self, tasks: Mapping[str, tuple[Sequence[str], str]], **resources: Mapping[str, Any]) -> None:
        """Each task has those above it and the source of its cell."""
        given = {name: {"memory_mb": 200, **resources.get(name, {})} for name in tasks}
        entries = []
        for name, (above, body) in tasks.items():
            upstream = {each: {"data": f"build/{each}/data.txt"} for each in above} or None
            head = f'# %% tags=["parameters"]\nupstream = {upstream}\nproduct = {{"data": "d.txt"}}\nrows: int = 2\n\n'
            (self.root / f"{name}.py").write_text(f"{head}# %%\n{BEGIN.format(name=name)}\n{body}\n")
            product = {"nb": f"build/{name}/{name}.ipynb", "data": f"build/{name}/data.txt"}
            entries.append({"source": f"{name}.py", "product": product})
        executor = {"dotted_path": "nbproof.run.executor.TaskExecutor", "resources": given}
        (self.root / "pipeline.yaml").write_text(json.dumps({"executor": executor, "tasks": entries}))

    def chain(self) -> None:
        """Two tasks, the second one below the first."""
        self.write({
            "first": ([], 'Path(product["data"]).write_text("x" * rows)'),
            "second": (["first"], 'Path(product["data"]).write_text(Path(upstream["first"]["data"]).read_text() * 2)'),
        })  # fmt: skip

    def hold(self, task: str) -> Path:
        """A file as long as which is there a task waits."""
        path = self.root / f"hold-{task}"
        path.touch()
        return path

    def ran(self) -> list[str]:
        return (self.root / "ran.log").read_text().split() if (self.root / "ran.log").exists() else []

    def products(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in (self.root / "build").rglob("data.txt")}

    def until_ran(self, task: str) -> None:
        end = time.monotonic() + LONGEST_S
        while task not in self.ran():
            assert time.monotonic() < end
            time.sleep(0.1)

    def client(self, *options: str) -> subprocess.Popen[str]:
        """A run in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "nbproof", "run", "--on", "slurm", *options],
            cwd=self.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_slurm: Cluster) -> Iterator[Project]:
    """An empty project that is the current folder; no job of its tasks is left."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    monkeypatch.chdir(tmp_path)
    yield Project(tmp_path)
    end = time.monotonic() + LONGEST_S
    # A job that has said its last word takes a moment to go.
    while on_slurm.asked("squeue", "--noheader", "--format=%i"):
        assert time.monotonic() < end
        time.sleep(0.1)


def run(capsys: Caught, *options: str, expect: int = 0) -> dict[str, Any]:
    """Each task's outcome and all else, of a run on Slurm."""
    capsys.readouterr()
    code = carry_out(["run", "--on", "slurm", "--json", *options])
    said = capsys.readouterr()
    assert code == expect, said.err
    return {task["task"]: task for task in json.loads(said.out)["finished"]} if said.out else {"error": said.err}


def outcomes(found: Mapping[str, Any]) -> dict[str, str]:
    return {name: task["outcome"] for name, task in found.items()}


def submitted(cluster: Cluster) -> int:
    """How many jobs the cluster has ever been given, as far as it remembers."""
    return len(cluster.asked("squeue", "--noheader", "--states=all", "--format=%i").split())


def test_a_diamond_gives_the_same_as_here(project: Project, on_slurm: Cluster, capsys: Caught, tmp_path: Path) -> None:
    """Products are those of a local run; what is fresh is not submitted; who asks for a GPU is given one."""
    join = 'Path(product["data"]).write_text("".join(Path(each["data"]).read_text() for each in upstream.values()))'
    tasks: dict[str, tuple[Sequence[str], str]] = {
        "top": ([], 'Path(product["data"]).write_text("x" * rows)'),
        "left": (["top"], join + '\nPath("gpu.txt").write_text(os.environ["CUDA_VISIBLE_DEVICES"])'),
        "right": (["top"], join),
        "bottom": (["left", "right"], join),
    }
    project.write(tasks, left={"gpus": 1})

    found = run(capsys)
    before = submitted(on_slurm)
    again = run(capsys)

    assert outcomes(found) == dict.fromkeys(tasks, "done")
    assert outcomes(again) == dict.fromkeys(tasks, "fresh")
    assert submitted(on_slurm) == before
    assert Path("gpu.txt").read_text() == "0"
    assert project.ran() == ["top", *project.ran()[1:3], "bottom"]
    remote = project.products()
    shutil.rmtree("build")
    os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    try:
        assert carry_out(["run"]) == 0
    finally:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    assert project.products() == remote
    assert not list(Path(".nbproof/remote").glob("*/*"))


def test_a_failure_is_told_in_its_own_words(project: Project, capsys: Caught) -> None:
    """It is tried again as often as it may be; what is below it does not run, and the rest does."""
    project.write({
        "bad": ([], "print('about to fail')\nraise ValueError('no such rows')"),
        "below": (["bad"], ""),
        "apart": ([], 'Path(product["data"]).write_text("fine")'),
    })  # fmt: skip
    file = json.loads(Path("pipeline.yaml").read_text())
    file["executor"]["limits"] = {"bad": {"retries": 1, "backoff_s": 0}}
    Path("pipeline.yaml").write_text(json.dumps(file))

    found = run(capsys, expect=1)

    assert outcomes(found) == {"bad": "failed", "below": "blocked", "apart": "done"}
    assert found["bad"]["reason"] == "cell 3: ValueError: no such rows"
    assert found["bad"]["attempt"] == 2
    assert sorted(project.ran()) == ["apart", "bad", "bad"]


def test_a_lost_node_costs_its_task_once(project: Project, on_slurm: Cluster, capsys: Caught) -> None:
    """Its job is queued again, runs on the node that lives, and leaves what it would have left."""
    project.chain()
    hold = project.hold("first")
    client = project.client()
    project.until_ran("first")
    lost = on_slurm.asked("squeue", "--noheader", "--states=running", "--format=%N").strip()

    on_slurm.lose_node(lost)
    try:
        said, _ = client.communicate(timeout=LONGEST_S)
    finally:
        on_slurm.start(lost)
        hold.unlink()

    assert client.returncode == 0, said
    assert "start   first (attempt 2)" in said
    assert project.ran() == ["first", "first", "second"]
    assert project.products() == {"build/first/data.txt": b"xx", "build/second/data.txt": b"xxxx"}
    assert not list(Path("build").glob("*/.nbproof-*"))
    on_slurm.wait_for_nodes()


def test_an_interrupt_ends_the_jobs(project: Project, on_slurm: Cluster, capsys: Caught) -> None:
    """As it ends the notebooks of a local run; nothing is left in the queue, and nothing was published."""
    project.chain()
    project.hold("first")
    client = project.client()
    project.until_ran("first")

    client.send_signal(signal.SIGINT)
    said, _ = client.communicate(timeout=LONGEST_S)

    assert client.returncode == 130, said
    assert on_slurm.asked("squeue", "--noheader", "--format=%i") == ""
    assert project.products() == {}
    assert not list(Path("build").glob("*/.nbproof-*"))


def test_more_gpus_than_there_are_queue_nothing(project: Project, on_slurm: Cluster, capsys: Caught) -> None:
    """One line, in the words of the cluster, before any job of the pipeline is queued."""
    project.chain()
    project.write({"small": ([], ""), "large": (["small"], "")}, large={"gpus": 9})
    before = submitted(on_slurm)

    said = run(capsys, expect=1)["error"]

    assert said.startswith("error: slurm would not take the job: ")
    assert "Requested node configuration is not available" in said
    assert submitted(on_slurm) == before
    assert project.ran() == []


def test_neither_a_killed_client_nor_a_controller_that_is_away_loses_a_run(
    project: Project, on_slurm: Cluster, capsys: Caught
) -> None:
    """Its jobs go on; nobody runs it elsewhere; the next run follows it to its end, and nothing is done twice."""
    project.chain()
    hold = project.hold("first")
    client = project.client()
    project.until_ran("first")
    end = time.monotonic() + LONGEST_S
    while len(on_slurm.asked("squeue", "--noheader", "--format=%i").split()) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    client.send_signal(signal.SIGKILL)
    client.communicate()

    here = carry_out(["run"]), capsys.readouterr().err
    on_slurm.stop("controller")
    try:
        away = run(capsys, expect=1)["error"]
    finally:
        on_slurm.start("controller")
        on_slurm.wait_for_answer()
    again = project.client()
    assert again.stdout is not None
    said = ""
    while "of an earlier run" not in said and (line := again.stdout.readline()):
        said += line
    hold.unlink()
    said += again.communicate(timeout=LONGEST_S)[0]

    assert here[0] == 3
    assert "is being built by jobs on slurm" in here[1]
    assert away.startswith("error: slurm did not answer: ")
    assert again.returncode == 0, said
    assert "2 jobs of an earlier run go on" in said
    assert project.ran() == ["first", "second"]
    assert outcomes(run(capsys)) == {"first": "fresh", "second": "fresh"}


def test_an_exported_script_runs_the_pipeline(project: Project, on_slurm: Cluster, capsys: Caught) -> None:
    """By itself, with nothing of nbproof where it is started; what is below a failure is taken out of the queue."""
    project.write({
        "first": ([], 'Path(product["data"]).write_text("xx")'),
        "second": (["first"], 'Path(product["data"]).write_text(Path(upstream["first"]["data"]).read_text() * 2)'),
        "bad": (["first"], "raise ValueError('no')"),
        "last": (["bad", "second"], ""),
    })  # fmt: skip
    assert carry_out(["pipeline", "export", "--to", "slurm", "--out", "run.sh"]) == 0
    capsys.readouterr()

    subprocess.run(["bash", "run.sh"], check=True)
    end = time.monotonic() + LONGEST_S
    while on_slurm.asked("squeue", "--noheader", "--format=%i"):
        assert time.monotonic() < end
        time.sleep(0.2)

    assert project.products() == {"build/first/data.txt": b"xx", "build/second/data.txt": b"xxxx"}
    assert sorted(project.ran()) == ["bad", "first", "second"]
    (failed,) = Path(".nbproof/logs/slurm").glob("*-bad.log")
    assert "ValueError: no" in failed.read_text()
