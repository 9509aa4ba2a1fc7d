"""The content hashes of what is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...data import delta
from ...records import ContentHash


def content_hash(path: Path) -> ContentHash | None:
    """The hash of a file's bytes, or of a folder's relative paths and bytes; None when nothing is there.

    What is no file may be a table of Delta Lake at a version (`panel@v3`): then it is the hash of that version.
    """
    if path.is_dir():
        return folder_hash((file.relative_to(path).as_posix(), _file_digest(file)) for file in files_below(path))
    if path.is_file():
        return ContentHash(_file_digest(path).hex())
    versioned = delta.place_of(path)
    return delta.content(*versioned) if versioned else None


def folder_hash(digests: Iterable[tuple[str, bytes]]) -> ContentHash:
    """The content hash of a folder whose files, in the order of `files_below`, have these names and SHA-256 digests."""
    total = hashlib.sha256()
    for name, digest in digests:
        total.update(name.encode() + b"\0")
        total.update(digest)
    return ContentHash(total.hexdigest())


def files_below(folder: Path) -> list[Path]:
    """All files of a folder, in the order in which they are hashed."""
    return sorted(_files(folder))


def _files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files below, also behind links to folders: whoever reads the folder reads them, too."""
    real = folder.resolve()
    # A link to a folder that it lies in would lead round and round.
    if real in above:
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, (*above, real))
        elif entry.is_file():
            yield entry


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def meaning_hash(path: Path) -> ContentHash | None:
    """Like `content_hash`, but of an executed notebook only what it says: sources and outputs, not when it ran.

    It decides whether what depends on a product must run again; `content_hash` decides whether a product was touched.
    """
    if path.suffix != ".ipynb" or not path.is_file():
        return content_hash(path)
    try:
        notebook = json.loads(path.read_bytes())
        said = [_said(cell) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return content_hash(path)
    return ContentHash.of(canonical_json(said))


def _said(cell: dict[str, Any]) -> list[Any]:
    outputs = [
        {name: value for name, value in output.items() if name not in ("execution_count", "metadata")}
        for output in cell.get("outputs", ())
    ]
    return [cell["cell_type"], cell["source"], outputs]


def canonical_json(value: Any) -> bytes:
    """One content has one spelling on every machine: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
