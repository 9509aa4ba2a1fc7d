"""A model answers only while an approval covers its very bytes; whatever ends that, ends its answers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.append(str(Path(__file__).parents[1] / "review"))
sys.path.append(str(Path(__file__).parents[1]))

from reviewed import BELA, key, without_variables, write_project

from nbproof.errors import ModelRefused, NotApproved
from nbproof.review import gate
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.gate import UnsafeBypass
from nbproof.review.ledger import Ledger
from nbproof.run.sources.hashes import content_hash
from nbproof.serve import admission
from nbproof.serve.admission import ByApproval
from nbproof.serve.app import Ways, served
from nbproof.serve.contents import digest_of, read_contents
from nbproof.serve.package import of_contents
from nbproof.serve.source import Folder
from ports import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

ROWS = {"rows": [{"age": 30, "status": 2, "ratio": 0.25}]}
TWO = (("Ana", 1), ("Cleo", 2))


@pytest.fixture
def project(package_folder: Path, tmp_path: Path) -> Path:
    """A project with a packaged model that Ana has approved."""
    notebook = write_project(tmp_path / "project", people=TWO, rules="expires_days = 30\n")
    shutil.copytree(package_folder, notebook.parents[1] / "service")
    ask(notebook.parents[1])
    decide(notebook.parents[1], notebook, Verdict(decision="approved"), key(1))
    return notebook.parents[1]


def ask(project: Path) -> None:
    request(project, project / "notebooks/score.ipynb", key=BELA, files={"model": "service"})


@contextmanager
def serving(project: Path, *, unsafe: UnsafeBypass | None = None, follow: bool = False) -> Iterator[TestClient]:
    """A started service of the project's model, which verifies many times a second."""
    source = Folder(project / "service")
    package = of_contents(source.contents())
    ways = Ways(check_s=0.05, follow=follow)
    with TestClient(served(package, source, ByApproval(project, unsafe), ways)) as client:
        yield client


def wait_for(client: TestClient, status: int) -> dict[str, Any]:
    """Wait until /ready has that status; what it says comes back."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = client.get("/ready")
        if answer.status_code == status:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.02)
    raise AssertionError(f"/ready never was {status}: {answer.status_code} {answer.text}")


def test_an_approved_model_answers_and_says_by_whose_approval(project: Path) -> None:
    """Its sentence, its end and the content hash that was approved are what /model shows."""
    with serving(project) as client:
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.post("/predict", json=ROWS).status_code == 200
        found = client.get("/model").json()

    assert found["approval"]["sentence"] == "approved by Ana with notebooks/score.ipynb"
    assert found["approval"]["is_approved"]
    assert found["approval"]["ends"] > f"{datetime.now(UTC) + timedelta(days=29):%Y-%m-%d}"
    assert found["digest"] == str(content_hash(project / "service")).removeprefix("sha256:")


@pytest.mark.parametrize("file", ["model.skops", "signature.json", "manifest.json", "more.txt"])
def test_other_bytes_than_the_approved_ones_are_never_loaded(project: Path, file: str) -> None:
    """Whichever file of the folder was changed or added, even where the manifest agrees with it."""
    path = project / "service" / file
    path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")

    with pytest.raises((NotApproved, ModelRefused)), serving(project):
        pass


def test_a_model_that_nobody_approved_is_not_loaded_unless_somebody_answers_for_it(project: Path) -> None:
    """A bypass is written into the ledger, and /model says that it is one."""
    (project / "service/more.txt").write_text("x")
    with pytest.raises(NotApproved, match="no decision is about a model"), serving(project):
        pass
    assert [entry.kind for entry in Ledger(project).read()] == ["requested", "approved"]

    with serving(project, unsafe=UnsafeBypass("Bela", "a demonstration")) as client:
        wait_for(client, 200)
        found = client.get("/model").json()["approval"]

    assert found == {
        "sentence": "a draft that nobody approved; Bela serves it: a demonstration", "is_approved": False, "ends": None,
    }  # fmt: skip
    last = Ledger(project).read()[-1]
    assert (last.kind, last.by) == ("unsafe-bypass", "Bela")
    assert last.comment.startswith("serve although not approved")


def reject(project: Path) -> None:
    """Cleo says no to the same bytes."""
    decide(project, project / "notebooks/score.ipynb", Verdict(decision="rejected", comment="leaks"), key(2))


def strike_off(project: Path) -> None:
    """Ana leaves the list of reviewers."""
    file = project / "approvals/reviewers.toml"
    file.write_text(file.read_text().replace('name = "Ana"', 'name = "Anton"'))


def change_rules(project: Path) -> None:
    """Two people must agree from now on."""
    file = project / "approvals/reviewers.toml"
    file.write_text("needed = 2\n" + file.read_text())


def break_rules(project: Path) -> None:
    """Nobody can read the rules any more."""
    (project / "approvals/reviewers.toml").write_text("needed = ")


def lose_ledger(project: Path) -> None:
    """A line of the ledger is another one."""
    file = project / "approvals/ledger.jsonl"
    file.write_text(file.read_text().replace("approved", "approvED", 1))


def alter(project: Path) -> None:
    """The model file on disk is another one."""
    (project / "service/model.skops").write_bytes(b"another")


def remove(project: Path) -> None:
    """The folder is gone."""
    shutil.rmtree(project / "service")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (reject, "Cleo rejected it with notebooks/score.ipynb: leaks"),
        (strike_off, "counts no more"),
        (change_rules, "counts no more: the rules have changed since"),
        (break_rules, "reviewers.toml"),
        (lose_ledger, "ledger"),
        (alter, "other files than those that were loaded"),
        (remove, "no folder"),
    ],
)
def test_what_ends_an_approval_ends_the_answers(project: Path, happens: Callable[[Path], None], reason: str) -> None:
    """/ready says why, and /predict gives no score, soon after it happened."""
    with serving(project) as client:
        assert client.post("/predict", json=ROWS).status_code == 200
        happens(project)
        said = wait_for(client, 503)
        answer = client.post("/predict", json=ROWS)

    assert reason in said["detail"]
    assert answer.status_code == 503
    assert reason in answer.json()["problems"][0]["what"]


def test_what_was_altered_and_is_as_before_answers_again(project: Path) -> None:
    """The bytes that answer were approved all the while; the reason is gone, and so is its effect."""
    before = (project / "service/model.skops").read_bytes()
    with serving(project) as client:
        alter(project)
        wait_for(client, 503)
        (project / "service/model.skops").write_bytes(before)
        wait_for(client, 200)


def test_an_approval_that_ends_while_it_answers(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At that very moment, not when somebody looks next."""
    ends = datetime.now(UTC) + timedelta(seconds=1.5)
    inner = gate.require_cover

    def ending(*given: Any, **named: Any) -> Any:
        from dataclasses import replace

        return replace(inner(*given, **named), expires=f"{ends:%Y-%m-%dT%H:%M:%SZ}")

    # Only the end is brought near: a day is the shortest that the rules can say.
    monkeypatch.setattr(gate, "require_cover", ending)
    monkeypatch.setattr(admission, "require_cover", ending)
    source = Folder(project / "service")
    app = served(of_contents(source.contents()), source, ByApproval(project), Ways(check_s=3600))
    with TestClient(app) as client:
        said = wait_for(client, 503)

    assert "its approval ended on" in said["detail"]


def test_what_was_read_is_what_is_loaded(project: Path) -> None:
    """A file that is exchanged between reading and loading is never looked at again."""
    package = of_contents(read_contents(project / "service"))
    (project / "service/model.skops").write_bytes(b"another")

    assert len(package.load().score(ROWS["rows"])) == 1


def test_the_hash_of_what_was_read_is_that_of_the_folder(tmp_path: Path) -> None:
    """Reviewers sign the one, and a service computes the other; folders and odd names make no difference."""
    for name in ("b", "a/c", "a.b/c", "a/b/d", "ä", "a b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = read_contents(tmp_path)

    assert found.digest == content_hash(tmp_path) == digest_of(found.files)


def command(project: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "nbproof", "serve", "service", "--port", str(free_port()), "--no-explain", *more]


@pytest.mark.slow
def test_the_command_serves_swaps_and_ends(project: Path) -> None:
    """From its first line to SIGTERM; SIGHUP loads what was approved meanwhile."""
    process = subprocess.Popen(
        command(project, "--json", "--check", "0.2"), cwd=project, env=without_variables(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        started = json.loads("".join(lines))
        with httpx.Client(base_url=started["url"], trust_env=False, timeout=30) as client:
            assert client.post("/predict", json=ROWS).json()["version"] == "1.2.3"
            approve_next(project)
            os.kill(started["pid"], signal.SIGHUP)
            deadline = time.monotonic() + 120
            while client.get("/model").json().get("version") != "1.2.4" and time.monotonic() < deadline:
                time.sleep(0.05)
            assert client.post("/predict", json=ROWS).json()["version"] == "1.2.4"
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()


def approve_next(project: Path) -> None:
    """The next version takes the model's place, in one step, and Ana approves it."""
    folder = project / "next"
    shutil.copytree(project / "service", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "1.2.4"}))
    (project / "service").rename(project / "before")
    folder.rename(project / "service")
    ask(project)
    decide(project, project / "notebooks/score.ipynb", Verdict(decision="approved"), key(1))


def test_what_takes_its_place_is_followed_once_it_is_approved(project: Path) -> None:
    """Until then nothing answers: the bytes that lie there are nobody's to serve."""
    with serving(project, follow=True) as client:
        approve_next(project)
        deadline = time.monotonic() + 120
        while client.post("/predict", json=ROWS).json().get("version") != "1.2.4":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_command_refuses_what_nobody_approved(project: Path) -> None:
    """Exit code 3, one line, and a hint."""
    (project / "service/more.txt").write_text("x")

    done = subprocess.run(
        command(project), cwd=project, env=without_variables(), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert "no decision is about a model with the content" in done.stderr
    assert "hint: nbproof review request" in done.stderr
