"""The provenance of a package: what it was made of, what was proven of it, and the hash of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import PackageBroken
from ...run.sources.hashes import canonical_json

FILE = "PROVENANCE.json"
FORMAT = "nbproof package 1"
# What building, installing, testing and looking at a package leaves in its folder.
_LEFT_OVER = {"__pycache__", "build", "dist", ".git", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache",
              ".ipynb_checkpoints", ".hypothesis"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was read back, and verified to be what was written."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.content["name"])

    @property
    def files(self) -> Mapping[str, str]:
        """The SHA-256 of each file, by its path in the package."""
        found: Mapping[str, str] = self.content["files"]
        return found

    @property
    def kept(self) -> Mapping[str, str]:
        """Of each file with places that are kept by hand, the SHA-256 of the rest."""
        found: Mapping[str, str] = self.content["kept"]
        return found


def spelled(content: Mapping[str, Any]) -> bytes:
    """The bytes of the file. Its last entry is the hash of all others, so that no byte of it can change unseen."""
    digest = hashlib.sha256(canonical_json({**content, "format": FORMAT})).hexdigest()
    return canonical_json({**content, "format": FORMAT, "this": digest})


def read(package: Path) -> Provenance:
    """Read the provenance in a folder; raises `PackageBroken` when there is none, or another than was written."""
    path = package / FILE
    try:
        written = path.read_bytes()
        content = json.loads(written)
    except OSError as error:
        raise PackageBroken(package, [f"no {FILE} ({error.strerror})"]) from None
    except ValueError:
        raise PackageBroken(package, [f"{FILE} is no JSON"]) from None
    own = {name: value for name, value in content.items() if name != "this"} if isinstance(content, dict) else {}
    if own.get("format") != FORMAT or spelled(own) != written:
        raise PackageBroken(package, [f"{FILE} is not what was written"])
    return Provenance(own)


def problems(package: Path, provenance: Provenance) -> Iterator[str]:
    """Every file that is not as it was written: changed, gone, or added."""
    for name, digest in provenance.files.items():
        path = package / name
        if not path.is_file():
            yield f"{name} is gone"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{name} changed"
    yield from (f"{name} was added" for name in sorted(present(package) - provenance.files.keys() - {FILE}))


def present(package: Path) -> set[str]:
    """The files of a package, less what building, installing and testing it leaves behind."""
    found = set()
    for path in package.rglob("*"):
        parts = PurePosixPath(path.relative_to(package).as_posix()).parts
        is_left_over = any(part in _LEFT_OVER or part.endswith(".egg-info") for part in parts)
        if not is_left_over and (path.is_file() or path.is_symlink()) and path.suffix != ".pyc":
            found.add("/".join(parts))
    return found
