"""What setuptools brings for itself is not part of a kernel's environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbproof.run.sources import environment
from nbproof.run.sources.distributions import installed


def test_what_setuptools_adds_to_the_path_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that imported setuptools sees the very environment that a new kernel has."""
    vendored = tmp_path / "setuptools/_vendor"
    (vendored / "wheel-0.0.1.dist-info").mkdir(parents=True)
    (vendored / "wheel-0.0.1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: wheel\nVersion: 0.0.1\n")
    packages, described = installed(), environment.describe()

    monkeypatch.setattr(sys, "path", [*sys.path, str(vendored)])

    assert installed() == packages
    assert environment.describe() == described
    assert environment.own().lock == described.lock
