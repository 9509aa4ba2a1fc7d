"""A tiny pipeline to break: `make` → `use` → `tell`, each a percent script that notes in `ran.log` that it ran."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbproof import assemble
from nbproof.assemble import RunReport
from nbproof.run.freshness import Verdict

MAKE = """\
# %% tags=["parameters"]
upstream = None
product = {"data": "build/make/data.txt"}
rows: int = 3

# %%
import helper  # the local module beside the pipeline

with open("ran.log", "a") as log:
    log.write("make\\n")

# %%
with open(product["data"], "w") as file:
    file.write(helper.line() * rows)
"""
USE = """\
# %% tags=["parameters"]
upstream = {"make": {"data": "build/make/data.txt"}}
product = {"count": "build/use/count.txt"}

# %%
with open("ran.log", "a") as log:
    log.write("use\\n")
with open(upstream["make"]["data"]) as file:
    lines = len(file.readlines())
with open(product["count"], "w") as file:
    file.write(str(lines))
"""
TELL = """\
# %% tags=["parameters"]
upstream = {"use": {"count": "build/use/count.txt"}}
product = {"text": "build/tell/text.txt"}

# %%
with open("ran.log", "a") as log:
    log.write("tell\\n")
with open(upstream["use"]["count"]) as source, open(product["text"], "w") as target:
    target.write(f"there are {source.read()} lines")
"""
PIPELINE = """\
tasks:
  - source: make.py
    product: {nb: build/make/make.ipynb, data: build/make/data.txt}
  - source: use.py
    product: {nb: build/use/use.ipynb, count: build/use/count.txt}
  - source: tell.py
    product: {nb: build/tell/tell.ipynb, text: build/tell/text.txt}
"""
HELPER = 'def line():\n    return "one line\\n"\n'


@dataclass(frozen=True)
class Workspace:
    """A project folder in which `nbproof` is run as a user runs it."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def nbproof(
        self, *arguments: str, expect: int | None = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **(env or {})}
        # What a test adds to the search path does not hide where nbproof itself is taken from.
        if env and "PYTHONPATH" in env and "PYTHONPATH" in os.environ:
            environ["PYTHONPATH"] = os.pathsep.join([env["PYTHONPATH"], os.environ["PYTHONPATH"]])
        answer = subprocess.run(
            [Path(sys.executable).parent / "nbproof", *arguments],
            cwd=self.root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert expect is None or answer.returncode == expect, answer.stdout + answer.stderr
        return answer

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.nbproof("run", "pipeline.yaml", *arguments, **options)

    def build(self, *parameters: str, force: bool = False) -> RunReport:
        """Like `run`, but in this process, which has imported Ploomber already."""
        project = assemble.open_project(self.root)
        return assemble.run(
            project, assemble.load_pipeline(project, self.root / "pipeline.yaml", parameters), force=force
        )

    def plan(self, *parameters: str) -> dict[str, Verdict]:
        project = assemble.open_project(self.root)
        found = assemble.plan(project, assemble.load_pipeline(project, self.root / "pipeline.yaml", parameters))
        return {verdict.task: verdict for verdict in found}

    def status(self) -> dict[str, dict[str, Any]]:
        answer = self.nbproof("status", "pipeline.yaml", "--json")
        return {verdict["task"]: verdict for verdict in json.loads(answer.stdout)}

    def ran(self) -> list[str]:
        """The tasks that have run since the last time this was asked."""
        log = self.root / "ran.log"
        tasks = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return tasks

    def products(self) -> dict[str, bytes]:
        """Every data product by its path; executed notebooks hold times and are left out."""
        found = sorted(path for path in (self.root / "build").rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found if path.suffix != ".ipynb"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty project."""
    workspace = Workspace(tmp_path / "project")
    workspace.write("pyproject.toml", "[tool.nbproof]\nworkers = 2\ntracking = false\n")
    return workspace


@pytest.fixture
def tiny(workspace: Workspace) -> Workspace:
    """A project with the tiny pipeline, not yet built."""
    for name, text in {
        "make.py": MAKE,
        "use.py": USE,
        "tell.py": TELL,
        "helper.py": HELPER,
        "pipeline.yaml": PIPELINE,
    }.items():
        workspace.write(name, text)
    return workspace
