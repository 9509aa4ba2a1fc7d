"""Jobs that cannot be handed over or carried out: one line that says why, and nothing half written."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from submitted import refused, submit, told, until

Caught = pytest.CaptureFixture[str]
DRAFT = ("--unsafe-draft", "a test")


def on_small_disk(mount: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where only its own process tree sees what is mounted."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no `unshare` here, so no small file system can be made")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    probe = subprocess.run([unshare, *as_root, "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {probe.stderr.decode().strip()}")
    script = f'{mount} && exec "$@"'
    return subprocess.run(
        [unshare, *as_root, "-m", "sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=300
    )


def test_a_job_that_does_not_fit_on_the_disk(package: Path) -> None:
    """It is not handed over, and leaves no folder that would be taken for a job."""
    Path(".nbproof/jobs").mkdir(parents=True)

    # Room for what is asked, and for nothing more.
    answer = on_small_disk(
        "mount -t tmpfs -o size=8k tmpfs .nbproof/jobs",
        "sh", "-c", '"$@"; code=$?; ls -A .nbproof/jobs; exit $code', "sh",
        sys.executable, "-m", "nbproof", "submit", str(package), *DRAFT,
    )  # fmt: skip

    assert answer.returncode == 1
    assert re.fullmatch(r"error: .* could not be written: No space left on device; .*\nhint: .*\n", answer.stderr)
    assert answer.stdout == ""


def test_results_that_do_not_fit_on_the_disk(package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    """The element fails and says why; what it had written is no result."""
    Path("dags").mkdir()
    job = submit(capsys, package, "--on", "airflow", "-o", f"dags={Path('dags').absolute()}", "-o", "program=none")
    (command,) = re.findall(r"^COMMAND = (.*)$", Path(f"dags/{job}.py").read_text(), re.MULTILINE)
    work = Path(".nbproof/jobs", job, "work").absolute()

    answer = on_small_disk(
        f"mount -t tmpfs -o nr_inodes=2 tmpfs '{work}'", "bash", "-c", ast.literal_eval(command).replace("INDEX", "0")
    )

    assert answer.returncode == 1
    assert "No space left on device" in answer.stdout
    found = told(capsys, "jobs", "show", job)["elements"][0]
    assert (found["state"], found["reason"]) == ("failed", "it ended with exit code 1")
    assert not any(Path(".nbproof/jobs", job, "results").iterdir())


def test_a_cluster_without_its_programs_is_absent(
    package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how to get them; nothing is left behind, and what was submitted before is still listed."""
    monkeypatch.setenv("PATH", "/nowhere")

    code, line = refused(capsys, "submit", str(package), *DRAFT, "--on", "slurm")

    assert (code, "slurm: found no `sbatch` on this machine" in line) == (1, True), line
    assert not any(Path(".nbproof/jobs").glob("*"))


def test_a_job_whose_engine_went_away_is_still_told_of(
    package: Path, capsys: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its programs were taken off this machine after it was submitted."""
    job = submit(capsys, package)
    submitted = Path(".nbproof/jobs", job, "submitted.json")
    until(capsys, job, "done")
    shutil.rmtree(Path(".nbproof/jobs", job, "results/0"))
    Path(".nbproof/jobs", job, "state/0.json").unlink()
    submitted.write_text(submitted.read_text().replace('"local"', '"slurm"'))
    monkeypatch.setenv("PATH", "/nowhere")

    found = told(capsys, "jobs", "show", job)

    assert (found["state"], "found no `squeue`" in found["note"]) == ("unknown", True)
