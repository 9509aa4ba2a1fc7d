"""Signing a decision, and believing one: no server is asked; a file and the keys that are trusted are enough."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import ApprovalInvalid
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


def verify(
    envelope: bytes, trusted: Iterable[PublicKey], *, now: datetime | None = None, where: str | Path = "approval"
) -> Approval:
    """Return the decision in the file content `envelope`, once one of the `trusted` keys has signed exactly this.

    Raises `ApprovalInvalid` for anything else: another type, another key, a byte that changed, a second signature, a
    statement in another spelling, a decision of tomorrow. Whether it still fits what is there is not judged here.
    """
    found = opened(envelope, where=str(where))
    if found.kind != PAYLOAD:
        raise ApprovalInvalid(str(where), f"a payload of type `{found.kind[:80]}`", f"`{PAYLOAD}`")
    keys = {key.fingerprint: key for key in trusted}
    if found.key not in keys:
        raise ApprovalInvalid(str(where), f"a signature of the key {found.key[:80]}", "a key of a listed reviewer")
    if not keys[found.key].has_signed(found.signed, found.signature):
        raise ApprovalInvalid(str(where), f"a signature that is not that of {found.key}", "one that fits the content")
    approval = read(found.payload, where=str(where))
    # The name of the key stands inside and outside; only the inside is signed.
    if approval.key != found.key:
        raise ApprovalInvalid(str(where), f"a decision of {approval.key[:80]}", f"one of {found.key}")
    if read_moment(approval.at) > (now or datetime.now(UTC)) + AHEAD:
        raise ApprovalInvalid(str(where), f"a decision made in the future ({approval.at})", "one that has been made")
    return approval
