"""Rehearse a kernel's start in a fork that is thrown away, to learn which modules it needs, and import these too."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import socket
import sys
import tempfile
from typing import Any, NoReturn

# Importing it hooks it into the shell that is there: each kernel must do that itself.
NOT_AHEAD = {"matplotlib_inline.backend_inline"}
SCENES = ("1+1", "1/0", "import sys; sys.modules.get('matplotlib')", "%matplotlib inline")


def prepare(app: Any) -> None:
    """Import what a kernel around `app` needs for its start and its first cells.

    The fork has a second use: OpenBLAS and OpenMP end their threads before it, and start them again only for work.
    """
    for module in _needed(app):
        if module not in NOT_AHEAD and not module.startswith(("__main__", "__mp_main__")):
            with contextlib.suppress(Exception):
                importlib.import_module(module)


def _needed(app: Any) -> list[str]:
    """The modules that a kernel's start loads beyond those that are here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _rehearse(app, writing)
    os.close(writing)
    with os.fdopen(reading) as answers:
        text = answers.read()
    os.waitpid(pid, 0)
    try:
        found: list[str] = json.loads(text)
    except ValueError:
        return []
    return found


def _rehearse(app: Any, answer: int) -> NoReturn:
    before = set(sys.modules)
    folder = tempfile.mkdtemp(prefix="nbproof-rehearsal-")
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        app.lease, _ = socket.socketpair()
        app.initialize_channels(["-f", f"{folder}/kernel.json", "--HistoryManager.hist_file=:memory:"])
        scenes = SCENES if "matplotlib" in sys.modules else SCENES[:-1]
        for scene in scenes:
            app.kernel.shell.run_cell(scene)
        # In the order of their import: each finds what it needs.
        os.write(answer, json.dumps([name for name in sys.modules if name not in before]).encode())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
