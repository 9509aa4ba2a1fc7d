"""One folder of warm processes for all the tests of a session; nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from nbproof.run.warm import pool


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder before any test, and before other processes that run tests are started."""
    if not hasattr(config, "workerinput"):
        config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="nbproof-"))
        os.environ[pool.RUNTIME_VARIABLE] = str(config.stash[FOLDER])
        os.environ.setdefault(pool.IDLE_VARIABLE, "120")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started in the folder."""
    folder = config.stash.get(FOLDER, None)
    if folder is not None:
        for zygote in pool.zygotes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(zygote["pid"], signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)


FOLDER = pytest.StashKey[Path]()
