"""Where a run comes from: the commit, the environment, the versions."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from ..records import Provenance
from . import environment


def provenance(project: Path, kernel: str) -> Provenance:
    """Describe what a run of `project` with `kernel` comes from; outside git the commit is None."""
    commit = _git(project, "rev-parse", "HEAD")
    dirty = bool(_git(project, "status", "--porcelain", "--untracked-files=no"))
    return Provenance(
        git_commit=commit,
        git_dirty=dirty,
        environment=environment.of_kernel(kernel).lock,
        python=platform.python_version(),
        nbproof=version("nbproof"),
    )


def _git(project: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=project, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
