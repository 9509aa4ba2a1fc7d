"""`nbproof doctor --fix`: what it mends, what it only says, and what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nbproof.cli import checks
from nbproof.cli.checks import Finding
from nbproof.cli.leftovers import held_by, leases_in
from nbproof.cli.main import carry_out
from nbproof.cli.mending import mends
from nbproof.errors import WorkFailed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which a build was killed."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    locks = tmp_path / ".nbproof/locks"
    locks.mkdir(parents=True)
    (locks / "weekly.holder.json").write_text('{"pid": 999999999}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def left_behind(tmp_path: Path) -> Iterator[psutil.Process]:
    """A process of a build that is gone."""
    environment = {**os.environ, "NBPROOF_LEASE": "scope/run/token"}
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path, env=environment)
    try:
        while process.pid not in leases_in(tmp_path):
            time.sleep(0.01)
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def test_without_an_answer_it_only_says_what_it_would_do(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can be asked here, and nobody has agreed: nothing is done."""
    carry_out(["doctor", "--fix", "--json"])

    said = capsys.readouterr()
    assert "would mend locks: remove the note of a build that was killed" in said.err
    assert "nothing was done; to do it: nbproof doctor --fix --yes" in said.err
    assert held_by(project) == {"weekly": 999999999}
    assert {found["check"]: found["state"] for found in json.loads(said.out)}["locks"] == "note"


def test_what_was_agreed_to_is_mended(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The note of the killed build goes, and the checks are made again."""
    carry_out(["doctor", "--fix", "--yes"])

    assert "mended locks" in capsys.readouterr().out
    assert held_by(project) == {}


def test_the_note_of_a_living_build_stays(project: Path) -> None:
    """Whoever builds now is not disturbed."""
    note = project / ".nbproof/locks/weekly.holder.json"
    note.write_text(json.dumps({"pid": os.getpid()}))

    assert list(mends([checks.locks({"weekly": 1 << 30})], project)) == []


def test_a_broken_database_is_put_aside(tmp_path: Path) -> None:
    """It is renamed and not removed; what was put aside before stays as well."""
    (tmp_path / "mlflow.db").write_bytes(b"no database, for sure" * 100)
    (tmp_path / "mlflow.db.broken").write_bytes(b"older")

    (mend,) = mends([checks.tracker(f"sqlite:///{tmp_path / 'mlflow.db'}")], tmp_path)
    mend.carry_out()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db.broken", "mlflow.db.broken2"]
    assert checks.tracker(f"sqlite:///{tmp_path / 'mlflow.db'}").state == "ok"


def test_a_whole_database_stays(tmp_path: Path) -> None:
    """What is in order is not touched."""
    sqlite3.connect(tmp_path / "mlflow.db").close()

    assert list(mends([checks.tracker(f"sqlite:///{tmp_path / 'mlflow.db'}")], tmp_path)) == []


def test_processes_that_were_left_are_ended(tmp_path: Path, left_behind: psutil.Process) -> None:
    """Those of this project go; they are found by their lease."""
    (mend,) = mends([checks.orphans(leases_in(tmp_path), building=False)], tmp_path)

    mend.carry_out()

    assert leases_in(tmp_path) == {}
    assert left_behind.wait(10) in (None, -signal.SIGKILL)


def test_a_build_that_starts_meanwhile_is_left_alone(tmp_path: Path, left_behind: psutil.Process) -> None:
    """Between the question and its answer somebody may have started one."""
    (mend,) = mends([checks.orphans(leases_in(tmp_path), building=False)], tmp_path)
    (tmp_path / ".nbproof/locks").mkdir(parents=True)
    (tmp_path / ".nbproof/locks/weekly.holder.json").write_text(json.dumps({"pid": os.getpid()}))

    with pytest.raises(WorkFailed, match="a build has started meanwhile"):
        mend.carry_out()

    assert left_behind.is_running()


@pytest.mark.parametrize(
    "found",
    [
        checks.python_version((3, 10, 4)),
        checks.ploomber_version("0.22.4"),
        checks.extras(lambda package: package != "shap"),
        Finding("project", "broken", "cannot write", "chmod u+w ."),
        Finding("tracker", "broken", "http://host does not answer", "start it, then: nbproof runs sync"),
        Finding("panels", "broken", "not found", "pip install --force-reinstall --no-deps nbproof"),
    ],
    ids=lambda found: found.check,
)
def test_nothing_is_installed_and_no_permission_changed(found: Finding, tmp_path: Path) -> None:
    """That is for whoever knows the machine; the command is shown as before."""
    assert list(mends([found], tmp_path)) == []


def test_what_a_command_would_be_is_said(tmp_path: Path) -> None:
    """Kernels and extensions are mended by Jupyter's own commands, in this environment alone."""
    findings = [checks.kernel("python3", {}), checks.server_extensions({"ploomber": True})]

    words = [mend.words.partition(" -m ")[2] for mend in mends(findings, tmp_path)]

    assert words == [
        "ipykernel install --sys-prefix --name python3", "jupyter server extension disable ploomber --sys-prefix",
    ]  # fmt: skip


def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    """Its last line is the reason."""
    (mend,) = mends([Finding("panels", "broken", "off", "jupyter labextension enable nbproof")], tmp_path)
    failing = [Finding("jupyterlab", "broken", "on", "jupyter no-such-command")]

    assert mend.words.endswith("-m jupyter labextension enable nbproof")
    with pytest.raises(WorkFailed, match="ended with"):
        next(mends(failing, tmp_path)).carry_out()


def test_agreeing_to_nothing_is_asked_wrongly(capsys: pytest.CaptureFixture[str]) -> None:
    """`--yes` alone says yes to nothing."""
    assert carry_out(["doctor", "--yes"]) == 2
    assert "found no --fix" in capsys.readouterr().err
