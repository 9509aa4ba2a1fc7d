"""Which decisions cover a model, wherever it lies: they hold for its bytes, although its notebook may have moved on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..errors import NotApproved
from ..records import ContentHash
from .ledger import Entry, Ledger
from .policy import Policy
from .standing import Given, newest, policy_of, unusable, verified


@dataclass(frozen=True, slots=True)
class Cover:
    """Who approved a model, with the notebook that was reviewed, under which conditions and until when (or None)."""

    notebook: str
    reviewers: tuple[str, ...]
    conditions: tuple[str, ...]
    expires: str | None

    @property
    def sentence(self) -> str:
        """It in words."""
        words = f"approved by {', '.join(self.reviewers)} with {self.notebook}"
        return f"{words}, if: {'; '.join(self.conditions)}" if self.conditions else words


def require_cover(project: Path, model: str, digest: ContentHash, *, now: datetime | None = None) -> Cover:
    """Return who approved the model, a file or a folder, whose content hash is `digest`; `model` names it to people.

    Somebody's no to these bytes stands against them, whatever else it was said about. Raises `NotApproved`, and
    `LedgerBroken` or `ApprovalInvalid` when the records are not whole.
    """
    project = project.resolve()
    policy, entries = policy_of(project), Ledger(project).read()
    decided = {
        notebook: _about(digest, verified(project, notebook, entries, policy, now=now).decisions)
        for notebook in dict.fromkeys(entry.notebook for entry in entries if entry.kind != "unsafe-bypass")
    }
    problem = _no_of(decided, entries) or unusable(policy)
    covers = [] if problem else [
        cover for notebook, given in decided.items() for cover in _covers(notebook, given, policy)
    ]  # fmt: skip
    if covers:
        return covers[0]
    reasons = [problem] if problem else _reasons(decided, policy)
    raise NotApproved(
        model,
        "; ".join(reasons) or f"no decision is about a model with the content {digest.short}",
        hint=f"nbproof review request NOTEBOOK --model {model}",
    )


def _about(digest: ContentHash, decisions: Sequence[Given]) -> list[Given]:
    return [
        given
        for given in decisions
        if any(held.kind == "model" and held.digest == digest for held in given.approval.subjects)
    ]


def _no_of(decided: dict[str, list[Given]], entries: Sequence[Entry]) -> str:
    """The no that stands: one that the same person did not take back later."""
    for notebook, decisions in decided.items():
        for given in newest(decisions, entries):
            if not given.approval.is_yes and not given.problem:
                said = given.approval
                return f"{said.reviewer} rejected it with {notebook}" + (f": {said.comment}" if said.comment else "")
    return ""


def _covers(notebook: str, decisions: Sequence[Given], policy: Policy) -> list[Cover]:
    """One for each thing that enough people have said yes to; yeses to different things do not add up."""
    found = []
    for about in _by_what_was_decided(decisions):
        yeses = [given.approval for given in about if given.approval.is_yes and not given.problem]
        if yeses and not policy.missing(yeses):
            people = tuple(sorted({said.reviewer for said in yeses}))
            conditions = tuple(condition.text for said in yeses for condition in said.conditions)
            ends = [said.expires for said in yeses if said.expires is not None]
            found.append(Cover(notebook, people, conditions, min(ends, default=None)))
    return found


def _reasons(decided: dict[str, list[Given]], policy: Policy) -> list[str]:
    found = []
    for notebook, decisions in decided.items():
        for about in _by_what_was_decided(decisions):
            said = about[-1].approval
            lacking = about[-1].problem or "; ".join(policy.missing([g.approval for g in about if not g.problem]))
            found.append(f"the approval of {said.at[:10]} by {said.reviewer} with {notebook} counts no more: {lacking}")
    return list(dict.fromkeys(found))


def _by_what_was_decided(decisions: Sequence[Given]) -> list[list[Given]]:
    groups: dict[object, list[Given]] = {}
    for given in decisions:
        said = given.approval
        groups.setdefault((said.subjects, said.absent, repr(sorted(said.parameters.items()))), []).append(given)
    return list(groups.values())
