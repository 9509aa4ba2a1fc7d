"""Files: the old content or the new, never half of one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


def test_everybody_may_read_what_is_written_as_the_umask_says(tmp_path: Path) -> None:
    """A file has the permissions of any file that its user makes."""
    usual, path = tmp_path / "usual", tmp_path / "file"
    usual.touch()

    write_atomically(path, b"content")

    assert path.stat().st_mode == usual.stat().st_mode


def test_what_a_killed_writer_has_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """SIGKILL leaves an unfinished file; the next writer of the same target removes it, and no other file."""
    path, own, other = tmp_path / "file", tmp_path / ".file.backup", tmp_path / ".other.0123456789abcdef.unfinished"
    own.write_bytes(b"mine")
    other.write_bytes(b"of another target")
    with _writer(path) as writer:
        writer.kill()
        writer.wait()
    (left,) = tmp_path.glob(".file.*.unfinished")

    write_atomically(path, b"whole")

    assert not left.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == [".file.backup", other.name, "file"]
    assert path.read_bytes() == b"whole"


def test_a_writer_that_lives_keeps_its_unfinished_file(tmp_path: Path) -> None:
    """Two write the same target at once: both finish, and the last one stands."""
    path = tmp_path / "file"
    with _writer(path) as writer:
        write_atomically(path, b"first")
        assert writer.stdin is not None
        writer.stdin.write("go on\n")
        writer.stdin.flush()
        assert writer.wait() == 0

    assert path.read_bytes() == b"last"
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def _writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of writing `path`, which goes on when it is told to."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom nbproof.files import written_at_end\n"
        "with written_at_end(Path(sys.argv[1])) as unfinished:\n"
        "    unfinished.write_bytes(b'last')\n    print('begun', flush=True)\n    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        yield writer
