"""Packages to import ahead."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of installed packages, empty as yet; `PYTHONPATH` must name it."""
    folder = tmp_path / "lib" / "python3" / "site-packages"
    folder.mkdir(parents=True)
    return folder
