"""A run talks to nobody but this machine: watched in every process, from inside Python and from outside."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

NBPROOF = Path(sys.executable).parent / "nbproof"
# Installed in every Python process, before any of its own imports; what cannot be removed any more is an audit hook.
WITNESS = """\
import json, os, sys

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
           "socket.gethostbyaddr"}


def note(event, target):
    line = json.dumps([event, str(target), " ".join(sys.orig_argv[1:4])]) + "\\n"
    descriptor = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def hear(event, arguments):
    if event in WATCHED:
        # For a socket the target is the second argument; for a name it is the first.
        target = arguments[1] if event.startswith(("socket.connect", "socket.send")) else arguments[0]
        note(event, target[0] if isinstance(target, tuple) else target)


note("started", os.getpid())
sys.addaudithook(hear)
"""
QUIET = """\
# %% tags=["parameters"]
upstream = None
product = None

# %%
import mlflow

from nbproof import track

track.metrics(auc=0.9)
with open("noted", "w") as file:
    file.write("x")
track.artifact("noted")

# %%
with mlflow.start_run():
    mlflow.log_metric("own", 1.0)
"""
# 192.0.2.0/24 is set aside for documentation: nobody is there.
LOUD = """\
# %% tags=["parameters"]
upstream = None
product = None

# %%
import contextlib, socket

with contextlib.suppress(OSError):
    socket.create_connection(("192.0.2.1", 9), timeout=0.2)
with contextlib.suppress(OSError):
    socket.getaddrinfo("nobody.invalid", 80)
"""
PIPELINE = "tasks:\n  - source: SOURCE.py\n    product: build/SOURCE.ipynb\n"


def is_here(target: str) -> bool:
    """Whether `target` is this machine: a loopback address, its name, a path or nothing."""
    if target in {"", "None", "localhost", "0.0.0.0", "::"} or target.startswith(("/", "b'", "\0")):
        return True
    try:
        return ipaddress.ip_address(target).is_loopback
    except ValueError:
        return False


class Watched:
    """A project whose processes are all watched."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self.log, self.home = workspace, folder / "witness.jsonl", folder / "home"
        self.home.mkdir()
        (folder / "site").mkdir()
        (folder / "site/sitecustomize.py").write_text(WITNESS)
        self.environ = {
            **os.environ,
            "HOME": str(self.home),
            "PYTHONPATH": str(folder / "site"),
            "WITNESS": str(self.log),
            # Who watches system calls waits for the end of all that is watched.
            "NBPROOF_WARM_IDLE_S": "1",
        }

    def run(self, source: str, notebook: str, *, before: tuple[str, ...] = ()) -> None:
        self.workspace.write("pyproject.toml", "[tool.nbproof]\nworkers = 1\ndelivery_wait_s = 120\n")
        self.workspace.write(f"{source}.py", notebook)
        self.workspace.write("pipeline.yaml", PIPELINE.replace("SOURCE", source))
        answer = subprocess.run(
            [*before, NBPROOF, "run", "pipeline.yaml"],
            cwd=self.workspace.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "mlflow.db" in answer.stdout

    def heard(self) -> list[list[Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def watched(workspace: Workspace, tmp_path: Path) -> Watched:
    return Watched(workspace, tmp_path)


COLD = ("nbproof.run.worker", "ipykernel_launcher")
# What is forked is watched as well: hooks outlive a fork.
WARM = ('"kind": "worker"', '"kind": "kernel"')


@pytest.mark.parametrize(("warm", "words"), [("true", WARM), ("false", COLD)])
def test_a_run_speaks_to_nobody_outside(watched: Watched, warm: str, words: tuple[str, ...]) -> None:
    """Runner, courier, worker and kernel, tracking on: every address is this machine's own, and HOME keeps no trace."""
    watched.environ["NBPROOF_WARM"] = warm
    watched.run("quiet", QUIET)

    heard = watched.heard()
    started = [process for event, _, process in heard if event == "started"]
    for word in ("nbproof run", "nbproof.track.courier", *words):
        assert any(word in process for process in started), word
    spoken = [(event, target, process) for event, target, process in heard if event != "started"]
    assert [line for line in spoken if not is_here(line[1])] == []
    # The caches of IPython and matplotlib; no number by which somebody could count this user.
    assert {path.name for path in watched.home.iterdir()} <= {".cache", ".config", ".ipython"}
    assert {path.name for path in (watched.home / ".config").glob("*")} <= {"matplotlib"}


def test_a_notebook_that_speaks_to_somebody_is_heard(watched: Watched) -> None:
    """The witness of the test above hears what a kernel says."""
    watched.run("loud", LOUD)

    outside = [
        (event, target) for event, target, process in watched.heard() if event != "started" and not is_here(target)
    ]
    assert ("socket.connect", "192.0.2.1") in outside
    assert ("socket.getaddrinfo", "nobody.invalid") in outside


@pytest.mark.parametrize(("source", "notebook"), [("quiet", QUIET), ("loud", LOUD)])
def test_no_system_call_leaves_the_machine(watched: Watched, tmp_path: Path, source: str, notebook: str) -> None:
    """Libraries in C have no audit hook: the system calls of all processes are watched instead."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no `strace` here, so system calls cannot be watched")
    log = tmp_path / "strace.log"
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    probe = subprocess.run([strace, "-f", "-e", calls, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"processes may not be traced here: {probe.stderr.strip()}")

    watched.run(source, notebook, before=(strace, "-f", "-e", calls, "-o", str(log)))

    addresses = set(re.findall(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"', log.read_text()))
    outside = {address for address in addresses if not is_here(address)}
    assert "127.0.0.1" in addresses
    # Whoever is asked for a name is heard in the loud run, too.
    assert "192.0.2.1" in outside if source == "loud" else outside == set()
