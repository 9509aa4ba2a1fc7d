"""A bento, served and built by BentoML itself: it answers with what was approved, and with nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "review"))

from reviewed import BELA, key, write_project
from test_engine_service import ROWS, package

from conftest import Record, environment
from nbproof.review.deciding import Verdict, decide, request
from nbproof.serve.admission import ByApproval
from nbproof.serve.contents import read_contents
from nbproof.serve.package import of_contents
from nbproof.serve.shipping import ship
from ports import free_port

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a packaged model that Ana has approved."""
    notebook = write_project(tmp_path / "project", people=(("Ana", 1), ("Cleo", 2)))
    root = notebook.parents[1]
    package(root / "service")
    request(root, notebook, key=BELA, files={"model": "service"})
    decide(root, notebook, Verdict(decision="approved"), key(1))
    return root


def asked(port: int, path: str, rows: Any = None) -> tuple[int, Any]:
    """Status and answer; 0 while nobody listens."""
    body = None if rows is None else json.dumps({"rows": rows}).encode()
    sent = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(sent, timeout=10) as answer:
            content = answer.read()
            return answer.status, json.loads(content) if content.strip() else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, None


def variables(folder: Path) -> dict[str, str]:
    """Those of BentoML's commands: the nbproof that a bento brings is the only one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NBPROOF_", "PYTHON"))}
    return {**own, "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "home")}


@contextmanager
def serving(bento: Path, log: Path, **more: str) -> Iterator[int]:
    """`bentoml serve`; at which port."""
    port = free_port()
    command = [environment("bentoml") / "bentoml", "serve", bento, "--port", str(port)]
    with log.open("wb") as said, subprocess.Popen(
        command, cwd=bento, stdout=said, stderr=said, start_new_session=True, env={**variables(log.parent), **more}
    ) as process:  # fmt: skip
        try:
            yield port
        finally:
            # Its workers have sessions of their own, and end with it only when it ends them.
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def until(status: int, port: int, path: str, rows: Any = None) -> Any:
    deadline = time.monotonic() + 120
    while (found := asked(port, path, rows))[0] != status:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found[1]


def test_a_bento_answers_while_what_was_approved_is_there(project: Path, tmp_path: Path, record: Record) -> None:
    """The very scores; 503 once somebody rejects it; other bytes are never answered with; and BentoML builds it."""
    contents = read_contents(project / "service")
    found = of_contents(contents)
    grant = ByApproval(project).admit("service", contents.digest)
    bento = ship(found, grant, tmp_path / "bento", "bentoml").folder
    with record.row("BentoML 1.4", "`nbproof serve-export --as bentoml`, served and built by BentoML") as say:
        with serving(bento, tmp_path / "one.log", NBPROOF_PROJECT=str(project)) as port:
            answer = until(200, port, "/predict", ROWS)
            assert answer == {"model": found.manifest.name, "version": found.manifest.version,
                              "scores": found.load().score(ROWS)}  # fmt: skip
            status, said = asked(port, "/predict", [{**ROWS[0], "age": "x"}])
            assert (status, "rows.0.age" in said) == (400, True)
            decide(project, project / "notebooks/score.ipynb", Verdict(decision="rejected", comment="leaks"), key(2))
            until(503, port, "/predict", ROWS)
            # BentoML shows nobody the words of an error of the service; they are in its log.
            assert "Cleo rejected it" in (tmp_path / "one.log").read_text()
            until(503, port, "/readyz")
        with serving(bento, tmp_path / "two.log", NBPROOF_PROJECT=str(project)) as port:
            never(port, tmp_path / "two.log", "Cleo rejected it")
        altered = tmp_path / "altered"
        shutil.copytree(bento, altered)
        (altered / "model/more.txt").write_text("x")
        with serving(altered, tmp_path / "three.log") as port:
            never(port, tmp_path / "three.log", "and the service was built for")
        built = subprocess.run(
            [environment("bentoml") / "bentoml", "build"], cwd=bento, capture_output=True, text=True, check=False,
            env=variables(tmp_path),
        )  # fmt: skip
        assert built.returncode == 0, built.stdout + built.stderr
        (source,) = (tmp_path / "home/bentos").glob("*/*/src")
        assert {"service.py", "pinned.json", "model", "nbproof"} <= {path.name for path in source.iterdir()}
        assert read_contents(source / "model").digest == contents.digest
        say("the model's own scores; rejected or altered it answers nothing; the bento holds the approved bytes")


def never(port: int, log: Path, words: str) -> None:
    """It says why, and answers nothing."""
    deadline = time.monotonic() + 120
    while words not in log.read_text(errors="replace"):
        assert asked(port, "/predict", ROWS)[0] != 200
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        time.sleep(0.2)
    assert asked(port, "/predict", ROWS)[0] != 200
