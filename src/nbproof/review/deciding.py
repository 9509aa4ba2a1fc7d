"""Asking for a review and deciding it: the policy first, then the signature, then the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import ReviewAskedWrongly, ReviewRefused
from .approval import sign, sign_request
from .archive import Archive
from .asking import Request
from .binding import Binding, bind, relative
from .keys import PrivateKey
from .ledger import Entry, Ledger, head
from .names import problem_of_person, same_person
from .policy import FILE, Policy
from .policy import read as read_policy
from .signers import FILE as SIGNERS
from .signers import line_of
from .standing import verified
from .statement import Approval, Checked, Condition, Decision, Measured, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a reviewer says, and about what: `bound` is the hash of all that they saw ("": whatever is there now)."""

    decision: Decision
    conditions: tuple[Condition, ...] = ()
    comment: str = ""
    bound: str = ""


def request(
    project: Path,
    notebook: Path,
    *,
    key: PrivateKey | None = None,
    by: str = "",
    lock: str | None = None,
    files: Mapping[str, str] | None = None,
    comment: str = "",
    seen: str = "",
    now: datetime | None = None,
) -> Entry:
    """Sign the question for a review of what is there now, and note it; the name is that of the key's owner.

    Raises `ReviewRefused` when the policy could approve nothing, what is there is not what was `seen`, or the key is
    nobody's. Without a key only a policy with `unsafe_unsigned_requests` lets `by` ask.
    """
    project, at = project.resolve(), now or datetime.now(UTC)
    policy = read_policy(project)
    policy.check_usable()
    by = _asker(policy, key, by, at)
    binding = bind(project, notebook, lock=lock, files=files)
    _check_seen(binding, seen)
    ledger = Ledger(project)
    with ledger.held() as entries:
        archive = Archive(project)
        archive.keep_content(binding.content)
        file = sha256 = ""
        if key is not None:
            request = Request(
                notebook=binding.notebook, digest=binding.digest, bound=binding.bound.hex, by=by,
                key=key.public.fingerprint, ledger=head(entries), at=moment(at), files=dict(files or {}),
                comment=comment,
            )  # fmt: skip
            signed = sign_request(request, key)
            file, sha256 = archive.keep(signed, notebook=binding.notebook, decision="requested", at=request.at)
        return ledger.append(
            entries,
            at=moment(at),
            kind="requested",
            notebook=binding.notebook,
            digest=binding.digest.hex,
            bound=binding.bound.hex,
            by=by,
            files=dict(files or {}),
            file=file,
            sha256=sha256,
            comment=comment,
        )


def _asker(policy: Policy, key: PrivateKey | None, by: str, at: datetime) -> str:
    """Who asks: the owner of the key; a name without a key is worth nothing, unless the policy says otherwise."""
    if key is None:
        problem = problem_of_person(by)
        if problem:
            raise ReviewAskedWrongly("who asks", problem, "a key that signs the request", hint="nbproof review "
                                     "request NOTEBOOK --key ~/.ssh/id_ed25519")  # fmt: skip
        if not policy.unsafe_unsigned_requests:
            raise ReviewRefused("a request is signed", [f"no key speaks for {by}"],
                                hint="nbproof review request NOTEBOOK --key ~/.ssh/id_ed25519")  # fmt: skip
        return by
    holder = policy.holder_of(key.public.fingerprint)
    if holder is None:
        raise ReviewRefused("this key asks for nothing", [f"{key.public.fingerprint} is of nobody in {SIGNERS}"],
                            hint=f"add to {SIGNERS}: {line_of('NAME', key.public)}")  # fmt: skip
    problem = holder.problem_at(at)
    if by and by != holder.name:
        problem = f"the key is {holder.name}'s, and not {by}'s"
    if problem:
        raise ReviewRefused("this key asks for nothing", [problem], hint=f"see {SIGNERS}")
    return holder.name


def decide(
    project: Path,
    notebook: Path,
    verdict: Verdict,
    key: PrivateKey,
    *,
    lock: str | None = None,
    checks: Sequence[Checked] = (),
    metrics: Sequence[Measured] = (),
    now: datetime | None = None,
) -> tuple[Approval, Entry]:
    """Sign a decision about what is there now, which must be what was asked about and seen, and note it.

    Raises `ReviewRefused` for a key that no reviewer has, for one's own request, and for anything that changed.
    """
    project, at = project.resolve(), now or datetime.now(UTC)
    policy = read_policy(project)
    policy.check_usable()
    reviewer = policy.reviewer_of(key.public.fingerprint)
    if reviewer is None:
        raise ReviewRefused("this key decides nothing", [f"{key.public.fingerprint} is of no reviewer in {FILE}"],
                            hint=f"add to {SIGNERS}: {line_of('NAME', key.public)}")  # fmt: skip
    ledger, archive = Ledger(project), Archive(project)
    with ledger.held() as entries:
        asked, asker_key, binding = _asked(project, notebook, lock, entries, policy, at)
        _check_seen(binding, verdict.bound)
        _check_not_own(asked, reviewer.name, verdict)
        ends = policy.expires(at)
        approval = Approval(
            notebook=binding.notebook,
            subjects=binding.subjects,
            absent=binding.absent,
            parameters=_plain(binding.parameters),
            cells=binding.cells,
            outputs=binding.outputs,
            checks=tuple(checks),
            metrics=tuple(metrics),
            decision=verdict.decision,
            conditions=verdict.conditions,
            comment=verdict.comment,
            requester=asked.by,
            requester_key=asker_key,
            reviewer=reviewer.name,
            key=key.public.fingerprint,
            policy=policy.digest.hex,
            ledger=head(entries),
            at=moment(at),
            expires=moment(ends) if ends else None,
            nbproof=version("nbproof"),
        )
        _check_counts(policy, approval, at)
        archive.keep_content(binding.content)
        file, sha256 = archive.keep(
            sign(approval, key), notebook=binding.notebook, decision=verdict.decision, at=approval.at
        )
        entry = ledger.append(
            entries,
            at=approval.at,
            kind=verdict.decision,
            notebook=binding.notebook,
            digest=binding.digest.hex,
            bound=binding.bound.hex,
            by=reviewer.name,
            files=binding.files,
            file=file,
            sha256=sha256,
            comment=verdict.comment,
        )
    return approval, entry


def _asked(
    project: Path, notebook: Path, lock: str | None, entries: Sequence[Entry], policy: Policy, at: datetime
) -> tuple[Entry, str, Binding]:
    """The request that is to be decided, whose key signed it, and what is there now: what was asked about."""
    name = relative(project, notebook.resolve())
    records = verified(project, name, entries, policy, now=at)
    asked = records.asked
    if asked is None:
        raise ReviewRefused(f"`{name}`", ["nobody has asked for a review"], hint=f"nbproof review request {name}")
    binding = bind(project, notebook, lock=lock, files=asked.files)
    if binding.bound.hex != asked.bound:
        raise ReviewRefused(
            f"`{name}`", [f"it has changed since {asked.by} asked for a review"], hint=f"nbproof review request {name}"
        )
    return asked, records.asker_key, binding


def _check_seen(binding: Binding, seen: str) -> None:
    if seen and seen != binding.bound.hex:
        raise ReviewRefused(
            f"`{binding.notebook}`",
            [f"found {binding.bound.short}, expected {seen[:12]}, which was seen: it has changed meanwhile"],
            hint="look at it again, then decide",
        )


def _check_not_own(asked: Entry, reviewer: str, verdict: Verdict) -> None:
    if verdict.decision != "rejected" and same_person(asked.by, reviewer):
        raise ReviewRefused("nobody approves their own request", [f"{asked.by} asked, and would decide"],
                            hint="ask another reviewer")  # fmt: skip


def _check_counts(policy: Policy, approval: Approval, at: datetime) -> None:
    # A signature that would not count is better never made.
    problem = policy.problem_of(approval, now=at)
    if problem:
        raise ReviewRefused("this decision would not count", [problem], hint=f"see {FILE} for the rules")


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return dict(parameters)
