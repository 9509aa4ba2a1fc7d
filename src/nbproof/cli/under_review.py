"""What the review knows of a pipeline's notebooks, as plain values for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..assemble import Project
    from ..review.policy import Policy
    from ..review.standing import Standing
    from ..run.pipeline.loading import Loaded

FORMAT = "nbproof.report.review"
VERSION = 1


def facts(project: Project, loaded: Loaded, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Standing, decisions, ledger, differences to what was approved last, and what the checks say.

    `metrics` are those that the notebook of each task logged in the run that is reported on.
    The checks are those that were made last about what is there now, else the ones that only read.
    Raises `LedgerBroken` and `ApprovalInvalid` when the records of the review are not whole.
    """
    from ..review.ledger import Ledger
    from ..review.policy import read as read_policy
    from ..review.standing import standing

    root, settings = project.root.resolve(), project.settings
    policy = read_policy(root)
    found = {task.name: standing(root, task.notebook, lock=settings.review_lock) for task in loaded.pipeline.tasks}
    names = {each.notebook for each in found.values()}
    checks = {task.name: _checks(project, task.notebook, found[task.name]) for task in loaded.pipeline.tasks}
    return {
        "format": FORMAT,
        "version": VERSION,
        "notebooks": {task: _standing(each) for task, each in found.items()},
        "decisions": [decision for each in found.values() for decision in _decisions(each, policy)],
        "ledger": [
            {**asdict(entry), "hash": entry.hash} for entry in Ledger(root).read() if entry.notebook in names
        ],
        "changes": dict(_changes(project, loaded, found, metrics)),
        "checked": {task: _counted(told) for task, told in checks.items()},
        "findings": [finding for told in checks.values() for finding in _findings(told)],
    }  # fmt: skip


def _standing(found: Standing) -> dict[str, Any]:
    last = found.last.approval if found.last else None
    return {
        "notebook": found.notebook,
        "state": found.state,
        "sentence": found.sentence,
        "digest": found.binding.digest.hex if found.binding else None,
        "bound": found.binding.bound.hex if found.binding else None,
        "last": {"at": last.at, "reviewer": last.reviewer} if last else None,
    }


def _decisions(found: Standing, policy: Policy) -> Iterator[dict[str, Any]]:
    for given in found.given:
        said = given.approval
        reviewer = policy.reviewer_of(said.key)
        yield {
            "notebook": said.notebook,
            "decision": said.decision,
            "reviewer": said.reviewer,
            "role": ", ".join(sorted(reviewer.roles)) if reviewer else None,
            "at": said.at,
            "expires": said.expires,
            "counts": not given.problem,
            "conditions": [f"{held.text} (until {held.due})" if held.due else held.text for held in said.conditions],
            "comment": said.comment,
            "file": given.entry.file,
        }


def _changes(
    project: Project, loaded: Loaded, found: Mapping[str, Standing], metrics: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The difference of each notebook that was approved at some time."""
    from ..review.against import against_last
    from ..review.difference import to_json

    for task in loaded.pipeline.tasks:
        difference = against_last(project.root, task.notebook, found[task.name])
        if difference is not None:
            told = to_json(difference)
            cells = [{**each, "text": "\n".join(each["lines"])} for each in told["cells"]]
            yield (
                task.name,
                {
                    **told,
                    "cells": cells,
                    "metrics": list(_measured(found[task.name], metrics.get(task.name, {}))),
                    "notebook": found[task.name].notebook,
                },
            )


def _measured(found: Standing, now: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Each metric that the last approval was given on, beside the same of this run."""
    if found.last is not None:
        for metric in found.last.approval.metrics:
            yield {"name": metric.name, "before": metric.value, "after": now.get(metric.name)}


def _checks(project: Project, notebook: Any, found: Standing) -> dict[str, Any]:
    from ..review import checking

    core = found.binding.core.hex if found.binding else ""
    told = checking.kept(project.root.resolve(), found.notebook, core, project.settings)
    return told or checking.check(project.root, notebook, project.settings, is_static=True).to_json()


def _counted(told: Mapping[str, Any]) -> dict[str, Any]:
    verdicts = Counter(check["verdict"] for check in told["checks"])
    return {
        "notebook": told["notebook"],
        "passed": verdicts["passed"],
        "failed": verdicts["failed"],
        "unknown": verdicts["not evaluated"],
    }


def _findings(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for check in told["checks"]:
        for finding in check["findings"]:
            yield {
                "notebook": told["notebook"],
                "code": check["code"],
                "severity": check["severity"],
                "verdict": check["verdict"],
                "cell": finding["number"],
                "message": finding["message"],
            }
