"""The credit training package on a real Ray, which counts its GPU; nbproof asks it over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from submitted import refused, submit, told, until

from conftest import Credit, Record, environment
from nbproof.cli.main import carry_out
from ports import free_port

Caught = pytest.CaptureFixture[str]
pytestmark = [pytest.mark.engines, pytest.mark.timeout(2400)]
# Ray writes the address of its own network card over 127.0.0.1, and leaves any other of these alone.
HOST, TRIES, START_S, WORKERS = "127.0.0.2", 3, 120, 24
QUICK = ("-p", "epochs=2", "-p", "replicates=100", "-p", "explained_rows=50")


@pytest.fixture(scope="module")
def dashboard() -> Iterator[str]:
    """A head node with four processors and a GPU that is but counted; it alone ends with the module."""
    ray = environment("ray")
    # Under load its parts wait for one another in vain, and say so; then it is begun anew.
    for left in reversed(range(TRIES)):
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
            address = f"http://{HOST}:{free_port()}"
            process = _started(ray, address, Path(place))
            try:
                if _answers(address, process):
                    yield address
                    return
                assert left, (Path(place) / "said").read_text()[-3000:]
            finally:
                _end(process)


def _started(ray: Path, address: str, place: Path) -> subprocess.Popen[bytes]:
    ports = {
        name: free_port()
        for name in ("port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
                     "runtime-env-agent-port", "metrics-export-port", "node-manager-port", "object-manager-port")
    }  # fmt: skip
    workers = ",".join(str(free_port()) for _ in range(WORKERS))
    with (place / "said").open("wb") as said:
        return subprocess.Popen(
            [str(ray / "ray"), "start", "--head", "--block", f"--node-ip-address={HOST}", f"--dashboard-host={HOST}",
             f"--dashboard-port={address.rpartition(':')[2]}", "--num-cpus=4", "--num-gpus=1",
             "--object-store-memory=100000000", f"--worker-port-list={workers}", f"--temp-dir={place}/ray",
             "--disable-usage-stats", *(f"--{name}={port}" for name, port in ports.items())],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            env={**os.environ, "PYTHONPATH": "", "RAY_USAGE_STATS_ENABLED": "0"},
        )  # fmt: skip


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/v0/nodes?detail=1", timeout=5) as answer:
                if b'"ALIVE"' in answer.read():
                    return True
        except OSError:
            pass
        time.sleep(0.5)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole session that was started, and no other Ray."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def test_training_on_ray(dashboard: str, in_project: Credit, capsys: Caught, record: Record, tmp_path: Path) -> None:
    """A GPU job whose products are those of the notebook, an array, one that is cancelled, one that is refused."""
    package, on = in_project.package, ("--on", "ray", "-o", f"address={dashboard}")
    with record.row("Ray 2.60, one node", "`submit --on ray --gpus 1`") as say:
        job = submit(capsys, package, *on, "--gpus", "1")
        found = until(capsys, job, "done", "failed", longest_s=1200)
        assert found["state"] == "done", found
        told(capsys, "jobs", "fetch", job, "--to", str(tmp_path / "one"))
        say("done, with the node's one GPU")
        say(in_project.same_as_notebook(tmp_path / "one"))
    with record.row("Ray 2.60, one node", "`--array` of 3 with a GPU each; one cancelled; 9 GPUs asked for") as say:
        Path("few.csv").write_text("seed\n0\n1\n2\n")
        array = submit(capsys, package, *on, "--array", "few.csv", "--gpus", "1", *QUICK)
        ended = until(capsys, array, "done", "failed", longest_s=1200)["elements"]
        assert [element["state"] for element in ended] == ["done"] * 3
        spans = sorted((element["began"], element["ended"]) for element in ended)
        assert all(after[0] >= before[1] - 1 for before, after in pairwise(spans)), spans
        say("3 of 3 done, one after another on the one GPU")
        cancelled = submit(capsys, package, *on)
        until(capsys, cancelled, "running")
        assert carry_out(["jobs", "cancel", cancelled]) == 0
        assert until(capsys, cancelled, "cancelled")["counted"] == {"cancelled": 1}
        say("the cancelled one ended")
        code, line = refused(capsys, "submit", str(package), "--unsafe-draft", "a test", *on, "--gpus", "9")
        assert (code, "9 GPU on one node, and the most that one has is" in line) == (1, True), line
        say("9 GPUs refused")
