"""The states of a notebook that can be compared: what lies there, what was decided about, what a digest names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import NbproofError, ReviewAskedWrongly
from ..records import ContentHash
from .against import approved_side
from .approval import verify
from .archive import CONTENT, Archive
from .binding import bind, read_document
from .difference import Side, of_content, of_document
from .ledger import Ledger
from .policy import read as read_policy
from .statement import Subject

SHORTEST = 6
_ENVIRONMENT = ("lock", "kernel")


def of_now(project: Path, notebook: Path, *, lock: str | None = None) -> Side:
    """The notebook as it lies there, with its data and environment where they can be told."""
    side = replace(of_document(read_document(notebook)), metrics=None, title=notebook.name)
    try:
        binding = bind(project, notebook, lock=lock)
    except NbproofError:
        return side
    return replace(side, parameters=binding.parameters, **_bound(binding.subjects))


def of_digest(project: Path, start: str) -> Side:
    """What a digest names: the last decision about that content, or at least the content that was kept.

    Raises `ReviewAskedWrongly` unless exactly one content begins so, and `ApprovalInvalid` when it is not whole.
    """
    project = project.resolve()
    wanted = start.removeprefix("sha256:").lower()
    names = [path.stem for path in sorted((project / CONTENT).glob("*.json")) if path.stem.startswith(wanted)]
    if len(wanted) < SHORTEST or len(names) != 1:
        raise ReviewAskedWrongly(
            f"`{start}`", f"{len(names)} contents that begin so", f"one, of {SHORTEST} signs or more",
            hint="nbproof review log",
        )  # fmt: skip
    digest = ContentHash(names[0])
    title = f"digest {digest.short}"
    archive, keys = Archive(project), read_policy(project).keys
    decided = [entry for entry in Ledger(project).read()
               if entry.digest == digest.hex and entry.kind not in ("requested", "unsafe-bypass")]  # fmt: skip
    if not decided:
        return replace(of_content(archive.content(digest)), metrics=None, title=title)
    approval = verify(archive.envelope(decided[-1]), keys, where=decided[-1].file)
    side = approved_side(project, approval)
    named = f"{title}, {approval.decision} {approval.at[:10]}"
    return replace(side, metrics=side.metrics or None, title=named, **_bound(approval.subjects))


def importance(content: bytes) -> Mapping[str, float] | None:
    """The mean absolute share of each feature, as the product `explanation` of a training step holds it."""
    try:
        found = json.loads(content)["mean_abs_shap"]
        return {str(name): float(value) for name, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _bound(subjects: tuple[Subject, ...]) -> dict[str, Any]:
    return {
        "data": {held.name: held.digest.hex for held in subjects if held.kind == "data"},
        "modules": {held.name: held.digest.hex for held in subjects if held.kind == "module"},
        "environment": {held.name: held.digest.hex for held in subjects if held.kind in _ENVIRONMENT},
    }
