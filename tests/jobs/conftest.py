"""A package to submit, made once, and a cluster to submit it to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, cluster, is_installed

from nbproof.cli.main import carry_out

# It counts its starts beside its checkpoint, and takes as long as it is told.
WORK = """\
import os, time
from pathlib import Path
kept = Path(os.environ.get("NBPROOF_CHECKPOINT", "."))
begun = kept / "begun.txt"
begun.write_text(begun.read_text() + "x" if begun.exists() else "x")
while seconds and not (kept / "done.txt").exists() and len(begun.read_text()) == 1:
    time.sleep(0.1)
"""


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The draft of a package: it waits, if told so, the first time that it starts; it multiplies, and writes a file."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "pyproject.toml").write_text("[tool.nbproof]\n")
    cells = [
        ("rows: int = 3\nseconds: float = 0.0", ["parameters"]),
        (WORK, []),
        ("total = rows * 2\nPath('total.txt').write_text(str(total))\nprint('made', total)", []),
        ("assert rows < 1000, 'too many rows'", []),
    ]
    made = [
        {"cell_type": "code", "id": f"c{at}", "metadata": {"tags": tags}, "source": source, "outputs": [],
         "execution_count": None}
        for at, (source, tags) in enumerate(cells)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = folder / "multiply.ipynb"
    notebook.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made})
    )
    code = carry_out(["export", str(notebook), "--draft", "--out", str(folder / "made"), "--other-values", "0"])
    assert code == 0
    return next(place for place in (folder / "made").iterdir() if not place.name.startswith("."))


@pytest.fixture
def package(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, in a project of its own that is the current folder."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(exported, tmp_path / "exports" / exported.name))


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    """A cluster of two nodes; skipped where Slurm is not installed."""
    if not is_installed():
        pytest.skip("Slurm is not installed: apt-get install slurmctld slurmd slurm-client munge")
    with cluster() as made:
        yield made


@pytest.fixture
def on_slurm(slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, found by the programs that ask for one."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    slurm.wait_for_nodes()
    return slurm
