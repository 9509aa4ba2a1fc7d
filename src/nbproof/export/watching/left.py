"""Files as a run leaves them: by their bytes, and where these hold a date, by what they say."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...run.checkpoints.comparing import Digest
from .seen import Left

_LARGEST_LOOKED_INTO = 256 * 2**20
_MOST_LOOKED_AT = 50_000
_PASSED_OVER = {"__pycache__", "node_modules", "mlruns"}


def left(path: Path) -> Left:
    """Look at a file; whatever is no file any more has no digest."""
    if not path.is_file():
        return Left("")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    look = _KINDS.get(path.suffix.lower())
    if look is None or size > _LARGEST_LOOKED_INTO:
        return Left(digest, "", size)
    try:
        return Left(digest, Digest().of(look(path)), size)
    # A file that is not what its ending says is compared by its bytes.
    except Exception:
        return Left(digest, "", size)


def changed_since(folder: Path, since_ns: int) -> Iterator[Path]:
    """The files below `folder` that are as new as that: some libraries write past Python, and nobody hears it.

    Folders that hold no work, and those that are hidden, are passed over.
    """
    looked_at = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders
            if not name.startswith(".") and name not in _PASSED_OVER and not Path(place, name, "pyvenv.cfg").exists()
        ]  # fmt: skip
        for name in files:
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                return
            path = Path(place, name)
            with contextlib.suppress(OSError):
                if not name.startswith(".") and path.lstat().st_mtime_ns >= since_ns:
                    yield path


def _archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def _compressed(path: Path) -> Any:
    with gzip.open(path) as file:
        return file.read()


def _table(path: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_feather(path)


def _picture(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.size, picture.mode, picture.tobytes()


_KINDS: dict[str, Callable[[Path], Any]] = {
    ".npz": _archive,
    ".zip": _archive,
    ".gz": _compressed,
    ".json": lambda path: json.loads(path.read_bytes()),
    ".parquet": _table,
    ".feather": _table,
    ".png": _picture,
}
