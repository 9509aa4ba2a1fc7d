"""One folder of warm processes for each process that runs tests; nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbproof.run.warm import pool


def pytest_configure(config: pytest.Config) -> None:
    """Name the folder before any test: tests that count forks, or end a zygote, meet no test of another process."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what runs in its background deaf to the keyboard, and so all that is started from there.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[FOLDER] = Path(tempfile.mkdtemp(prefix="nbproof-"))
    os.environ[pool.RUNTIME_VARIABLE] = str(config.stash[FOLDER])
    os.environ.setdefault(pool.IDLE_VARIABLE, "120")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what was started in the folder."""
    os.environ[pool.RUNTIME_VARIABLE] = str(config.stash[FOLDER])
    for zygote in pool.zygotes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(zygote["pid"], signal.SIGTERM)
    shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def _environment_stays() -> Iterator[None]:
    """A file of tests leaves no variable behind that would send the next one's runs to another store."""
    before = _variables()
    yield
    assert _variables() == before


@pytest.fixture(autouse=True, scope="module")
def _main_stays() -> Iterator[None]:
    """A file of tests leaves `__main__` as it was: a shell takes its place, and new processes begin with what it is."""
    before = sys.modules["__main__"]
    yield
    assert sys.modules["__main__"] is before


@pytest.fixture(autouse=True, scope="module")
def _no_event_loop_is_left() -> Iterator[None]:
    """A client of kernels that waits leaves its event loop open; whoever runs the next one would be blamed for it."""
    yield
    loop = getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None)
    if loop is not None and not loop.is_running() and not loop.is_closed():
        loop.close()
        asyncio.set_event_loop(None)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lstrip("_").startswith(("MLFLOW", "NBPROOF"))}


FOLDER = pytest.StashKey[Path]()
