"""`nbproof lab`: JupyterLab of this environment, started and ended as one expects."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from nbproof.cli import checks, opening
from nbproof.cli.main import carry_out
from nbproof.errors import AskedWrongly, ExtraMissing
from ports import free_port

PATIENCE_S = 120


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment of nobody's JupyterLab, with panels where it looks for them."""
    panels = tmp_path / "data/labextensions/nbproof"
    panels.mkdir(parents=True)
    (panels / "package.json").write_text(json.dumps({"name": "nbproof", "version": "0.1.0", "jupyterlab": {}}))
    return {
        **os.environ, "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "0",
    }  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    with (tmp_path / "log").open("wb") as opened:
        yield opened


@pytest.fixture
def ending_at_last() -> Iterator[contextlib.ExitStack]:
    """Whatever a test that fails leaves running ends with it."""
    with contextlib.ExitStack() as stack:
        yield stack


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_answers_and_ends_when_asked(
    tmp_path: Path,
    home: dict[str, str],
    log: IO[bytes],
    ending: signal.Signals,
    ending_at_last: contextlib.ExitStack,
) -> None:
    """One JSON document tells the address, where our doors are open and Ploomber's are not; Ctrl-C ends it."""
    (tmp_path / "books").mkdir()
    port = free_port()

    process = subprocess.Popen(
        [sys.executable, "-m", "nbproof", "lab", str(tmp_path / "books"), "--json", "--",
         f"--port={port}", "--ip=127.0.0.1", "--allow-root", "--ServerApp.port_retries=0"],
        env=home, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
    )  # fmt: skip
    ending_at_last.callback(_kill, process)
    assert process.stdout is not None
    said = json.loads(b"".join(iter(lambda: process.stdout.readline(), b"}\n")) + b"}")  # type: ignore[union-attr]
    address, _, token = said["address"].partition("lab?token=")
    asked = urllib.request.Request(f"{address}nbproof/about", headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        about = json.load(answer)
    # As a terminal does: the whole group is told.
    os.killpg(process.pid, ending)
    rest = process.stdout.read()
    process.stdout.close()

    assert address == f"http://127.0.0.1:{port}/"
    assert said["folder"] == str(tmp_path / "books")
    assert about["project"] == "."
    assert process.wait(timeout=PATIENCE_S) == 0
    assert rest == b""
    told = (tmp_path / "log").read_text()
    assert "nbproof.lab | extension was successfully loaded" in told
    assert "ploomber" not in told.replace("ploomber_extension", "ploomber").split("Serving notebooks")[0]


@pytest.mark.slow
def test_it_leaves_with_the_code_of_the_server(home: dict[str, str]) -> None:
    """A server that refuses an option refuses the command."""
    ran = subprocess.run(
        [sys.executable, "-m", "nbproof", "lab", "--json", "--", "--no-such-option=1"],
        env=home, capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip

    assert ran.returncode != 0
    assert ran.stdout == b""


def test_the_folder_and_the_options_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first word is the folder unless it is an option; all else goes to JupyterLab, last and so winning."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "books").mkdir()

    assert opening._told_apart(("books", "--port=1")) == (tmp_path / "books", ("--port=1",))
    assert opening._told_apart(("--port=1",)) == (tmp_path, ("--port=1",))
    assert opening._told_apart(()) == (tmp_path, ())
    assert opening.command(tmp_path, ("--port=1",))[-1] == "--port=1"
    with pytest.raises(AskedWrongly, match="found no folder `gone`"):
        opening._told_apart(("gone",))


def test_without_jupyterlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and what to install."""
    monkeypatch.setattr("nbproof.extras.is_installed", lambda package: package != "jupyterlab")

    with pytest.raises(ExtraMissing, match="the extra `lab` brings it"):
        opening.lab.callback(words=(), no_browser=True, as_json=True)  # type: ignore[misc]


def test_without_panels_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """JupyterLab without what one asked for is no answer: it is said how to have it."""
    monkeypatch.setattr("nbproof.cli.opening.panels", lambda: checks.panels([str(tmp_path)]))

    assert carry_out(["lab"]) == 2

    assert "expected the panels of nbproof\nhint: pip install" in capsys.readouterr().err


def test_the_doctor_looks_for_the_panels(tmp_path: Path) -> None:
    """Missing, switched off, of another version, or there: each is its own finding."""
    folder, config = tmp_path / "labextensions", tmp_path / "config"
    missing = checks.panels([str(folder)])
    (folder / "nbproof").mkdir(parents=True)
    (folder / "nbproof/package.json").write_text('{"version": "0.0.1"}')
    old = checks.panels([str(folder)], [str(config)])
    (folder / "nbproof/package.json").write_text(json.dumps({"version": checks.installed_version("nbproof")}))
    there = checks.panels([str(folder)], [str(config)])
    (config / "labconfig").mkdir(parents=True)
    (config / "labconfig/page_config.json").write_text('{"disabledExtensions": {"nbproof": true}}')
    off = checks.panels([str(folder)], [str(config)])
    (config / "labconfig/page_config.d").mkdir()
    (config / "labconfig/page_config.json").rename(config / "labconfig/page_config.d/mine.json")
    off_by_a_file_of_many = checks.panels([str(folder)], [str(config)])

    assert [found.state for found in (missing, old, there, off)] == ["broken", "note", "ok", "broken"]
    assert "JupyterLab" in there.found
    assert off_by_a_file_of_many == off
    assert off.mend == "jupyter labextension enable nbproof"
