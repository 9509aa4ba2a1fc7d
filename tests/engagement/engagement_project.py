"""A copy of the reference engagement: run it, read what its phases leave, change it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
PIPELINE = Path("pipelines/credit")
CUT = "02_data_audit.panel=data/taiwan_credit_panel_monthly_2000clients.parquet"
COMMAND = (sys.executable, "-c", "from nbproof.cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Engagement:
    """A copy of the engagement: its project folder, and what its phases left there."""

    root: Path

    @property
    def pipeline(self) -> dict[str, Any]:
        return yaml.safe_load((self.root / PIPELINE / "pipeline.yaml").read_text(encoding="utf-8"))

    def run(
        self, target: str, *arguments: str, parameters: tuple[str, ...] = (CUT,)
    ) -> subprocess.CompletedProcess[str]:
        """`nbproof run TARGET`: a notebook brings the phases that it needs."""
        chosen = [word for each in parameters for word in ("-p", each)]
        return subprocess.run(
            [*COMMAND, "run", target, *chosen, *arguments],
            cwd=self.root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=580,
        )  # fmt: skip

    def product(self, phase: str, key: str) -> Path:
        """Where a phase leaves a product, as pipeline.yaml says."""
        task = next(task for task in self.pipeline["tasks"] if task["name"] == phase)
        return self.root / PIPELINE / task["product"][key]

    def read(self, phase: str, key: str) -> Any:
        """A JSON or YAML product."""
        path = self.product(phase, key)
        text = path.read_text(encoding="utf-8")
        return yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)

    def hashes(self) -> Mapping[str, str]:
        """The content hash of every product that is no executed notebook."""
        build = self.root / PIPELINE / "build"
        files = sorted(path for path in build.rglob("*") if path.is_file() and path.suffix != ".ipynb")
        return {path.relative_to(build).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def edit(self, notebook: str, old: str, new: str) -> None:
        """Replace a piece of code that occurs once in a notebook."""
        path = self.root / "notebooks" / notebook
        text = path.read_text(encoding="utf-8")
        old, new = (json.dumps(each, ensure_ascii=False)[1:-1] for each in (old, new))
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")


def environment() -> dict[str, str]:
    """No tracker and no settings from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NBPROOF_", "MLFLOW_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def start(root: Path) -> Engagement:
    """Copy what a run needs: the project file, the notebooks and the pipeline with its data."""
    root.mkdir(parents=True)
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copytree(REPOSITORY / PIPELINE, root / PIPELINE, ignore=shutil.ignore_patterns("build", ".*"))
    return Engagement(root)
