"""Ed25519 keys as people have them: OpenSSH's files and lines."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import KeyUnusable
from ..extras import require

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KIND = "ssh-ed25519"
_MAKE = "ssh-keygen -t ed25519 -f FILE"
_PREFIX = len(KIND).to_bytes(4, "big") + KIND.encode() + (32).to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The 32 bytes of an Ed25519 key, which OpenSSH writes as `ssh-ed25519 AAAA…`."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise ValueError(f"an Ed25519 key has 32 bytes, not {len(self.raw)}")

    @classmethod
    def read(cls, line: str) -> PublicKey:
        """Return the key that a line of OpenSSH spells; a comment at its end is passed over. Raises `KeyUnusable`."""
        words = line.split()
        shown = " ".join(words)[:40] or "(empty)"
        if len(words) < 2 or words[0] != KIND:
            found = f"a key of the kind `{words[0][:40]}`" if len(words) > 1 else "no key"
            raise KeyUnusable(shown, found, f"`{KIND} AAAA…`", hint=_MAKE)
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        # One key has one spelling: bits that base64 leaves over would give it several.
        if len(blob) != len(_PREFIX) + 32 or not blob.startswith(_PREFIX) or _text(blob) != words[1]:
            raise KeyUnusable(shown, "base64 that is no Ed25519 key", f"`{KIND} AAAA…`", hint=_MAKE)
        return cls(blob[len(_PREFIX) :])

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it, without a comment."""
        return f"{KIND} {_text(_PREFIX + self.raw)}"

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` shows: `SHA256:…`."""
        return "SHA256:" + _text(hashlib.sha256(_PREFIX + self.raw).digest()).rstrip("=")

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's for `message`."""
        require("cryptography")
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A key that signs. It is read from a file and never shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`: the same bytes every time."""
        return self._key.sign(message)


def read_private(path: Path, *, passphrase: Callable[[], str] | None = None) -> PrivateKey:
    """Read the OpenSSH private key in `path`; `passphrase` is asked for it when the key is locked.

    Raises `KeyUnusable` for a key of another kind, a public one, one that others may read, and a locked one that
    cannot be unlocked here.
    """
    require("cryptography")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    content = _content(path)
    locked = _is_locked(content)
    if locked and passphrase is None:
        raise KeyUnusable(
            f"`{path}`", "a key with a passphrase, and nobody to ask for it", "a key that can be read",
            hint=f"approve at a terminal: nbproof review approve NOTEBOOK --key {path}",
        )  # fmt: skip
    secret = passphrase().encode() if locked and passphrase is not None else None
    try:
        key = load_ssh_private_key(content, password=secret)
    except UnsupportedAlgorithm as error:
        raise KeyUnusable(f"`{path}`", f"a key that cannot be unlocked ({error})", "bcrypt beside cryptography",
                          hint="pip install bcrypt") from None  # fmt: skip
    except (ValueError, TypeError):
        found = "a key that this passphrase does not open" if locked else "no private key of OpenSSH"
        raise KeyUnusable(f"`{path}`", found, "an Ed25519 key in OpenSSH's format", hint=_MAKE) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"`{path}`", "a key of another kind", "Ed25519", hint=_MAKE)
    return PrivateKey(key)


def _content(path: Path) -> bytes:
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"`{path}`", f"a file that cannot be read ({error.strerror})", "a private key",
                          hint=_MAKE) from None  # fmt: skip
    if content.startswith(KIND.encode()) or path.suffix == ".pub":
        # An agent would sign without showing the key; which key that was, nobody could say from its answer alone.
        raise KeyUnusable(
            f"`{path}`", "a public key; keys in an ssh-agent are not asked", "the file of the private key",
            hint=f"name {path.with_suffix('')} instead",
        )  # fmt: skip
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise KeyUnusable(f"`{path}`", f"a file that others may read (mode {stat.S_IMODE(mode):o})", "mode 600",
                          hint=f"chmod 600 {path}")  # fmt: skip
    return content


def _is_locked(content: bytes) -> bool:
    """Whether the header of an OpenSSH key names a cipher."""
    body = b"".join(line for line in content.splitlines() if not line.startswith(b"-----"))
    try:
        blob = base64.b64decode(body)
    except (binascii.Error, ValueError):
        return False
    magic = b"openssh-key-v1\0"
    return blob.startswith(magic) and not blob[len(magic) :].startswith((4).to_bytes(4, "big") + b"none")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
