"""`nbproof lab`: JupyterLab of this environment, with the panels on."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import AskedWrongly
from ..extras import require
from .checks import LOOK_S, PLOOMBER_EXTENSIONS, Finding, enabled_server_extensions, panels
from .output import as_json, print_json

LOOK_EVERY_S = 0.1


@click.command()
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[DIR] [-- OPTION...]")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@as_json
def lab(words: tuple[str, ...], no_browser: bool, as_json: bool) -> None:
    """Start JupyterLab in DIR, with the panels on.

    It is the JupyterLab of this environment, as it is configured; Ploomber's server extensions are off, its extension
    manager shows without installing, and it asks nobody for news or updates. What stands after -- goes to `jupyter lab`
    as it is. Ctrl-C ends the server and its kernels without asking.

    With --json: no browser, and one JSON document with the address as soon as the server answers.

    \b
    Example:
      nbproof lab
      nbproof lab notebooks -- --port=9000
    """
    folder, options = _told_apart(words)
    require("jupyterlab")
    _refuse_without(panels())
    if as_json or no_browser:
        options = ("--no-browser", *options)
    with _server(folder, options, is_silent=as_json) as process:
        if as_json:
            _print_address(process, folder)
        status = _wait(process)
    if status:
        sys.exit(status)


def _told_apart(words: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The folder, where one is named, and the options of JupyterLab."""
    named = words[:1] if words and not words[0].startswith("-") else ()
    folder = Path(named[0] if named else ".")
    if not folder.is_dir():
        raise AskedWrongly(f"found no folder `{folder}`, expected one to start JupyterLab in", hint=f"mkdir {folder}")
    return folder.resolve(), tuple(words[len(named) :])


def _refuse_without(found: Finding) -> None:
    if found.state == "broken":
        raise AskedWrongly(f"{found.found}; expected the panels of nbproof", hint=found.mend)


def command(folder: Path, options: Sequence[str]) -> tuple[str, ...]:
    """How JupyterLab is started; what the user asks for comes last, and so wins."""
    extensions: dict[str, bool] = {
        **enabled_server_extensions(),
        "jupyterlab": True,
        "nbproof.lab": True,
        **dict.fromkeys(PLOOMBER_EXTENSIONS, False),
    }
    return (
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--ServerApp.jpserver_extensions={extensions}",
        # Ctrl-C is meant; a question that nobody answers would keep the kernels.
        "--ServerApp.answer_yes=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *options,
    )


@contextlib.contextmanager
def _server(folder: Path, options: Sequence[str], *, is_silent: bool) -> Iterator[subprocess.Popen[bytes]]:
    """The server while it is wanted; whoever ends this process by a signal ends the server."""
    # With --json stdout holds one document and nothing else.
    process = subprocess.Popen(command(folder, options), stdout=2 if is_silent else None)
    previous = [(number, signal.signal(number, _interrupt)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield process
    finally:
        for number, handler in previous:
            signal.signal(number, handler)
        if process.poll() is None:
            process.terminate()
            process.wait()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the server, and return the code that it left with."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        # At a terminal the server has heard Ctrl-C itself; a second call to end does it no harm.
        process.terminate()
        return max(0, process.wait())


def _print_address(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Print where the server answers, once it does; nothing when it ends before."""
    from jupyter_core.paths import jupyter_runtime_dir

    file = Path(jupyter_runtime_dir()) / f"jpserver-{process.pid}.json"
    while process.poll() is None:
        found = _read(file)
        if found is not None and _answers(found):
            token = f"?token={found['token']}" if found.get("token") else ""
            print_json({"address": f"{found['url']}lab{token}", "pid": process.pid, "folder": folder})
            sys.stdout.flush()
            return
        time.sleep(LOOK_EVERY_S)


def _read(file: Path) -> dict[str, Any] | None:
    """What a server notes of itself; None while it has not, or not all of it."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return found


def _answers(server: Mapping[str, Any]) -> bool:
    """Whether somebody listens: a server notes where it will answer a moment before it does."""
    if server.get("sock"):
        return Path(server["sock"]).exists()
    try:
        socket.create_connection((server["hostname"], server["port"]), timeout=LOOK_S).close()
    except OSError:
        return False
    return True
