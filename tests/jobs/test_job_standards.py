"""What a project gives its jobs, under what their command line says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from submitted import refused, told

Caught = pytest.CaptureFixture[str]
TABLE = """
[tool.nbproof.jobs]
target = "slurm"
cpus = 2
memory = "4G"
gpus = 1
gpu_kind = "h200"
time = "2h"
retries = 3

[tool.nbproof.jobs.slurm]
partition = "gpu"
account = "risk"
"""


def dry(capsys: Caught, package: Path, *options: str) -> Any:
    return told(capsys, "submit", str(package), "--unsafe-draft", "a test", "--dry-run", *options)


@pytest.fixture
def with_table(package: Path) -> Path:
    """A package in a project that says what its jobs are given."""
    Path("pyproject.toml").write_text(f"[tool.nbproof]\n{TABLE}")
    return package


def test_what_is_left_out_is_as_the_project_says(with_table: Path, capsys: Caught) -> None:
    """Target, resources, tries and the target's own options."""
    found = dry(capsys, with_table)

    assert found["target"] == "slurm"
    assert found["job"]["resources"] == {
        "cpus": 2, "memory_mb": 4096, "gpus": 1, "gpu_kind": "h200", "time_s": 7200
    }  # fmt: skip
    assert found["job"]["retries"] == 3
    script = found["files"]["job.sbatch"]
    assert "#SBATCH --partition=gpu" in script
    assert "#SBATCH --account=risk" in script


def test_the_command_line_wins(with_table: Path, capsys: Caught) -> None:
    """Also where it says none."""
    found = dry(capsys, with_table, "--cpus", "1", "--gpus", "0", "--retries", "0", "-o", "partition=long")

    assert found["job"]["resources"] == {
        "cpus": 1, "memory_mb": 4096, "gpus": 0, "gpu_kind": None, "time_s": 7200
    }  # fmt: skip
    assert found["job"]["retries"] == 0
    assert "#SBATCH --partition=long" in found["files"]["job.sbatch"]
    assert "#SBATCH --account=risk" in found["files"]["job.sbatch"]


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        ("[tool.nbproof.jobs.slrum]\npartition = 'a'", (), "no target is called `slrum`"),
        ("[tool.nbproof.jobs.slurm]\npartiton = 'a'", (), "`partiton` of the target slurm: found an unknown option"),
        ("[tool.nbproof.jobs.slurm]\npartition = 'a\\n#SBATCH --uid=0'", ("--on", "slurm"), "without spaces or quotes"),
        ("[tool.nbproof.jobs]\ntime = 'soon'", (), "the setting `jobs_time`: found 'soon'"),
        ("", ("-o", "partition=a"), "`partition` of the target local: found an unknown option"),
        ("", ("-o", "partition"), "-o partition: found no `=`"),
    ],
)
def test_what_no_target_knows_is_refused(
    package: Path, capsys: Caught, table: str, options: tuple[str, ...], words: str
) -> None:
    """A slip does not pass in silence, also in the table of a target that is not asked."""
    Path("pyproject.toml").write_text(f"[tool.nbproof]\n{table}\n")

    code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *options)

    assert (code, words in line) == (2, True), line
    assert not any(Path(".nbproof/jobs").glob("*"))
