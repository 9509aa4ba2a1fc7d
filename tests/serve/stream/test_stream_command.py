"""`nbproof serve-stream`: it answers while an approval covers the model, and goes on where it was."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mock_topics import IN, OUT, Topics

sys.path.append(str(Path(__file__).parents[2] / "review"))

from reviewed import BELA, key, without_variables, write_project

from nbproof.review.deciding import Verdict, decide, request

ROW = b'{"age": 30, "status": 2, "ratio": 0.25}'


@pytest.fixture
def topics() -> Iterator[Topics]:
    made = Topics.of_this_process()
    yield made
    made.producer.flush(5)


@pytest.fixture
def project(package_folder: Path, tmp_path: Path) -> Path:
    """A project with a packaged model that Ana has approved."""
    notebook = write_project(tmp_path / "project", people=(("Ana", 1), ("Cleo", 2)))
    root = notebook.parents[1]
    shutil.copytree(package_folder, root / "service")
    request(root, notebook, key=BELA, files={"model": "service"})
    decide(root, notebook, Verdict(decision="approved"), key(1))
    return root


def command(topics: Topics, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "nbproof", "serve-stream", "service", IN, OUT, "--brokers", topics.brokers,
        "--no-transactions", "--check", "0.2", *more,
    ]  # fmt: skip


def carried_out(topics: Topics, project: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(topics, *more), cwd=project, env=without_variables(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def until_answered(topics: Topics, count: int) -> None:
    deadline = time.monotonic() + 90
    while len(topics.answers()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_it_answers_until_the_approval_ends(topics: Topics, project: Path) -> None:
    """Rejected while it runs it ends with 3 and a reason, and answers nothing further; SIGTERM ends it well."""
    topics.send([ROW] * 6)
    notebook = project / "notebooks/score.ipynb"
    with subprocess.Popen(
        command(topics), cwd=project, env=without_variables(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        until_answered(topics, 6)
        decide(project, notebook, Verdict(decision="rejected", comment="leaks"), key(2))
        told, said = running.communicate(timeout=60)
    topics.send([ROW] * 2)
    again = carried_out(topics, project)

    assert running.returncode == 3
    assert "service` answers no more: found " in said
    assert "Cleo rejected it with notebooks/score.ipynb: leaks; expected an approval" in said
    assert told.startswith(f"answering {IN} in {OUT} with toy, each at least once, always under one name; approved by")
    assert (again.returncode, len(topics.answers())) == (3, 6)
    request(project, notebook, key=BELA, files={"model": "service"})
    for number in (1, 2):
        decide(project, notebook, Verdict(decision="approved"), key(number))
    with subprocess.Popen(
        command(topics), cwd=project, env=without_variables(), stdout=subprocess.PIPE, text=True
    ) as running:
        until_answered(topics, 8)
        running.send_signal(signal.SIGTERM)
        told, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert told.endswith("2 records are scored, 0 could not be\n")
    assert len(topics.answers()) == 8


@pytest.mark.slow
def test_what_is_there_is_answered_for_machines(topics: Topics, project: Path) -> None:
    """One JSON document, with how many records had a score and who has approved; altered, it is not loaded."""
    topics.send([ROW, b"no row"])

    done = carried_out(topics, project, "--until-end", "--json", "--log", "log")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "model": "toy", "version": "1.2.3", "approval": "approved by Ana with notebooks/score.ipynb",
        "delivery": "each at least once, always under one name", "scored": 1, "unscored": 1,
    }  # fmt: skip
    assert len(list((project / "log").glob("*.parquet"))) == 1
    (project / "service/more.txt").write_text("x")
    altered = carried_out(topics, project, "--until-end")
    assert altered.returncode == 3
    assert altered.stderr.startswith("error: ")
    assert "no decision is about a model with the content" in altered.stderr
