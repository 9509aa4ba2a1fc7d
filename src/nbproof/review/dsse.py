"""The envelope of a signed statement: DSSE 1.0, with exactly one Ed25519 signature."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from ..errors import ApprovalInvalid
from .keys import PrivateKey
from .plainly import understood

LARGEST_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was signed, of which type, by which key (its fingerprint) with which signature."""

    kind: str
    payload: bytes
    key: str
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return encoded(self.kind, self.payload)

    def written(self) -> bytes:
        """The envelope as its file."""
        content = {
            "payload": _text(self.payload),
            "payloadType": self.kind,
            "signatures": [{"keyid": self.key, "sig": _text(self.signature)}],
        }
        return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def encoded(kind: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the lengths keep type and content apart.

    >>> encoded("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    named = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(named), named, len(payload), payload)


def sealed(kind: str, payload: bytes, key: PrivateKey) -> Envelope:
    """Return `payload`, signed."""
    return Envelope(kind, payload, key.public.fingerprint, key.sign(encoded(kind, payload)))


def opened(content: bytes, *, where: str) -> Envelope:
    """Read an envelope; its signature is not looked at. Raises `ApprovalInvalid` for any other shape than ours."""
    if len(content) > LARGEST_BYTES:
        raise ApprovalInvalid(where, f"{len(content)} bytes", f"at most {LARGEST_BYTES}")
    try:
        found = understood(content)
    except ValueError as error:
        raise ApprovalInvalid(where, f"no JSON in UTF-8 ({error})", "a DSSE envelope") from None
    _check_keys(found, {"payload", "payloadType", "signatures"}, where)
    signatures = found["signatures"]
    # Each decision is one person's: a second signature would be somebody's to something else.
    if not isinstance(signatures, list) or len(signatures) != 1:
        count = len(signatures) if isinstance(signatures, list) else "no list of"
        raise ApprovalInvalid(where, f"{count} signatures", "exactly one")
    _check_keys(signatures[0], {"keyid", "sig"}, where)
    kind, key = found["payloadType"], signatures[0]["keyid"]
    if not isinstance(kind, str) or not isinstance(key, str):
        raise ApprovalInvalid(where, "a type or key that is no text", "text")
    return Envelope(kind, _bytes(found["payload"], where), key, _bytes(signatures[0]["sig"], where))


def _check_keys(found: Any, expected: set[str], where: str) -> None:
    if not isinstance(found, dict) or set(found) != expected:
        shown = ", ".join(sorted(map(str, found))) if isinstance(found, dict) else type(found).__name__
        raise ApprovalInvalid(where, f"the keys {shown[:200]}", ", ".join(sorted(expected)))


def _bytes(text: Any, where: str) -> bytes:
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error, ValueError):
        raise ApprovalInvalid(where, "a value that is no base64", "base64") from None
    if _text(content) != text:
        raise ApprovalInvalid(where, "base64 with bits left over", "base64 in its one spelling")
    return content


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
