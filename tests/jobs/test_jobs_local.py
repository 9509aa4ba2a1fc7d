"""Jobs on this machine: processes of their own, which end well once, or say why not."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from submitted import LONGEST_S, refused, submit, told, until, until_begun

from nbproof.cli.main import carry_out

Caught = pytest.CaptureFixture[str]


def job_folder(job: str) -> Path:
    return Path(".nbproof/jobs") / job


def test_a_job_runs_and_leaves_its_results(package: Path, capsys: Caught) -> None:
    """They are fetched to where somebody wants them, and the log says what the notebook printed."""
    job = submit(capsys, package, "-p", "rows=5")
    until(capsys, job, "done")

    told(capsys, "jobs", "fetch", job, "--to", "out")

    assert Path("out/total.txt").read_text() == "10"
    capsys.readouterr()
    assert carry_out(["jobs", "logs", job]) == 0
    assert "made 10" in capsys.readouterr().out


def test_an_array_is_a_job_for_each_line(package: Path, capsys: Caught) -> None:
    """One that fails does not take the others with it, and partial results must be asked for."""
    Path("rows.csv").write_text("rows\n1\n2000\n3\n")
    job = submit(capsys, package, "--array", "rows.csv")

    found = until(capsys, job, "failed")

    assert [element["state"] for element in found["elements"]] == ["done", "failed", "done"]
    assert "exit code 1" in found["elements"][1]["reason"]
    assert refused(capsys, "jobs", "fetch", job)[0] == 1
    told(capsys, "jobs", "fetch", job, "--to", "out", "--partial")
    assert sorted(path.name for path in Path("out").iterdir()) == ["0", "2"]
    assert Path("out/2/total.txt").read_text() == "6"


def test_a_job_waits_for_another(package: Path, capsys: Caught) -> None:
    """And does not start when that one failed."""
    first = submit(capsys, package, "-p", "rows=2000")
    second = submit(capsys, package, "--after", first)

    found = until(capsys, second, "failed")

    assert "has not ended well" in found["elements"][0]["reason"]
    assert not (job_folder(second) / "results/0").exists()


def test_what_fails_is_tried_again(package: Path, capsys: Caught) -> None:
    """As often as was asked; the last try says why."""
    job = submit(capsys, package, "-p", "rows=2000", "--retries", "2")

    found = until(capsys, job, "failed")

    assert found["elements"][0]["attempt"] == 3
    assert (job_folder(job) / "logs/0.log").read_text().count("too many rows") == 3


def test_a_cancelled_job_ends(package: Path, capsys: Caught) -> None:
    """Nothing of it runs on, and it leaves no results."""
    job = submit(capsys, package, "-p", "seconds=60")
    until_begun(capsys, job)
    number = told(capsys, "jobs", "show", job)["number"]

    assert carry_out(["jobs", "cancel", job]) == 0

    assert until(capsys, job, "cancelled")["elements"][0]["state"] == "cancelled"
    running = [process for process in psutil.process_iter() if os.getpgid(process.pid) == int(number.partition("@")[0])]
    assert [process for process in running if process.status() != psutil.STATUS_ZOMBIE] == []
    assert not any((job_folder(job) / "results").iterdir())


def test_a_killed_job_is_lost_and_said_to_be(package: Path, capsys: Caught) -> None:
    """Somebody who kills its processes leaves nothing that is taken for a result."""
    job = submit(capsys, package, "-p", "seconds=60")
    until_begun(capsys, job)
    number = told(capsys, "jobs", "show", job)["number"]

    os.killpg(int(number.partition("@")[0]), signal.SIGKILL)

    assert until(capsys, job, "lost")["elements"][0]["state"] == "lost"


def test_time_that_is_over_ends_an_element(package: Path, capsys: Caught) -> None:
    """And the reason is told."""
    job = submit(capsys, package, "-p", "seconds=60", "--time", "2s")

    found = until(capsys, job, "failed")

    assert found["elements"][0]["reason"] in ("its time of 2 s was over", "it ended with signal SIGTERM")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 3, "is a draft, which nobody has approved"),
        (("--unsafe-draft", "a test", "-p", "rows=many"), 2, "`rows` is 'many', expected a whole number"),
        (("--unsafe-draft", "a test", "-p", "colour=1"), 2, "unknown parameter `colour`"),
        (("--unsafe-draft", "a test", "--gpus", "64"), 1, "it asks for 64 GPUs, and this machine has"),
        (("--unsafe-draft", "a test", "--on", "kafka"), 2, "no target is called `kafka`"),
        (("--unsafe-draft", "a test", "--time", "soon"), 2, "found 'soon', expected 90s, 30min, 2h or 1d"),
        (("--unsafe-draft", "a test", "--after", "nothing"), 2, "no job is called `nothing`"),
        (("--unsafe-draft", "a test", "--name", "My Job"), 2, "the name 'My Job'"),
    ],
)
def test_what_cannot_become_a_job_is_refused(
    package: Path, capsys: Caught, options: tuple[str, ...], code: int, words: str
) -> None:
    """With one line, a hint, and nothing left behind."""
    found, line = refused(capsys, "submit", str(package), *options)

    assert (found, words in line) == (code, True), line
    assert not any(Path(".nbproof/jobs").glob("*"))


def test_a_draft_that_runs_all_the_same_stands_in_the_ledger(package: Path, capsys: Caught) -> None:
    """Who wanted it, and why; without a reason there is none."""
    submit(capsys, package)

    (line,) = Path("approvals/ledger.jsonl").read_text().splitlines()

    assert "unsafe-bypass" in line
    assert "submit to local although it is a draft: a test" in line
    assert refused(capsys, "submit", str(package), "--unsafe-draft", " ")[0] == 2


def test_a_changed_package_is_refused(package: Path, capsys: Caught) -> None:
    """One line that is not what was exported."""
    steps = package / "src" / package.name / "steps.py"
    steps.write_text(steps.read_text().replace("* 2", "* 3"))

    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test")

    assert code == 3
    assert "steps.py changed" in line


def test_a_package_that_changes_while_it_waits_does_not_run(package: Path, capsys: Caught) -> None:
    """What was submitted is verified again where it starts; a refusal is not tried again."""
    first = submit(capsys, package, "-p", "seconds=60")
    until_begun(capsys, first)
    second = submit(capsys, package, "--after", first, "--retries", "3")
    steps = package / "src" / package.name / "steps.py"
    steps.write_text(steps.read_text().replace("* 2", "* 3"))
    Path(job_folder(first) / "checkpoints/0/done.txt").write_text("")

    found = until(capsys, second, "failed")

    assert "steps.py changed" in found["elements"][0]["reason"]
    assert found["elements"][0]["attempt"] == 1
    assert until(capsys, first, "done")


def test_fetching_never_mixes_with_what_is_there(package: Path, capsys: Caught) -> None:
    """A folder that holds something is refused, and stays as it is."""
    job = submit(capsys, package)
    until(capsys, job, "done")
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")

    code, line = refused(capsys, "jobs", "fetch", job, "--to", "out")

    assert code == 2
    assert "expected an empty folder" in line
    assert [path.name for path in Path("out").iterdir()] == ["mine.txt"]


def test_a_dry_run_shows_what_an_engine_would_be_told(package: Path, capsys: Caught) -> None:
    """And submits nothing."""
    found = told(
        capsys, "submit", str(package), "--unsafe-draft", "a test", "--on", "slurm", "--gpus", "1", "--dry-run"
    )

    assert "#SBATCH --gres=gpu:1" in found["files"]["job.sbatch"]
    assert not Path(".nbproof/jobs").exists()


def test_a_state_file_is_whole_json(package: Path, capsys: Caught) -> None:
    """Whoever looks from outside reads plain files."""
    job = submit(capsys, package)
    until(capsys, job, "done")

    # Results are what makes it done; that it says so itself comes a moment later.
    end = time.monotonic() + LONGEST_S
    while (found := json.loads((job_folder(job) / "state/0.json").read_text()))["state"] != "done":
        assert time.monotonic() < end, found
    assert found["attempt"] == 1
