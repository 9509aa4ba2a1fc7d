"""Files: the old content or the new, never half of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbproof.files import write_atomically


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk gives out in the middle, the reader still sees the old file, and no debris."""
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def fail(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")

    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]
    assert path.read_bytes() == b"old"
