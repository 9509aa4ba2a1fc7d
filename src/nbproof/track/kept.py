"""Files kept until their records are delivered, each under the hash of its content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from ..records import ContentHash

# Names the folder in which a running notebook keeps the files that it logs.
KEEP_VARIABLE = "NBPROOF_KEEP"
CHUNK_BYTES = 1 << 20


def folder(project: Path) -> Path:
    """Where the files of undelivered records of `project` wait."""
    return project / ".nbproof" / "spool" / "files"


def content_hash(path: Path) -> ContentHash:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return ContentHash(hashlib.file_digest(file, "sha256").hexdigest())


def keep(source: Path, into: Path) -> ContentHash:
    """Copy `source` into the folder `into` under its content hash, whole or not at all."""
    into.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor, temporary = tempfile.mkstemp(dir=into, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as copy, source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                # The hash is of what was copied: the source may be changing under us.
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        Path(temporary).replace(into / digest.hexdigest())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return ContentHash(digest.hexdigest())


def find(project: Path, content: ContentHash, original: Path) -> Path | None:
    """A file with exactly this content: the kept copy, else `original` if it is unchanged, else None."""
    copy = folder(project) / content.hex
    for candidate in (copy, original):
        with contextlib.suppress(OSError):
            if content_hash(candidate) == content:
                return candidate
    return None


def discard(project: Path, before: float, *, spare: frozenset[str] = frozenset()) -> None:
    """Remove kept files written before the time `before` (seconds since the epoch), but those named in `spare`."""
    with contextlib.suppress(FileNotFoundError):
        for file in folder(project).iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.name not in spare and file.stat().st_mtime < before:
                    file.unlink()
