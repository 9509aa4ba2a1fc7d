"""Completion: the scripts of the shells, and what nbproof answers when they ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbproof.cli.completing import SHELLS, VARIABLE
from nbproof.cli.main import carry_out


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two pipelines, two runs and a job."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    for name in ("weekly", "monthly"):
        (tmp_path / "pipelines" / name).mkdir(parents=True)
        (tmp_path / "pipelines" / name / "pipeline.yaml").write_text("tasks: []\n")
    (tmp_path / ".nbproof/jobs/train-0a1b2c").mkdir(parents=True)
    return tmp_path


def asked(folder: Path, *words: str) -> list[str]:
    """What is offered for the last of these words."""
    environment = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": " ".join(["nbproof", *words]),
                   "COMP_CWORD": str(len(words))}  # fmt: skip
    ran = subprocess.run([sys.executable, "-m", "nbproof"], cwd=folder, env=environment, capture_output=True, text=True,
                         check=True)  # fmt: skip
    return ran.stdout.split()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It asks nbproof by a variable; as JSON it is the same script."""
    assert carry_out(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert carry_out(["completion", shell, "--json"]) == 0

    assert f"{VARIABLE}={shell}_complete" in script
    assert json.loads(capsys.readouterr().out) == {"shell": shell, "script": script.removesuffix("\n")}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The shell itself finds no mistake in it."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    carry_out(["completion", shell])

    ran = subprocess.run([shell, "-n"], input=capsys.readouterr().out, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_commands_and_options_are_offered(project: Path) -> None:
    """As click knows them."""
    assert asked(project, "comp") == ["plain,completion"]
    assert asked(project, "doctor", "--f") == ["plain,--fix"]
    assert asked(project, "init", "x", "--template", "te") == ["plain,text"]


def test_pipelines_are_offered_and_files_too(project: Path) -> None:
    """Relative to where one stands; a notebook is a file as any other."""
    assert asked(project, "run", "pipelines/w") == ["plain,pipelines/weekly", "file,pipelines/w"]
    assert asked(project / "pipelines", "status", "m") == ["plain,monthly", "file,m"]


def test_runs_are_offered_newest_first(project: Path) -> None:
    """By the names of their journals alone."""
    from nbproof.track import journal

    folder = journal.folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("20260101-000000-aaaaaa", "20260102-000000-bbbbbb"):
        (folder / f"{name}{journal.SUFFIX}").write_text("")

    assert asked(project, "runs", "show", "2026") == ["plain,20260102-000000-bbbbbb", "plain,20260101-000000-aaaaaa"]


def test_jobs_are_offered(project: Path) -> None:
    """By the names of their folders."""
    assert asked(project, "jobs", "logs", "tr") == ["plain,train-0a1b2c"]
    assert asked(project, "jobs", "logs", "x") == []
