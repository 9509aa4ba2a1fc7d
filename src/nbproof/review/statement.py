"""What a reviewer signs: one decision about one notebook, and everything that it binds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

from ..errors import ApprovalInvalid
from ..records import ContentHash
from .names import problem_of_file, problem_of_person
from .plainly import spelled, understood

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://nbproof.invalid/attestation/approval/v1"
PAYLOAD = "application/vnd.in-toto+json"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

Decision = Literal["approved", "approved-with-conditions", "rejected"]
SubjectKind = Literal["notebook", "data", "module", "lock", "kernel", "report", "model", "package"]


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Something that is bound by its SHA-256.

    `name` is a path relative to the project; for data outside of it, as the notebook names it, and for the packages
    of a kernel the kernel's name.
    """

    kind: SubjectKind
    name: str
    digest: ContentHash


@dataclass(frozen=True, slots=True)
class Condition:
    """What an approval asks for, and until when (a date)."""

    text: str
    due: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError("a condition needs words")
        if self.due is not None:
            date.fromisoformat(self.due)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check said: its code, how much it weighs, its verdict and how many findings it had."""

    code: str
    severity: str
    verdict: str
    findings: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric against its threshold."""

    name: str
    value: float
    threshold: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One decision, as it is signed.

    `subjects` begins with the notebook's digest. `absent` names data that was declared and not there. `cells` are the
    ids of the cells that count, `outputs` the hash of what each of them showed. `policy` is the hash of the rules in
    force, `ledger` holds the hashes of the last lines of the ledger before this decision: one, or one a branch that was
    merged. `requester_key` is the key that signed the request ("": nobody signed it). Times are UTC, to the second.
    """

    notebook: str
    subjects: tuple[Subject, ...]
    absent: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[Checked, ...] = ()
    metrics: tuple[Measured, ...] = ()
    decision: Decision
    conditions: tuple[Condition, ...] = ()
    comment: str = ""
    requester: str
    requester_key: str = ""
    reviewer: str
    key: str
    policy: str
    ledger: tuple[str, ...]
    at: str
    expires: str | None = None
    nbproof: str

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def digest(self) -> ContentHash:
        """The digest of the notebook."""
        return self.subjects[0].digest

    @property
    def is_yes(self) -> bool:
        return self.decision != "rejected"

    def payload(self) -> bytes:
        """The in-toto Statement as canonical JSON: the very bytes that are signed."""
        subjects = [
            {"name": held.name, "digest": {"sha256": held.digest.hex}, "annotations": {"kind": held.kind}}
            for held in self.subjects
        ]
        predicate = {
            "absent": list(self.absent),
            "at": self.at,
            "cells": list(self.cells),
            "checks": [
                {
                    "code": c.code,
                    "severity": c.severity,
                    "verdict": c.verdict,
                    "findings": c.findings,
                    "reason": c.reason,
                }
                for c in self.checks
            ],
            "comment": self.comment,
            "conditions": [{"text": c.text, "due": c.due} for c in self.conditions],
            "decision": self.decision,
            "expires": self.expires,
            "ledger": list(self.ledger),
            "metrics": [
                {"name": m.name, "value": m.value, "threshold": m.threshold, "verdict": m.verdict} for m in self.metrics
            ],
            "nbproof": self.nbproof,
            "notebook": self.notebook,
            "outputs": dict(self.outputs),
            "parameters": dict(self.parameters),
            "policy": self.policy,
            "requester": {"key": self.requester_key, "name": self.requester},
            "reviewer": {"key": self.key, "name": self.reviewer},
        }
        return spelled({"_type": STATEMENT, "predicate": predicate, "predicateType": PREDICATE, "subject": subjects})


def read(payload: bytes, *, where: str) -> Approval:
    """Return the decision that `payload` states; raises `ApprovalInvalid` for bytes that we would not have written."""
    try:
        found = understood(payload)
        approval = _approval(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApprovalInvalid(where, f"a statement that is none ({error})", "an approval of nbproof") from None
    # One decision has one spelling: whatever else the bytes hold would be signed and never shown.
    if approval.payload() != payload:
        raise ApprovalInvalid(where, "a statement with more in it, or in another spelling", "canonical JSON")
    return approval


def moment(at: datetime) -> str:
    """A point in time as a statement spells it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: str) -> datetime:
    """The point in time that `text` spells; raises `ValueError`."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        raise ValueError(f"no point in time: {text!r:.40}")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _approval(found: Mapping[str, Any]) -> Approval:
    if found["_type"] != STATEMENT or found["predicateType"] != PREDICATE:
        raise ValueError("another kind of statement")
    said = found["predicate"]
    return Approval(
        notebook=said["notebook"],
        subjects=tuple(
            Subject(one["annotations"]["kind"], one["name"], ContentHash(one["digest"]["sha256"]))
            for one in found["subject"]
        ),
        absent=tuple(said["absent"]),
        parameters=said["parameters"],
        cells=tuple(said["cells"]),
        outputs=said["outputs"],
        checks=tuple(Checked(**one) for one in said["checks"]),
        metrics=tuple(Measured(**one) for one in said["metrics"]),
        decision=said["decision"],
        conditions=tuple(Condition(**one) for one in said["conditions"]),
        comment=said["comment"],
        requester=said["requester"]["name"],
        requester_key=said["requester"]["key"],
        reviewer=said["reviewer"]["name"],
        key=said["reviewer"]["key"],
        policy=said["policy"],
        ledger=tuple(said["ledger"]),
        at=said["at"],
        expires=said["expires"],
        nbproof=said["nbproof"],
    )


def _problems(approval: Approval) -> Sequence[str]:
    found = []
    if approval.decision not in get_args(Decision):
        found.append(f"a decision {approval.decision!r:.40}")
    if (approval.decision == "approved-with-conditions") != bool(approval.conditions):
        found.append("conditions belong to an approval with conditions, and to nothing else")
    if not approval.subjects or approval.subjects[0].kind != "notebook":
        found.append("no notebook as its first subject")
    elif approval.subjects[0].name != approval.notebook:
        found.append("a subject that is another notebook")
    named = [(held.kind, held.name) for held in approval.subjects]
    if len(set(named)) != len(named) or any(held.kind not in get_args(SubjectKind) for held in approval.subjects):
        found.append("subjects that are not each of a kind")
    problem = problem_of_file(approval.notebook)
    found += [f"the notebook is {problem}"] if problem else []
    for person in (approval.requester, approval.reviewer):
        problem = problem_of_person(person)
        found += [problem] if problem else []
    if not all(
        isinstance(text, str)
        for text in (approval.comment, approval.key, approval.policy, approval.requester_key, *approval.ledger)
    ):
        found.append("something that is no text")
    read_moment(approval.at)
    if approval.expires is not None and read_moment(approval.expires) <= read_moment(approval.at):
        found.append("an end before its beginning")
    return found
