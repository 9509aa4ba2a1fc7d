"""A project with a real registry in SQLite, models that differ by their bytes, and decisions about them."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

# The small project with people and keys is the one that the tests of reviews use.
sys.path.append(str(Path(__file__).parents[1] / "review"))

from reviewed import BELA, key, write_project

from nbproof.records import ContentHash
from nbproof.review.deciding import Verdict, decide, request
from nbproof.serve.registry import Entry, Registry, open_registry
from nbproof.settings import load
from nbproof.track.mlflow_tracker import open_tracker

NAME = "toy"


def start(
    folder: Path, *, people: tuple[tuple[str, int], ...] = (("Ana", 1),), rules: str = ""
) -> tuple[Path, Registry]:
    """A project and its registry, with nothing in it."""
    write_project(folder, people=people, rules=rules)
    shutil.copy(_empty_store(), folder / "mlflow.db")
    return folder, open_registry(folder, load(folder, {}))


@cache
def _empty_store() -> Path:
    """A store with all its tables and nothing in them: making one takes seconds."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_tracker(folder, load(folder, {}))
    return folder / "mlflow.db"


def add(
    registry: Registry, project: Path, content: bytes, *, signature: str = "s", scores: bytes = b"", **options: Any
) -> Entry:
    """Register a model of these bytes and make it the candidate, as the registration of a pipeline does."""
    model = project / "model.bin"
    model.write_bytes(content)
    entry, _ = registry.register(
        NAME, {"model": model}, signature=ContentHash.of(signature.encode()).hex,
        scores=ContentHash.of(scores or content).hex, experiment="toy", **options,
    )  # fmt: skip
    registry.move(NAME, "candidate", entry.number)
    return registry.holding(NAME).of_number(entry.number)


def say(project: Path, content: bytes, decision: Any = "approved", *, by: int = 1) -> None:
    """Ask about a model of these bytes, and decide."""
    notebook = project / "notebooks/score.ipynb"
    (project / "model.bin").write_bytes(content)
    request(project, notebook, key=BELA, files={"model": "model.bin"})
    decide(project, notebook, Verdict(decision=decision, comment="no" if decision == "rejected" else ""), key(by))


def champion(registry: Registry) -> dict[str, str]:
    """Which semantic version each alias names."""
    held = registry.holding(NAME)
    return {alias: str(held.of_number(number).version) for alias, number in held.aliases.items()}


def without_settings() -> dict[str, str]:
    """The environment of a command, free of what a developer may have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("NBPROOF_", "MLFLOW_"))}
