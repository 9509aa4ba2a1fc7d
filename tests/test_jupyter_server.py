"""JupyterLab beside nbproof: Ploomber's server extension, which breaks it, and its cloud button stay off."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ports import free_port

START_S = 120


@contextlib.contextmanager
def jupyter_lab(folder: Path, *options: str) -> Iterator[tuple[str, Path]]:
    """A real JupyterLab server with `folder` as its home and root; yields its address and its log."""
    port, log = free_port(), folder / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "jupyter-lab",
                "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
                "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
                "--LabApp.extension_manager=readonly", "--LabApp.news_url=",
                *options,
            ],
            env={**os.environ, "HOME": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_S
            while "is running at" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address, log
        finally:
            process.terminate()
            process.wait(timeout=120)


def contents_status(address: str) -> int:
    try:
        with urllib.request.urlopen(f"{address}/api/contents", timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_jupyterlab_lists_files_and_loads_nothing_of_ploomber(tmp_path: Path) -> None:
    """With nbproof installed, the file browser works, no Ploomber extension runs and no user id is written."""
    with jupyter_lab(tmp_path) as (address, log):
        assert contents_status(address) == 200
        assert "nbproof.lab | extension was successfully loaded" in log.read_text()
        assert "nbproof" in shown_extensions(address)
        assert "ploomber-extension" not in shown_extensions(address)
        assert "ploomber | extension was successfully loaded" not in log.read_text()
        assert "ploomber_extension | extension was successfully loaded" not in log.read_text()
    assert not (tmp_path / ".ploomber").exists()


def shown_extensions(address: str) -> set[str]:
    """The extensions that the page is told of and not told to leave out."""
    with urllib.request.urlopen(f"{address}/lab", timeout=60) as answer:
        page = answer.read().decode()
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    told = json.loads(found[1])
    return {extension["name"] for extension in told["federated_extensions"]} - set(told["disabledExtensions"])


@pytest.mark.slow
def test_the_extension_that_is_kept_off_does_break_jupyterlab(tmp_path: Path) -> None:
    """Switched on by hand, it answers every listing with an error: the reason why it stays off."""
    options = '--ServerApp.jpserver_extensions={"ploomber": True, "jupyterlab": True}'
    with jupyter_lab(tmp_path, options) as (address, log):
        assert "ploomber | extension was successfully loaded" in log.read_text()
        assert contents_status(address) == 500
