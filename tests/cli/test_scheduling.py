"""`nbproof schedule`: what is asked wrongly is refused in one line before anything is written."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest

from nbproof.cli.main import carry_out

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"cell_type": "code", "id": "p", "metadata": {"tags": ["parameters"]}, "outputs": [], "execution_count": None,
         "source": "upstream = None\nproduct = None\nrows: int = 1\nas_of: str = ''"},
        {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": "rows"},
    ],
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one pipeline, which is the current folder."""
    folder = tmp_path / "project"
    (folder / "pipelines/credit").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (folder / "pipelines/credit/only.ipynb").write_text(json.dumps(NOTEBOOK))
    (folder / "pipelines/credit/pipeline.yaml").write_text("tasks:\n- {source: only.ipynb, product: build/o.ipynb}\n")
    monkeypatch.chdir(folder)
    return folder


DAILY = ("--cron", "0 6 * * *")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("pipelines/credit", "--cron", "0 25 * * *"), "--cron: found '25' as hour in '0 25 * * *', expected 0 to 23"),
        (("pipelines/credit", *DAILY, "--timezone", "Europe/Bärlin"), "--timezone: found 'Europe/Bärlin', expected"),
        (("pipelines/debit", *DAILY), "debit`: found nothing, expected a pipeline or a notebook"),
        (("pyproject.toml", *DAILY), "pyproject.toml`: found "),
        (("pipelines/credit", *DAILY, "--every", "1h"), "credit: found more than one of --cron, --every and --on"),
        (("pipelines/credit", *DAILY, "--to", "oozie"), "'oozie' is not one of"),
        (("pipelines/credit", *DAILY, "--on", "slurm"), "found a target or resources for what is no exported package"),
        (("pipelines/credit", *DAILY, "--every", "soon"), "found 'soon', expected 90s, 30min, 2h or 1d"),
        (("pipelines/credit", *DAILY, "--name", "Credit!"), "error: --name: found 'Credit!', expected up to 40 of"),
        (("pipelines/credit", *DAILY, "--on-failure", "pager"), "error: a hook: found 'pager', expected webhook:URL"),
        (("pipelines/credit", *DAILY, "-p", "as_of={today}"), "-p as_of={today}: found {today}, expected one of"),
        (("pipelines/credit", *DAILY, "-p", "as_of"), "-p as_of: found no `=`, expected NAME=VALUE"),
        (("pipelines/credit", *DAILY, "-p", "rows={logical_date}"), "rows"),
        (("pipelines/credit", *DAILY, "-p", "raws=1"), "raws"),
        (("pipelines/credit", "--every", "1s", "--to", "cron"), "--to cron: found a schedule that starts every 1 s"),
        (("pipelines/credit", *DAILY, "--to", "kubernetes"), "--to kubernetes: found no --image, no --volume"),
    ],
)  # fmt: skip
def test_what_cannot_be_scheduled_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], found: str
) -> None:
    """Exit code 2, one line with what was found, a hint; no ledger holds it."""
    assert carry_out(["schedule", "add", *words]) == 2

    line, hint, *more = capsys.readouterr().err.splitlines()
    assert found in line
    assert (hint.split(":")[0], more) == ("hint", [])
    assert carry_out(["schedule", "list", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_a_schedule_is_added_shown_and_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its first tick is told in its own time zone; who attends to it is said; a second of the same name is refused."""
    add = ["schedule", "add", "pipelines/credit", "--cron", "0 6 * * mon-fri", "--timezone", "Europe/Berlin",
           "-p", "as_of={logical_date}"]  # fmt: skip
    assert carry_out(add) == 0
    said = capsys.readouterr()
    assert said.out.startswith("credit: pipelines/credit starts 0 6 * * mon-fri (Europe/Berlin); first: ")
    assert " 06:00:00 CE" in said.out
    assert said.err == "note: nobody attends to the schedules; next: nbproof schedule run\n"

    assert carry_out(add) == 2
    assert "hint: --replace puts this one in its place" in capsys.readouterr().err
    assert carry_out([*add, "--replace", "--retries", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["policy"]["retries"] == 2
    assert carry_out(["schedule", "show", "credit", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ticks"], shown["counted"], shown["daemons"], shown["last"]) == ([], {}, [], None)
    assert shown["next_at"] > time.time()
    assert carry_out(["schedule", "remove", "credit"]) == 0
    for command in ("show", "remove"):
        assert carry_out(["schedule", command, "credit"]) == 2
        assert "no schedule is called `credit`; known: none" in capsys.readouterr().err


def test_an_event_is_kept_until_somebody_attends(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It waits in the ledger; of the same key there is one; without a reason there is none."""
    assert carry_out(["schedule", "add", "pipelines/credit", "--name", "retrain"]) == 0
    fire = ["schedule", "fire", "retrain", "--key", "drift-7", "--json"]
    assert carry_out([*fire, "--reason", " "]) == 2
    capsys.readouterr()

    for expected in (True, False):
        assert carry_out([*fire, "--reason", "PSI 0.31"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["tick"], told["state"], told["cause"], told["is_new"]) == (
            "event-drift-7", "waiting", "PSI 0.31", expected,
        )  # fmt: skip
    assert carry_out(["schedule", "fire", "nobody", "--reason", "x"]) == 2


def test_another_scheduler_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--to` beside `add` writes the files and adds the schedule; `show --to` prints them."""
    add = ["schedule", "add", "pipelines/credit", *DAILY, "--to", "systemd", "--out", "units"]
    assert carry_out(add) == 0
    assert "units/nbproof-credit.timer is written" in capsys.readouterr().out
    assert sorted(path.name for path in (project / "units").iterdir()) == [
        "nbproof-credit.service", "nbproof-credit.timer",
    ]  # fmt: skip
    assert carry_out(["schedule", "show", "credit", "--to", "systemd"]) == 0
    assert "OnCalendar=*-01,02" in capsys.readouterr().out


def test_once_says_when_nothing_is_due(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A look that finds nothing starts nothing and ends well; it needs a name, and a clock."""
    carry_out(["schedule", "add", "pipelines/credit", *DAILY])
    carry_out(["schedule", "add", "pipelines/credit", "--name", "arrivals", "--on-change", "data"])
    capsys.readouterr()

    assert carry_out(["schedule", "run", "credit", "--once"]) == 0
    assert capsys.readouterr().out.startswith("credit: nothing is due; next: ")
    assert carry_out(["schedule", "run", "--once"]) == 2
    assert carry_out(["schedule", "run", "arrivals", "--once"]) == 2
    assert carry_out(["schedule", "run", "nobody"]) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_disk_that_is_read_only(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names the folder that cannot be written."""
    project.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert carry_out(["schedule", "add", "pipelines/credit", *DAILY]) == 2
    finally:
        project.chmod(stat.S_IRWXU)
    assert "expected a writable folder" in capsys.readouterr().err


def test_a_ledger_that_cannot_be_written_or_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where the folder should be, and a ledger that is none: one line each, and nothing else."""
    (project / ".nbproof").write_text("mine")
    assert carry_out(["schedule", "add", "pipelines/credit", *DAILY]) == 2
    assert "error: cannot write in " in capsys.readouterr().err
    (project / ".nbproof").unlink()
    assert carry_out(["schedule", "list"]) == 0
    assert not (project / ".nbproof").exists()
    capsys.readouterr()
    (project / ".nbproof/schedule").mkdir(parents=True)
    (project / ".nbproof/schedule/ledger.sqlite").write_text("no ledger" * 100)

    assert carry_out(["schedule", "list"]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert "ledger.sqlite`: file is not a database; expected a ledger that can be read and written" in error
    assert hint.startswith("hint: ")


def test_the_ledger_is_for_its_owner(project: Path) -> None:
    """It may hold the address of a hook."""
    carry_out(["schedule", "add", "pipelines/credit", *DAILY])

    assert stat.S_IMODE((project / ".nbproof/schedule/ledger.sqlite").stat().st_mode) == 0o600
