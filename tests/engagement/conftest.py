"""The reference engagement on the small cut of its data, in a project of its own that is run once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from engagement_project import Engagement, start
from filelock import FileLock


@pytest.fixture(scope="session")
def engagement(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Engagement:
    """Phases 01 to 06, run on 2000 clients; for reading only. With several test processes, the first one runs it."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    root, done = shared / "engagement", shared / "engagement.done"
    with FileLock(shared / "engagement.lock"):
        if not done.exists():
            made = start(root)
            result = made.run("notebooks/06_training.ipynb")
            assert result.returncode == 0, result.stdout + result.stderr
            done.touch()
    return Engagement(root)


@pytest.fixture
def fresh_engagement(tmp_path: Path) -> Engagement:
    """The engagement, not run yet, for a test that changes something."""
    return start(tmp_path / "project")


@pytest.fixture
def own_engagement(engagement: Engagement, tmp_path: Path) -> Engagement:
    """A copy of the engagement with what its phases left, for a test that changes something."""
    return Engagement(shutil.copytree(engagement.root, tmp_path / "project", symlinks=True))
