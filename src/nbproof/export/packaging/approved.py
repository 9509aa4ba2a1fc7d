"""The approval that a package carries: the signed decisions themselves, and the keys of who may make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ApprovalInvalid, NotApproved
from ...records import ContentHash
from ...review.approval import verify
from ...review.archive import Archive
from ...review.policy import FILE as REVIEWERS
from ...review.policy import read as read_policy
from ...review.signers import FILE as SIGNERS
from ...review.standing import require_approval

DRAFT = "draft: not approved"


@dataclass(frozen=True, slots=True)
class Approved:
    """Who said yes, in words, and what proves it: the files that go along, and where each came from."""

    digest: ContentHash
    sentence: str
    people: str
    decisions: tuple[Mapping[str, str], ...]
    files: Mapping[str, bytes] = field(repr=False)


def approval(project: Path, notebook: Path, lock: str | None) -> Approved:
    """The approval of what is there now. Raises `NotApproved` where there is none that counts."""
    found = require_approval(project, notebook, lock=lock)
    assert found.binding is not None
    decisions, files = [], {name: (project / name).read_bytes() for name in (REVIEWERS, SIGNERS)}
    for given in found.given:
        if given.problem or not given.approval.is_yes:
            continue
        files[given.entry.file] = Archive(project).envelope(given.entry)
        decisions.append({
            "file": given.entry.file, "sha256": given.entry.sha256, "reviewer": given.approval.reviewer,
            "key": given.approval.key, "decision": given.approval.decision, "at": given.approval.at,
        })  # fmt: skip
    people = ", ".join(dict.fromkeys(each["reviewer"] for each in decisions))
    return Approved(found.binding.digest, found.sentence, people, tuple(decisions), files)


def check(package: Path, told: Mapping[str, Any], digest: ContentHash, *, project: Path | None) -> str:
    """Verify the approval that a package carries; who gave it comes back, in words.

    With `project` the people who count there are asked for, else those who came along. Raises `ApprovalInvalid` and
    `NotApproved`.
    """
    policy = read_policy(package if project is None else project)
    counted = []
    for decision in told["decisions"]:
        name = str(decision["file"])
        content = (package / name).read_bytes()
        given = verify(content, policy.keys, where=name)
        if given.digest != digest:
            raise ApprovalInvalid(name, f"a decision about {given.digest.short}", f"one about {digest.short}")
        problem = policy.problem_of(given)
        if problem:
            raise NotApproved(package.name, f"the approval by {given.reviewer} counts no more: {problem}")
        if given.is_yes:
            counted.append(given)
    missing = policy.missing(counted)
    if missing or not counted:
        raise NotApproved(package.name, "; ".join(missing) or "no decision came along")
    people = ", ".join(f"{given.reviewer} ({given.key})" for given in counted)
    return f"approved by {people}"
