"""Where a run comes from: the commit, the environment, the versions."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from ..records import Provenance
from .sources import environment


def provenance(project: Path, kernel: str) -> Provenance:
    """Describe what a run of `project` with `kernel` comes from; outside git the commit is None."""
    commit, is_dirty = git_state(project)
    return Provenance(
        git_commit=commit,
        git_dirty=is_dirty,
        environment=environment.of_kernel(kernel).lock,
        python=platform.python_version(),
        nbproof=_own_version(),
    )


def _own_version() -> str:
    found = environment.own().packages.get("nbproof")
    if found is not None:
        return found
    from importlib.metadata import version

    return version("nbproof")


def git_state(project: Path) -> tuple[str | None, bool]:
    """The commit that is checked out, and whether files that git tracks differ from it; one call of git tells both."""
    lines = _git(project, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
    headers = [line for line in lines if line.startswith("# ")]
    commits = [line.removeprefix("# branch.oid ") for line in headers if line.startswith("# branch.oid ")]
    commit = commits[0] if commits and commits[0] != "(initial)" else None
    return commit, len(lines) > len(headers)


def _git(project: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=project, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
