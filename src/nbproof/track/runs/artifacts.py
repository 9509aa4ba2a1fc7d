"""The files of tracked runs, fetched with care: what a record names need not be what it says, nor lie where it says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ...errors import RecordUnusable
from ..store import file_of
from .reading import RunStore, reached

MOST_FILES, DEEPEST = 300, 3
LARGEST_BYTES = 100_000_000
NOTEBOOK_FOLDER = "notebook"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a run; `bytes` is what the store says of its size."""

    path: str
    bytes: int


def listed(store: RunStore, run_id: str, folder: str = "") -> tuple[Artifact, ...]:
    """The files of a run, or of one folder among them: at most three hundred, down to three folders deep."""
    local = _local_folder(store, run_id)
    found = _listed_here(local, local / folder) if local else _listed_there(store, run_id, folder or None)
    return tuple(artifact for _, artifact in zip(range(MOST_FILES), found, strict=False))


def fetched(store: RunStore, run_id: str, path: str) -> bytes:
    """What a file of a run holds; raises `RecordUnusable` for one that lies elsewhere, is too large or is not there."""
    if not _is_safe(path):
        raise RecordUnusable(run_id, f"the file name `{path[:200]}`", "one that leads nowhere else")
    local = _local_folder(store, run_id)
    if local is not None:
        return _read(run_id, local / path, within=local)
    known = {artifact.path: artifact.bytes for artifact in listed(store, run_id, path.rpartition("/")[0])}
    if known.get(path, LARGEST_BYTES + 1) > LARGEST_BYTES:
        raise _unfetched(run_id, path)
    with tempfile.TemporaryDirectory(prefix="nbproof-") as folder, reached():
        place = Path(store.client.download_artifacts(run_id, path, folder))
        return _read(run_id, place, within=Path(folder))


def executed_notebook(store: RunStore, run_id: str) -> str | None:
    """The path of the executed notebook among the files of a run: the one that nbproof kept, else any, else None."""
    for folder in (NOTEBOOK_FOLDER, ""):
        for artifact in listed(store, run_id, folder):
            if artifact.path.endswith(".ipynb"):
                return artifact.path
    return None


def _local_folder(store: RunStore, run_id: str) -> Path | None:
    """Where the files of a run lie on this machine; None when they lie elsewhere.

    A store can be written by others, and a run in it may claim any folder for its own. Only folders of the project,
    or beside the file of its store, are believed.
    """
    uri = store.held(run_id).info.artifact_uri or ""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return None
    folder = Path(unquote(parts.path) if parts.scheme else uri).resolve()
    homes = [store.project.resolve()]
    database = file_of(store.client.tracking_uri)
    if database is not None:
        homes.append(database.parent.resolve())
    if parts.netloc not in ("", "localhost") or not any(folder.is_relative_to(home) for home in homes):
        raise RecordUnusable(run_id, f"files at `{uri[:200]}`", "files in the project or beside its store")
    return folder


def _listed_here(home: Path, folder: Path) -> Iterator[Artifact]:
    if folder.is_symlink() or not folder.is_dir():
        return
    for place in sorted(folder.iterdir()):
        # A link may lead anywhere; nothing that nbproof or MLflow records is one.
        if place.is_symlink():
            continue
        inside = place.relative_to(home)
        if place.is_file():
            yield Artifact(inside.as_posix(), place.stat().st_size)
        elif len(inside.parts) < DEEPEST:
            yield from _listed_here(home, place)


def _listed_there(store: RunStore, run_id: str, folder: str | None = None) -> Iterator[Artifact]:
    with reached():
        held = list(store.client.list_artifacts(run_id, folder))
    for item in held:
        if not _is_safe(item.path):
            continue
        if not item.is_dir:
            yield Artifact(item.path, item.file_size or 0)
        elif len(PurePosixPath(item.path).parts) < DEEPEST:
            yield from _listed_there(store, run_id, item.path)


def _read(run_id: str, file: Path, *, within: Path) -> bytes:
    inside = file.resolve()
    if not inside.is_relative_to(within.resolve()) or not inside.is_file() or inside.stat().st_size > LARGEST_BYTES:
        raise _unfetched(run_id, file.name)
    return inside.read_bytes()


def _unfetched(run_id: str, path: str) -> RecordUnusable:
    return RecordUnusable(
        run_id, f"no file `{path[:200]}` that can be fetched", f"one of at most {LARGEST_BYTES // 1_000_000} MB"
    )


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return bool(path) and not any(part in ("", ".", "..") for part in parts) and not set("\\\0") & set(path)
