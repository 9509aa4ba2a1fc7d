"""The credit training package on engines that really run: each of them in an environment of its own."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
for name in ("engagement", "jobs"):
    sys.path.insert(0, str(ROOT / "tests" / name))

from engagement_project import Engagement, start  # noqa: E402

PLACE = ROOT / ".venv-engines"
RECORD = ROOT / "docs/reference/engines-tested.md"
HEAD = """\
# Engines that were really run

The last output of `make test-engines`.
It runs the package of the reference engagement's training notebook (`06_training`, on the small cut of its data) on
engines that are started for it, and builds and runs the container of a package.
Everything that is said here was also asserted.

| engine | what was run | what came of it | seconds |
|---|---|---|---|
"""


@dataclass(slots=True)
class Record:
    """What was run, row by row: it becomes a page of the reference."""

    rows: list[tuple[str, str, str, float]] = field(default_factory=list)

    @contextmanager
    def row(self, engine: str, what: str) -> Iterator[Callable[[str], None]]:
        """A row, once the block has ended well and has said what came of it."""
        began, said = time.monotonic(), []
        yield said.append
        self.rows.append((engine, what, "; ".join(said), time.monotonic() - began))

    def text(self) -> str:
        lines = "".join(f"| {engine} | {what} | {said} | {took:.0f} |\n" for engine, what, said, took in self.rows)
        day, python = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}", platform.python_version()
        load = f"a load of {os.getloadavg()[2]:.0f}"
        on = f"{day}, {platform.system()}, {os.cpu_count()} processors under {load}, Python {python}"
        return f"{HEAD}{lines}\nRun on {on}; `make test-engines` writes this page again.\n"


def is_missing(what: str) -> NoReturn:
    """Skip what cannot run here; `make test-engines`, which promises to run it, fails instead."""
    if os.environ.get("ENGINES_RECORD"):
        pytest.fail(what)
    pytest.skip(f"{what}: make test-engines")


def environment(name: str) -> Path:
    """The programs of an engine's own environment."""
    found = PLACE / name / "bin"
    if not found.is_dir():
        is_missing(f"{name} has no environment in {PLACE.name}")
    return found


WRITTEN = pytest.StashKey[Record]()


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Record:
    """What is written once all is done."""
    return request.config.stash.setdefault(WRITTEN, Record())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the page when every engine did what was asked of it, and not after an interruption."""
    if exitstatus == 0 and os.environ.get("ENGINES_RECORD") and WRITTEN in session.config.stash:
        RECORD.write_text(session.config.stash[WRITTEN].text(), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Credit:
    """The engagement up to its training, and the package of that notebook."""

    engagement: Engagement
    package: Path

    def expected(self) -> dict[str, bytes]:
        """What the notebook left, by name."""
        build = self.engagement.root / "pipelines/credit/build/06_training"
        return {path.name: path.read_bytes() for path in build.iterdir() if path.suffix != ".ipynb"}

    def same_as_notebook(self, results: Path) -> str:
        """Assert that results are those of the notebook, byte for byte; in words how many they are."""
        expected = self.expected()
        found = {path.name: path.read_bytes() for path in results.rglob("build/06_training/*") if path.is_file()}
        assert found.keys() >= expected.keys()
        assert [name for name, content in expected.items() if found[name] != content] == []
        return f"{len(expected)} products are those of the notebook, byte for byte"


@pytest.fixture(scope="session")
def credit(tmp_path_factory: pytest.TempPathFactory) -> Credit:
    """Made once: about two minutes."""
    made = os.environ.get("ENGINES_CREDIT")
    engagement = Engagement(Path(made)) if made else start(tmp_path_factory.mktemp("credit") / "project")
    if not made:
        result = engagement.run("notebooks/06_training.ipynb")
        assert result.returncode == 0, result.stdout + result.stderr
    exported = engagement.root / "exports"
    if not exported.exists():
        command = [
            sys.executable,
            "-m",
            "nbproof",
            "export",
            "notebooks/06_training.ipynb",
            "--draft",
            "--json",
            "--other-values",
            "0",
        ]
        ended = subprocess.run(command, cwd=engagement.root, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return Credit(engagement, Path(json.loads(ended.stdout)["folder"]))
    return Credit(engagement, next(path for path in exported.iterdir() if not path.name.startswith(".")))


@pytest.fixture
def in_project(credit: Credit, monkeypatch: pytest.MonkeyPatch) -> Credit:
    """The current folder is that project."""
    monkeypatch.chdir(credit.engagement.root)
    for name in list(os.environ):
        if name.startswith(("NBPROOF_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NBPROOF_TRACKING", "false")
    return credit


@pytest.fixture(scope="session")
def base() -> Path:
    """Debian with its own Python, as a folder to build from."""
    found = PLACE / "box/rootfs"
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (found / "usr/bin" / python).exists():
        is_missing(f"there is no {python} in {found}")
    return found


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images of its own, which go with the test."""
    for name in ("buildah", "podman", "runc"):
        if shutil.which(name) is None:
            is_missing(f"{name} is not installed")
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/images"\nrunroot = "{tmp_path}/run"\n'
    )
    (tmp_path / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    return tmp_path


def done(*command: str) -> str:
    """What a program says that ends well."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout
