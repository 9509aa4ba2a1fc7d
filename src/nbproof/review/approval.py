"""Signing a decision, and believing one: no server is asked; a file and the keys that are trusted are enough."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import ApprovalInvalid
from .asking import Request
from .asking import read as read_request
from .dsse import Envelope, opened, sealed
from .keys import PrivateKey, PublicKey
from .statement import PAYLOAD, Approval, read, read_moment

# Clocks of two machines are never quite the same.
AHEAD = timedelta(minutes=5)


def sign(approval: Approval, key: PrivateKey) -> Envelope:
    """Return `approval` signed; raises `ApprovalInvalid` when it names another key."""
    if approval.key != key.public.fingerprint:
        raise ApprovalInvalid(approval.notebook, f"a decision of the key {approval.key}", key.public.fingerprint)
    return sealed(PAYLOAD, approval.payload(), key)


def sign_request(request: Request, key: PrivateKey) -> Envelope:
    """Return `request` signed; raises `ApprovalInvalid` when it names another key."""
    if request.key != key.public.fingerprint:
        raise ApprovalInvalid(request.notebook, f"a request of the key {request.key}", key.public.fingerprint)
    return sealed(PAYLOAD, request.payload(), key)


def verify(
    envelope: bytes, trusted: Iterable[PublicKey], *, now: datetime | None = None, where: str | Path = "approval"
) -> Approval:
    """Return the decision in the file content `envelope`, once one of the `trusted` keys has signed exactly this.

    Raises `ApprovalInvalid` for anything else: another type, another key, a byte that changed, a second signature, a
    statement in another spelling, a decision of tomorrow. Whether it still fits what is there is not judged here.
    """
    found = _believed(envelope, trusted, str(where))
    approval = read(found.payload, where=str(where))
    _check_said(approval.key, approval.at, found, now or datetime.now(UTC), str(where))
    return approval


def verify_request(
    envelope: bytes, trusted: Iterable[PublicKey], *, now: datetime | None = None, where: str | Path = "request"
) -> Request:
    """The same for the question that a decision answers."""
    found = _believed(envelope, trusted, str(where))
    request = read_request(found.payload, where=str(where))
    _check_said(request.key, request.at, found, now or datetime.now(UTC), str(where))
    return request


def _believed(envelope: bytes, trusted: Iterable[PublicKey], where: str) -> Envelope:
    """The envelope, once one of the `trusted` keys has signed exactly this."""
    found = opened(envelope, where=where)
    if found.kind != PAYLOAD:
        raise ApprovalInvalid(where, f"a payload of type `{found.kind[:80]}`", f"`{PAYLOAD}`")
    keys = {key.fingerprint: key for key in trusted}
    if found.key not in keys:
        raise ApprovalInvalid(where, f"a signature of the key {found.key[:80]}", "a key of a listed reviewer")
    if not keys[found.key].has_signed(found.signed, found.signature):
        raise ApprovalInvalid(where, f"a signature that is not that of {found.key}", "one that fits the content")
    return found


def _check_said(key: str, at: str, found: Envelope, now: datetime, where: str) -> None:
    # The name of the key stands inside and outside; only the inside is signed.
    if key != found.key:
        raise ApprovalInvalid(where, f"a decision of {key[:80]}", f"one of {found.key}")
    if read_moment(at) > now + AHEAD:
        raise ApprovalInvalid(where, f"a decision made in the future ({at})", "one that has been made")
