"""The files that a notebook finds beside it, laid out for tests: what is small travels, what is large is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..watching.seen import Run

# The tests of a package are no store of data.
LARGEST = 8_000_000
# So far above the notebook may its data lie.
HIGHEST = 2


def lay_out(run: Run, folder: Path, recorded: Path) -> None:
    """Copy what the notebook has read, and not written before, into `recorded`; say in `data.json` where each lay.

    Other places of this machine are left alone: no package can bring them.
    """
    read, made = list(_read(run)), set(_folders(run))
    near = [place for place in (*read, *made) if _is_near(place, folder)]
    root = Path(os.path.commonpath([folder, *(place if place in made else place.parent for place in near)]))
    files = {}
    kept_in = recorded / "data"
    for place in read:
        if place not in near:
            continue
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        kept = f"{digest[:16]}{place.suffix}" if place.stat().st_size <= LARGEST else None
        if kept is not None:
            kept_in.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, kept_in / kept)
        files[place.relative_to(root).as_posix()] = {"sha256": digest, "kept": kept}
    folders = sorted(place.relative_to(root).as_posix() for place in made if place in near)
    plan = {"folder": folder.relative_to(root).as_posix(), "folders": folders, "files": files}
    (recorded / "data.json").write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")


def _read(run: Run) -> Iterator[Path]:
    written: set[str] = set()
    told: set[str] = set()
    for cell in run.cells:
        for name in cell.files_read:
            if name not in written and name not in told and Path(name).is_file():
                told.add(name)
                yield Path(name)
        written |= set(cell.files_written)


def _folders(run: Run) -> Iterator[Path]:
    """The folders that were there when the notebook wrote into them: it did not make them."""
    touched = {Path(name) for cell in run.cells for name in cell.files_written}
    for place in touched:
        if place.is_file() and place.parent not in touched:
            yield place.parent


def _is_near(place: Path, folder: Path) -> bool:
    top = folder.parents[min(HIGHEST, len(folder.parents)) - 1]
    # From the root of the disk everything would be near.
    return place.is_relative_to(top if len(top.parts) > 1 else folder)
