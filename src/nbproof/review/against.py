"""The difference between what is there and what was approved last, which needs nothing but the folder `approvals/`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .archive import Archive
from .binding import read_document
from .difference import Difference, Side, compare, of_content, of_document
from .standing import Standing
from .statement import Approval


def against_last(project: Path, notebook: Path, found: Standing) -> Difference | None:
    """What changed since the last yes; None when there never was one.

    Raises `ApprovalInvalid` when the content that was approved is not kept whole, `NotebookInvalid` when what is there
    is no notebook.
    """
    if found.last is None:
        return None
    before = approved_side(project, found.last.approval)
    binding = found.binding
    after = of_document(read_document(notebook), binding.parameters if binding else before.parameters)
    # Metrics are of a run; what is there now has not been run. Data and environment are told by the changes.
    difference = compare(before, replace(after, metrics=before.metrics))
    things = tuple(change.words for change in found.changes if change.kind not in ("notebook", "parameter"))
    return replace(difference, things=things, unknown=())


def approved_side(project: Path, approval: Approval) -> Side:
    """What was approved, as it was kept."""
    return of_content(
        Archive(project.resolve()).content(approval.digest),
        ids=approval.cells,
        outputs=approval.outputs,
        parameters=approval.parameters,
        metrics={metric.name: metric.value for metric in approval.metrics},
    )
