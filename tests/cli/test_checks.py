"""The checks of `nbproof doctor`, each on something healthy and on something broken."""

from __future__ import annotations

import http.server
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nbproof.cli import checks
from nbproof.cli.checks import Finding
from nbproof.cli.leftovers import leases_in


def test_an_old_python_is_broken() -> None:
    """Python below 3.11 is named with what is expected; this one is fine."""
    assert checks.python_version((3, 10, 4)) == Finding(
        "python", "broken", "3.10.4, expected at least 3.11", "python3.11 -m venv .venv"
    )
    assert checks.python_version().state == "ok"


@pytest.mark.parametrize(("installed", "state"), [("0.23.3", "ok"), ("0.22.4", "broken"), ("0.24.0", "broken")])
def test_a_ploomber_with_telemetry_is_broken(installed: str, state: str) -> None:
    """Only 0.23.3 and later 0.23 pass: older ones report to their makers, newer ones are not known."""
    assert checks.ploomber_version(installed).state == state


def test_ploomber_here_passes() -> None:
    """The version that is looked up is the one installed; what is not installed has none."""
    assert checks.ploomber_version(checks.installed_version("ploomber")).state == "ok"
    assert checks.installed_version("no-such-distribution") is None
    assert checks.ploomber_version(None).state == "broken"


def test_missing_extras_are_a_note_with_their_command() -> None:
    """Missing optional packages break nothing; one command brings them all."""
    found = checks.extras(lambda package: package not in ("mlflow", "shap"))

    assert found == Finding("extras", "note", "not installed: explain, track", "pip install 'nbproof[explain,track]'")
    assert checks.extras(lambda package: True).state == "ok"


def test_an_unknown_kernel_is_broken() -> None:
    """A missing kernel is named beside those that are known."""
    found = checks.kernel("python3", {"ir": "/kernels/ir"})

    assert found.state == "broken"
    assert found.found == "no kernel is called `python3`; known: ir"
    assert checks.kernel("python3", checks.known_kernels()).state == "ok"


def test_a_folder_that_is_not_there_is_not_writable(tmp_path: Path) -> None:
    """Writing is tried, so that every way in which it can fail is found (root ignores permission bits)."""
    assert checks.writable(tmp_path).state == "ok"
    assert checks.writable(tmp_path / "missing").state == "broken"
    assert list(tmp_path.iterdir()) == []


def configure(folder: Path, name: str, **extensions: bool) -> None:
    file = folder / "jupyter_server_config.d" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"ServerApp": {"jpserver_extensions": extensions}}))


def test_the_last_word_on_a_server_extension_counts(tmp_path: Path) -> None:
    """Files in one folder are read by name, and the user's folder wins over the system's."""
    user, system = tmp_path / "user", tmp_path / "system"
    configure(system, "ploomber.json", ploomber=True, ploomber_extension=True)
    configure(system, "zz-nbproof.json", ploomber=False, ploomber_extension=False)
    configure(user, "mine.json", ploomber=True)

    enabled = checks.enabled_server_extensions([str(user), str(system)])

    assert enabled == {"ploomber": True, "ploomber_extension": False}
    found = checks.server_extensions(enabled)
    assert found.state == "broken"
    assert found.mend == "jupyter server extension disable ploomber --sys-prefix"


def test_this_installation_keeps_the_extensions_off() -> None:
    """What nbproof installs beside Ploomber keeps Ploomber's server extensions off."""
    assert checks.server_extensions(checks.enabled_server_extensions()).state == "ok"


def test_a_store_is_looked_at_and_not_made(tmp_path: Path) -> None:
    """A database that is not there yet is fine and stays away; one that is no database is broken."""
    file = tmp_path / "mlflow.db"

    assert checks.tracker(f"sqlite:///{file}").state == "ok"
    assert not file.exists()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE runs (id)")
    database.close()
    assert checks.tracker(f"sqlite:///{file}").state == "ok"
    file.write_bytes(b"no database at all" * 100)
    assert checks.tracker(f"sqlite:///{file}").state == "broken"


class Healthy(http.server.BaseHTTPRequestHandler):
    """A tracker that says it is well."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests have no use for its log."""


def test_a_server_must_answer() -> None:
    """A tracking server that answers is fine; where nobody listens, it is broken."""
    with http.server.HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{server.server_port}"
        try:
            assert checks.tracker(uri) == Finding("tracker", "ok", f"{uri} answers")
        finally:
            server.shutdown()
            thread.join()
    with socket.socket() as nobody:
        # Bound and not listening: the port is ours, and connections are refused.
        nobody.bind(("127.0.0.1", 0))
        assert checks.tracker(f"http://127.0.0.1:{nobody.getsockname()[1]}").state == "broken"


def ended_process() -> int:
    """The id of a process that has ended and was waited for."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_note_that_outlived_its_process_is_told() -> None:
    """A build that goes on is no matter; one that was killed, or left an unreadable note, is noted and stops nobody."""
    found = checks.locks({"alive": os.getpid(), "dead": ended_process(), "torn": None})

    assert (found.state, found.found) == ("note", "a build was killed: dead, torn")
    assert checks.locks({"alive": os.getpid()}).state == "ok"


def test_processes_without_a_build_are_orphans() -> None:
    """Processes of a build that goes on are at work; without one they are left behind, and may be ended."""
    leases = {41: "credit/r/t", 40: "credit/r/u"}

    assert checks.orphans(leases, building=True).state == "ok"
    assert checks.orphans({}, building=False).state == "ok"
    assert checks.orphans(leases, building=False) == Finding(
        "processes", "broken", "left behind by an earlier build: 40 41", "kill -9 40 41"
    )


def test_only_processes_of_this_project_are_looked_at(tmp_path: Path) -> None:
    """A leased process counts for the project that it works in, and for no other."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        cwd=mine,
        env={**os.environ, "NBPROOF_LEASE": "credit/r/t"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"

        assert leases_in(mine) == {process.pid: "credit/r/t"}
        assert leases_in(other) == {}


def test_a_machine_without_warm_kernels_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reason; nothing is broken, for kernels start all the same."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("NBPROOF_RUNTIME", str(tmp_path))
    assert checks.warm_kernels(True).state == "ok"
    assert checks.warm_kernels(False).mend == "set warm = true"

    (tmp_path / "one.refused").write_text('{"refused": "`x` cannot be imported ahead", "module": "x"}')
    assert checks.warm_kernels(True).state == "ok"
    (tmp_path / "two.refused").write_text('{"refused": "ipykernel 99 is not known here", "module": ""}')
    assert checks.warm_kernels(True).state == "note"
    assert checks.warm_kernels(True).found == "kernels started cold lately: ipykernel 99 is not known here"

    tmp_path.chmod(0o755)
    assert checks.warm_kernels(True).state == "note"
    assert "must belong to this user alone" in checks.warm_kernels(True).found
