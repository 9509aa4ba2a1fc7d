"""What was derived from files before, by their content: forgetting it costs time, and never changes an answer."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from ...files import write_atomically


def key_of(kind: str, content: bytes) -> str:
    """The key under which what was derived from `content` is kept."""
    return f"{kind}:{hashlib.sha256(content).hexdigest()}"


class Memory:
    """JSON values by the hash of the content that they were derived from.

    Without a file it forgets all when it goes. `maker` stands for everything beside the content that decides the
    values: what another maker wrote is not read. A file that is not whole is as good as none.
    """

    def __init__(self, file: Path | None = None, maker: str = "") -> None:
        self._file, self._maker = file, maker
        self._found = {} if file is None else _read(file, maker)
        self._used: dict[str, Any] = {}
        self._is_news = False

    def recall(self, key: str) -> Any:
        """The value kept under `key`, or None."""
        value = self._found.get(key)
        if value is not None:
            self._used[key] = value
        return value

    def keep(self, key: str, value: Any) -> None:
        """Keep `value`, which JSON must hold as it is, under `key`."""
        self._found[key] = self._used[key] = value
        self._is_news = True

    def save(self) -> None:
        """Write what was asked for since the start, if there is anything new in it. A disk that refuses is no error."""
        if self._file is None or not self._is_news:
            return
        held = json.dumps({"maker": self._maker, "values": self._used}, separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            write_atomically(self._file, hashlib.sha256(held).hexdigest().encode() + b"\n" + held)
        self._is_news = False


def _read(file: Path, maker: str) -> dict[str, Any]:
    try:
        digest, _, held = file.read_bytes().partition(b"\n")
        if hashlib.sha256(held).hexdigest().encode() != digest:
            return {}
        found = json.loads(held)
        values: dict[str, Any] = found["values"] if found["maker"] == maker else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return values
