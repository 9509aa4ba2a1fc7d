"""What must be approved before a schedule may start it, asked when it is added and again at every tick."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..jobs import admission
from ..review.gate import let_pass
from ..run.pipeline.loading import find, load
from ..settings import load as load_settings
from .definition import Work


def admitted(package: Path, *, project: Path) -> Mapping[str, Any]:
    """What is remembered of a package that may be scheduled. Raises `PackageBroken` or `NotApproved`."""
    return admission.to_json(admission.admit(package, project=project))


def require(project: Path, work: Work) -> None:
    """Ask whether work may start as it is now.

    A package must be the very one that was scheduled, and approved. The notebooks of a pipeline must be approved where
    the setting `schedule_approved_only` says so. Raises `NotApproved`, `ApprovalInvalid` or `PackageBroken`.
    """
    if work.kind == "package":
        admission.verify_again(work.admission)
        return
    settings = load_settings(project, os.environ)
    if settings.schedule_approved_only:
        for task in load(find(project / work.path), project).pipeline.tasks:
            let_pass(project, task.notebook, doing="schedule", lock=settings.review_lock)
