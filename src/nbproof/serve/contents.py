"""The bytes of a model folder, read once: what is hashed and approved is what is loaded, whoever writes meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelRefused
from ..records import ContentHash
from ..run.sources.hashes import files_below, folder_hash


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of `folder` by their relative names; `digest` is the content hash of them all, as reviewers sign it.

    `mark` is what their source called them when they were read.
    """

    folder: Path
    files: Mapping[str, bytes]
    digest: ContentHash
    mark: Hashable = None

    def of(self, file: str) -> bytes:
        """The bytes of one file; raises `ModelRefused` where there is none."""
        if file not in self.files:
            raise ModelRefused(self.folder, f"no `{file}`", "a packaged model")
        return self.files[file]


def read_contents(folder: Path) -> Contents:
    """Read a folder, each file once. Raises `ModelRefused` for what is none, or cannot be read."""
    if not folder.is_dir():
        raise ModelRefused(folder, "no folder", "a packaged model: manifest.json and the files it names")
    try:
        files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in files_below(folder)}
    except OSError as error:
        raise ModelRefused(
            folder, f"`{error.filename}` cannot be read ({error.strerror})", "a packaged model"
        ) from error
    return Contents(folder, files, digest_of(files))


def digest_of(files: Mapping[str, bytes]) -> ContentHash:
    """The content hash of a folder with these files, in their order."""
    return folder_hash((name, hashlib.sha256(content).digest()) for name, content in files.items())


Fingerprint = tuple[tuple[str, int, int, int, int], ...]


def fingerprint(folder: Path) -> Fingerprint:
    """What tells cheaply that a folder may have changed: names, sizes, inodes and times, of which nobody can set ctime.

    Raises `OSError` where the folder cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(2, "No such folder", str(folder))
    found = [(file.relative_to(folder).as_posix(), file.stat()) for file in files_below(folder)]
    return tuple((name, held.st_size, held.st_ino, held.st_mtime_ns, held.st_ctime_ns) for name, held in found)
