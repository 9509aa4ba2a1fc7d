"""Files that DVC tracks: the small `.dvc` file beside each says which content a commit means.

Nothing of DVC itself is needed: the file is YAML, and its hash is an MD5.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataUnusable

SUFFIX = ".dvc"
# DVC writes so behind the hash of a folder, which is that of a list of its files.
_OF_FOLDER = ".dir"


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a `.dvc` file says: the MD5 of the content that belongs to this commit."""

    file: Path
    md5: str

    @property
    def data(self) -> Path:
        """The file or folder that is tracked."""
        return self.file.with_name(self.file.name.removesuffix(SUFFIX))


def pointer_of(data: Path) -> Path | None:
    """The `.dvc` file beside `data`, if DVC tracks it."""
    file = data.with_name(data.name + SUFFIX)
    return file if file.is_file() else None


def read(file: Path) -> Pointer:
    """Read a `.dvc` file. Raises `DataUnusable` for what is none, or is about something else."""
    import yaml

    try:
        (out,) = yaml.safe_load(file.read_text(encoding="utf-8"))["outs"]
        pointer = Pointer(file, str(out["md5"]))
        is_own = out["path"] == pointer.data.name
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        is_own = False
    if not is_own:
        expected = f"one output with its md5: `{file.name.removesuffix(SUFFIX)}`"
        raise DataUnusable(f"`{file}`", "another content", expected, hint=f"dvc add {file.name.removesuffix(SUFFIX)}")
    return pointer


def is_as_said(pointer: Pointer) -> bool:
    """Whether the data is what the `.dvc` file says; a missing one is not."""
    return md5_of(pointer.data) == pointer.md5


def md5_of(data: Path) -> str | None:
    """The MD5 of a file, or of a folder as DVC takes it; None when nothing is there."""
    if data.is_file():
        return _md5(data)
    if not data.is_dir():
        return None
    # DVC sorts the names as texts, and spells the list as JSON does by default.
    names = sorted(file.relative_to(data).as_posix() for file in data.rglob("*") if file.is_file())
    listed = [{"md5": _md5(data / name), "relpath": name} for name in names]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + _OF_FOLDER


def _md5(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
