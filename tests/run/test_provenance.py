"""Where a run comes from, as git tells it."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from nbproof.run.provenance import provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    ran = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def state(folder: Path) -> tuple[str | None, bool]:
    found = provenance(folder, "python3")
    return found.git_commit, found.git_dirty


def test_a_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    """A changed file that git tracks counts, a file that it does not know does not."""
    git(tmp_path, "init", "-q")
    assert state(tmp_path) == (None, False)

    (tmp_path / "file").write_text("one\n")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "unknown").write_text("")
    assert state(tmp_path) == (commit, False)

    (tmp_path / "file").write_text("two\n")
    assert state(tmp_path) == (commit, True)

    git(tmp_path, "checkout", "-q", "--detach", "-f")
    (tmp_path / "sub").mkdir()
    assert state(tmp_path / "sub") == (commit, False)


def test_outside_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where there is no git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert state(tmp_path) == (None, False)

    monkeypatch.setenv("PATH", "")
    assert state(tmp_path) == (None, False)


def test_the_version_is_that_which_is_installed(tmp_path: Path) -> None:
    """The quick way to it says what `importlib.metadata` says."""
    assert provenance(tmp_path, "python3").nbproof == version("nbproof")
