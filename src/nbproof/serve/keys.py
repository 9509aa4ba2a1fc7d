"""API keys: who may ask, known by the hashes in a file; a key itself is shown once and kept nowhere."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..errors import KeyUnusable
from ..files import write_atomically

Scope = Literal["use", "admin"]
LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})\s+(?P<scope>use|admin)\s+sha256:(?P<hash>[0-9a-f]{64})"
                  r"(?:\s+until:(?P<until>\d{4}-\d{2}-\d{2}))?")  # fmt: skip
PREFIX = "nbp_"
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file: the hash of a key, whose it is, what it may do (`admin`: everything) and its last day."""

    name: str
    scope: Scope
    hash: bytes
    until: str | None = None

    @property
    def line(self) -> str:
        """It as the file has it."""
        return f"{self.name} {self.scope} sha256:{self.hash.hex()}" + (f" until:{self.until}" if self.until else "")


class Keys:
    """The keys in a file, read again when it changes. A file that cannot be read admits nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = read(path)
        self._mark, self._looked = _mark(path), time.monotonic()

    def holder(self, presented: str) -> Key | None:
        """Whose key this is. Every hash is compared, each in constant time, so that time tells nothing."""
        self._refresh()
        digest = hashlib.sha256(presented.encode("utf-8", "replace")).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.hash, digest):
                found = key
        if found is not None and found.until is not None and found.until < f"{datetime.now(UTC):%Y-%m-%d}":
            return None
        return found

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < AGAIN_S:
            return
        self._looked = now
        mark = _mark(self._path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = read(self._path)
        except KeyUnusable:
            self._keys = ()


def read(path: Path) -> tuple[Key, ...]:
    """The keys in a file. Raises `KeyUnusable` for a file that others may write, and for a line that is no key."""
    where = f"file `{path}`"
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(where, f"a file that cannot be read ({error})", "one key a line",
                          hint=f"nbproof serve-key {path} NAME") from None  # fmt: skip
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyUnusable(where, "a file that others may write", "one that is yours alone", hint=f"chmod 600 {path}")
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise KeyUnusable(f"{where}, line {number}", "no key", "NAME use|admin sha256:… [until:YYYY-MM-DD]")
        scope: Scope = "admin" if match["scope"] == "admin" else "use"
        found.append(Key(match["name"], scope, bytes.fromhex(match["hash"]), match["until"]))
    if not found:
        raise KeyUnusable(where, "no key", "at least one", hint=f"nbproof serve-key {path} NAME")
    return tuple(found)


def add(path: Path, name: str, scope: Scope, until: str | None = None) -> str:
    """Add a new key to a file, and return it: it is written nowhere. Raises `KeyUnusable`."""
    text = PREFIX + secrets.token_urlsafe(32)
    key = Key(name, scope, hashlib.sha256(text.encode()).digest(), until)
    if LINE.fullmatch(key.line) is None:
        raise KeyUnusable(name, "a name or a day that no line can hold", "letters, digits, `.`, `_`, `-`; YYYY-MM-DD")
    before: Sequence[Key] = read(path) if path.exists() else ()
    if any(held.name == name for held in before):
        raise KeyUnusable(name, f"a key of that name in `{path}`", "another name, or its line struck out first")
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    write_atomically(path, (kept + ("" if not kept or kept.endswith("\n") else "\n") + key.line + "\n").encode())
    path.chmod(0o600)
    return text


def _mark(path: Path) -> tuple[int, ...]:
    try:
        held = path.stat()
    except OSError:
        return ()
    return held.st_mtime_ns, held.st_ctime_ns, held.st_size, held.st_ino
