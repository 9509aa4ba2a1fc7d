"""Checkpoints on disk: one folder each, whole when its manifest is there, used when everything above still holds."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...files import sync_folder, write_atomically
from ..freshness import Fingerprint, differences
from ..sources.hashes import canonical_json, content_hash
from .plan import Checkpoint

MANIFEST = "manifest.json"
VALUES = "values"
STAGED = "staged"
EXECUTED = "executed.ipynb"
ARTIFACTS = "artifacts"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint holds and what it was made from.

    `files` maps each of its files to its SHA-256; `written` the files that cells above it wrote elsewhere. `hidden` is
    what was known of the state that no name holds. `cell` counts from 1.
    """

    run_id: str
    cell_id: str
    cell: int
    fingerprint: Mapping[str, Any]
    injected: str
    names: tuple[str, ...]
    files: Mapping[str, str]
    written: Mapping[str, str | None]
    modules: tuple[str, ...]
    hidden: Mapping[str, Any]
    execution_count: int
    types: Mapping[str, str]

    def to_json(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Raises ValueError, KeyError or TypeError on anything that is not a whole manifest."""
        found = json.loads(content)
        return cls(**{**found, "names": tuple(found["names"]), "modules": tuple(found["modules"])})

    @property
    def began_with(self) -> Fingerprint:
        return Fingerprint(**{**self.fingerprint, "code": tuple(self.fingerprint["code"])})


@dataclass(frozen=True, slots=True)
class Kept:
    """One checkpoint on disk."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a checkpoint must have been made from to be used now."""

    checkpoint: Checkpoint
    fingerprint: Fingerprint
    injected: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The checkpoint to go on from, or why there is none, in words."""

    kept: Kept | None
    reason: str


def kept_in(folder: Path) -> list[Kept | str]:
    """The checkpoints of one task; of one that cannot be read, why."""
    found: list[Kept | str] = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith("."):
            continue
        try:
            found.append(Kept(entry, Manifest.from_json((entry / MANIFEST).read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            found.append(f"the manifest of the checkpoint `{entry.name}` cannot be read")
    return found


def choose(
    folder: Path,
    wanted: Iterable[Wanted],
    packages: Callable[[str], Mapping[str, str]],
    *,
    run_id: str | None = None,
) -> Choice:
    """The checkpoint in `folder` that lies furthest down and still holds; with `run_id` only one of that run."""
    every = kept_in(folder)
    problems = [entry for entry in every if isinstance(entry, str)]
    found = [entry for entry in every if isinstance(entry, Kept) and run_id in {None, entry.manifest.run_id}]
    for want in sorted(wanted, key=lambda want: want.checkpoint.index, reverse=True):
        for entry in sorted(found, key=lambda entry: entry.manifest.run_id, reverse=True):
            if entry.manifest.cell_id != want.checkpoint.cell_id:
                continue
            problem = why_not(entry, want, packages)
            if problem is None:
                manifest = entry.manifest
                at = want.checkpoint.number
                return Choice(entry, f"goes on after cell {at}, from the checkpoint of run {manifest.run_id}")
            problems.append(problem)
    return Choice(None, f"runs from its start: {problems[0] if problems else 'it has reached no checkpoint'}")


def why_not(entry: Kept, want: Wanted, packages: Callable[[str], Mapping[str, str]]) -> str | None:
    """Why a checkpoint cannot be used, in words; None when it can."""
    manifest = entry.manifest
    changed = list(differences(manifest.began_with, want.fingerprint, packages))
    if changed:
        return f"above the checkpoint {changed[0]}"
    if manifest.injected != want.injected:
        return "above the checkpoint the paths that it is given changed"
    lacking = sorted({*want.checkpoint.kinds} - {*manifest.names})
    if lacking:
        return f"the cells below the checkpoint now read `{lacking[0]}`, which it does not hold"
    for name, wanted in sorted(manifest.files.items()):
        found = content_hash(entry.folder / name)
        if found is None or found.hex != wanted:
            return f"the file `{name}` of the checkpoint is {'missing' if found is None else 'not what was stored'}"
    for name, content in sorted(manifest.written.items()):
        now = content_hash(Path(name))
        if (now and now.hex) != content:
            return f"`{name}`, which cells above the checkpoint wrote, changed since"
    return None


def complete(draft: Path, manifest: Manifest, *, keep: Iterable[str] = ()) -> Path:
    """Turn the folder `draft` into a checkpoint: its manifest last, then its name.

    The checkpoints of other runs go, but for those named in `keep`.
    """
    write_atomically(draft / MANIFEST, manifest.to_json())
    final = draft.parent / f"{manifest.run_id}.{manifest.cell:04d}"
    discard(final)
    draft.rename(final)
    sync_folder(final.parent)
    for entry in kept_in(final.parent):
        if isinstance(entry, Kept) and entry.manifest.run_id != manifest.run_id and entry.folder.name not in {*keep}:
            discard(entry.folder)
    return final


def keep_artifacts(log: Path, draft: Path) -> None:
    """Keep the files that cells above the checkpoint logged: elsewhere they wait for their delivery only."""
    for file in _artifacts(log):
        if file.is_file():
            (draft / ARTIFACTS).mkdir(exist_ok=True)
            shutil.copy2(file, draft / ARTIFACTS / file.name)


def restore_artifacts(log: Path, kept: Path) -> None:
    """Put them back where the log says that they are."""
    for file in _artifacts(log):
        copy = kept / ARTIFACTS / file.name
        if copy.is_file():
            write_atomically(file, copy.read_bytes())


def _artifacts(log: Path) -> list[Path]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    values = [entry["values"] for entry in map(json.loads, lines) if entry["kind"] == "artifact"]
    return [Path(found["kept"]) for found in values if found.get("kept")]


def discard(folder: Path) -> None:
    """Remove a checkpoint, or all of a task; one that is removed half is none, for its name goes first."""
    if folder.is_dir():
        aside = folder.parent / f".{uuid.uuid4().hex}"
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
