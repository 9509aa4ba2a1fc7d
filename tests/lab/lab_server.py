"""A real JupyterLab server to test against: on this machine alone, with a token, and with nothing of its user's."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ports import free_port

WARM, USUAL = "nbproof-warm", "python3"
SOURCES = Path(__file__).parents[2]
SPEC = SOURCES / "extensions/kernels" / WARM
PANELS = SOURCES / "extensions/lab/build/labextension"
SCHEDULER = "@jupyterlab/scheduler"
START_S, ANSWER_S, STOP_S = 120, 120, 60
QUIET = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # What comes while one types would race with what Tab asks for, and a first answer may take longer than a second.
    "@jupyterlab/completer-extension/manager": {"autoCompletion": False, "providerTimeout": 60_000},
}


@dataclass(frozen=True, slots=True)
class Lab:
    """A server that runs; notebooks lie in `root`."""

    address: str
    token: str
    root: Path
    log: Path
    process: subprocess.Popen[bytes]

    def ask(self, path: str, content: Any = None, *, method: str | None = None, below: str = "api") -> Any:
        """Talk to the REST API as its user; our own doors stand `below` nbproof."""
        request = urllib.request.Request(
            f"{self.address}/{below}/{path}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            said = answer.read()
        return json.loads(said) if said else None

    def write(self, name: str, kernel: str, *cells: str) -> str:
        """Write a notebook whose kernel is `kernel`; its name comes back."""
        content = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
            "cells": [
                {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source, "outputs": [],
                 "execution_count": None}
                for number, source in enumerate(cells)
            ],
        }  # fmt: skip
        (self.root / name).write_text(json.dumps(content))
        return name

    def kernel_of(self, notebook: str) -> psutil.Process:
        """The process of the kernel that runs for a notebook."""
        (session,) = [found for found in self.ask("sessions") if found["path"] == notebook]
        return process_of(session["kernel"]["id"])


def process_of(kernel_id: str) -> psutil.Process:
    """The process of a kernel, found by the connection file that it was started with."""
    found = [process for process in psutil.process_iter() if names_kernel(process, kernel_id)]
    assert len(found) == 1, found
    return found[0]


def names_kernel(process: psutil.Process, kernel_id: str) -> bool:
    try:
        return any(f"kernel-{kernel_id}.json" in word for word in process.cmdline())
    except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


def is_warm(kernel: psutil.Process) -> bool:
    """Whether a kernel was forked from one of our zygotes."""
    parent = kernel.parent()
    return parent is not None and any(word.endswith("/run/warm/zygote") for word in parent.cmdline())


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; one that nobody has buried yet has ended, too."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 90.0) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"after {timeout_s:g} s still not so: {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def jupyter_lab(
    folder: Path, *options: str, panels: bool = True, scheduler: bool = False, **variables: str
) -> Iterator[Lab]:
    """A JupyterLab server at home in `folder`, which has our kernelspec and panels as users of the wheel have them.

    A second one in the same folder finds what the first one left. With `scheduler`, jupyter-scheduler is on, too.
    """
    root, data, config = folder / "root", folder / "data", folder / "config"
    for made in (root, data, config):
        made.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SPEC, data / "kernels" / WARM, dirs_exist_ok=True)
    (data / "labextensions").mkdir(exist_ok=True)
    if panels and not (data / "labextensions/nbproof").is_symlink():
        (data / "labextensions/nbproof").symlink_to(PANELS)
    # The environment may have them, too.
    disabled = {"nbproof": not panels, SCHEDULER: not scheduler}
    (config / "labconfig").mkdir(exist_ok=True)
    (config / "labconfig/page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    served = {"ploomber": False, "ploomber_extension": False, "jupyterlab": True, "nbproof.lab": True}
    served["jupyter_scheduler"] = scheduler
    _write_settings(config / "lab/user-settings")
    token, port, log = secrets.token_hex(16), free_port(), folder / "lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "jupyter-lab",
                "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--expose-app-in-browser",
                "--LabApp.extension_manager=readonly", "--LabApp.news_url=",
                f"--ServerApp.jpserver_extensions={served}", *options,
            ],
            env={
                **os.environ, "HOME": str(folder), "IPYTHONDIR": str(folder / "ipython"),
                "JUPYTER_CONFIG_DIR": str(config), "JUPYTER_DATA_DIR": str(data),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                # What is tested lies in `data`, not where an installation put it.
                "JUPYTER_PREFER_ENV_PATH": "0", **variables,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    lab = Lab(f"http://127.0.0.1:{port}", token, root, log, process)
    try:
        wait_until(lambda: process.poll() is not None or _answers(lab), "the server answers", START_S)
        assert process.poll() is None, log.read_text()
        yield lab
    finally:
        stop(lab)


def stop(lab: Lab, *, may_hang_with_kernels: bool = True) -> None:
    """Close the server as its user does; one that does not end is ended, with its kernels, if that `may` happen."""
    if lab.process.poll() is None:
        lab.process.send_signal(signal.SIGTERM)
    try:
        lab.process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        # Now and then a thread of AnyIO is not told of the end, and Python waits for it, or an extension of Jupyter's
        # own does not end.
        left = psutil.Process(lab.process.pid).children(recursive=True)
        lab.process.kill()
        lab.process.wait()
        assert may_hang_with_kernels or left == [], f"it did not end within {STOP_S} s:\n{lab.log.read_text()[-4000:]}"
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _answers(lab: Lab) -> bool:
    try:
        return "version" in lab.ask("")
    except (urllib.error.URLError, OSError):
        return False


def _write_settings(folder: Path) -> None:
    for name, settings in QUIET.items():
        place = folder / f"{name}.jupyterlab-settings"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(settings))
