"""The targets of this checkout, also where nbproof was installed before one of them was added."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture(scope="session", autouse=True)
def every_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Metadata with the entry points that pyproject.toml names, behind those that are installed."""
    targets = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["nbproof.targets"]
    made = tmp_path_factory.mktemp("metadata") / "nbproof_targets-0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: nbproof-targets\nVersion: 0\n")
    lines = "".join(f"{name} = {where}\n" for name, where in targets.items())
    (made / "entry_points.txt").write_text(f"[nbproof.targets]\n{lines}")
    sys.path.append(str(made.parent))
    yield
    sys.path.remove(str(made.parent))
