"""Jobs on a real Slurm of two nodes: GPUs that are counted, arrays, chains, and nodes that are lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import Cluster
from submitted import refused, submit, told, until, until_begun

from nbproof.cli.main import carry_out

Caught = pytest.CaptureFixture[str]
pytestmark = pytest.mark.slow


def on(*options: str) -> tuple[str, ...]:
    return "--on", "slurm", *options


def node_of(cluster: Cluster, number: str) -> str:
    return cluster.asked("squeue", "--noheader", f"--jobs={number}", "--format=%N").strip()


def test_a_job_gets_its_gpu_and_leaves_its_results(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """The cluster counts the GPU; the results are those of the notebook."""
    job = submit(capsys, package, *on("--gpus", "1", "--memory", "200M", "--time", "5min", "-p", "rows=5"))

    found = until(capsys, job, "done")

    assert "gres:gpu:1" in on_slurm.asked("scontrol", "show", "job", found["number"])
    told(capsys, "jobs", "fetch", job, "--to", "out")
    assert Path("out/total.txt").read_text() == "10"


def test_an_array_of_eight_and_what_waits_for_it(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """Each element has its own parameters; the chain starts when all have ended well."""
    Path("rows.csv").write_text("rows\n" + "".join(f"{rows}\n" for rows in range(8)))
    array = submit(capsys, package, *on("--array", "rows.csv", "--memory", "200M", "--at-once", "3"))
    last = submit(capsys, package, *on("--after", array, "--memory", "200M"))

    ended = until(capsys, last, "done")["elements"][0]
    found = told(capsys, "jobs", "show", array)

    assert [element["state"] for element in found["elements"]] == ["done"] * 8
    assert ended["began"] >= max(element["ended"] for element in found["elements"])
    told(capsys, "jobs", "fetch", array, "--to", "out")
    assert [Path(f"out/{index}/total.txt").read_text() for index in range(8)] == [str(2 * rows) for rows in range(8)]


def test_what_waits_for_a_failure_never_starts(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """The cluster takes it away, and its state says so."""
    first = submit(capsys, package, *on("-p", "rows=2000", "--memory", "200M"))
    second = submit(capsys, package, *on("--after", first, "--memory", "200M"))

    assert until(capsys, first, "failed")["elements"][0]["reason"] == "it ended with exit code 1"
    assert until(capsys, second, "cancelled")["elements"][0]["began"] is None


def test_a_node_that_is_lost_costs_its_job_once(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """It is queued again, goes on from its checkpoint on a node that lives, and leaves the same results."""
    job = submit(capsys, package, *on("-p", "rows=7", "-p", "seconds=60", "--memory", "200M"))
    number = until_begun(capsys, job)["number"]
    lost = node_of(on_slurm, number)

    on_slurm.lose_node(lost)
    try:
        found = until(capsys, job, "done")
    finally:
        on_slurm.start(lost)

    assert found["elements"][0]["attempt"] == 2
    told(capsys, "jobs", "fetch", job, "--to", "out")
    assert Path("out/total.txt").read_text() == "14"
    assert "Restarts=1" in on_slurm.asked("scontrol", "show", "job", number)


def test_a_cancelled_job_leaves_the_queue(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """Waiting or running."""
    job = submit(capsys, package, *on("-p", "seconds=60", "--memory", "200M"))
    until_begun(capsys, job)

    assert carry_out(["jobs", "cancel", job]) == 0

    assert until(capsys, job, "cancelled")["counted"] == {"cancelled": 1}


def test_more_gpus_than_the_cluster_has_are_refused(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """In the words of the cluster; nothing is left behind."""
    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *on("--gpus", "9"))

    assert code == 1
    assert "Requested node configuration is not available" in line
    assert not any(Path(".nbproof/jobs").glob("*"))


def test_a_controller_that_is_away_is_no_lost_job(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """What runs is found again; what could not be submitted is kept, and said never to have arrived."""
    job = submit(capsys, package, *on("-p", "seconds=60", "--memory", "200M"))
    until_begun(capsys, job)
    on_slurm.stop("controller")
    try:
        away = told(capsys, "jobs", "show", job)
        code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *on())
    finally:
        on_slurm.start("controller")
        on_slurm.wait_for_answer()

    assert away["state"] == "unknown"
    assert "did not answer" in away["note"]
    assert code == 1
    assert "slurm did not answer" in line
    until(capsys, job, "running")
    Path(".nbproof/jobs", job, "checkpoints/0/done.txt").write_text("")
    until(capsys, job, "done")
    kept = [each for each in told(capsys, "jobs", "list") if each["id"] != job]
    assert [(each["state"], each["elements"][0]["reason"]) for each in kept] == [("lost", "it was never submitted")]


def test_an_answer_that_was_never_heard_is_recalled(on_slurm: Cluster, package: Path, capsys: Caught) -> None:
    """Killed between the submission and its answer, nbproof finds the job by the name that it carries."""
    job = submit(capsys, package, *on("-p", "rows=4", "--memory", "200M"))
    number = told(capsys, "jobs", "show", job)["number"]
    submitted = Path(".nbproof/jobs", job, "submitted.json")
    submitted.write_text(submitted.read_text().replace(f'"{number}"', "null"))
    results = Path(".nbproof/jobs", job, "results/0")

    found = until(capsys, job, "done")

    assert results.exists()
    assert found["number"] in (number, None)
