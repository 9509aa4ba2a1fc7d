"""What an owner signs: the question that a decision answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ApprovalInvalid
from ..records import ContentHash
from .names import problem_of_file, problem_of_person
from .plainly import spelled, understood
from .statement import STATEMENT, read_moment

PREDICATE = "https://nbproof.invalid/attestation/request/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question, as it is signed: who asks about what, which is all that `bound` is the hash of.

    `files` names report, model and package by their kind; `ledger` holds the hashes of the last lines before.
    """

    notebook: str
    digest: ContentHash
    bound: str
    by: str
    key: str
    ledger: tuple[str, ...]
    at: str
    files: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""

    def __post_init__(self) -> None:
        problems = [problem_of_file(self.notebook), problem_of_person(self.by)]
        problems += [problem_of_file(name) for name in self.files.values()]
        told = [problem for problem in problems if problem]
        if not all(isinstance(text, str) for text in (self.bound, self.key, self.comment, *self.ledger, *self.files)):
            told.append("something that is no text")
        if told:
            raise ValueError("; ".join(told))
        read_moment(self.at)

    def payload(self) -> bytes:
        """The in-toto Statement as canonical JSON: the very bytes that are signed."""
        predicate = {
            "at": self.at,
            "bound": self.bound,
            "comment": self.comment,
            "files": dict(self.files),
            "ledger": list(self.ledger),
            "requester": {"key": self.key, "name": self.by},
        }
        subject = [{"name": self.notebook, "digest": {"sha256": self.digest.hex}}]
        return spelled({"_type": STATEMENT, "predicate": predicate, "predicateType": PREDICATE, "subject": subject})


def read(payload: bytes, *, where: str) -> Request:
    """Return the question that `payload` states; raises `ApprovalInvalid` for bytes that we would not have written."""
    try:
        request = _request(understood(payload))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ApprovalInvalid(where, f"a statement that is none ({error})", "a request of nbproof") from None
    if request.payload() != payload:
        raise ApprovalInvalid(where, "a statement with more in it, or in another spelling", "canonical JSON")
    return request


def _request(found: Mapping[str, Any]) -> Request:
    if found["_type"] != STATEMENT or found["predicateType"] != PREDICATE:
        raise ValueError("another kind of statement")
    (subject,) = found["subject"]
    said = found["predicate"]
    return Request(
        notebook=subject["name"],
        digest=ContentHash(subject["digest"]["sha256"]),
        bound=said["bound"],
        by=said["requester"]["name"],
        key=said["requester"]["key"],
        ledger=tuple(said["ledger"]),
        at=said["at"],
        files=said["files"],
        comment=said["comment"],
    )
