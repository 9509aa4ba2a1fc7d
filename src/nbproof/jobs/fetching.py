"""The results of a job, copied whole to where somebody wants them."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import AskedWrongly, JobUnfinished, Unwritable
from ..files import unfinished_beside
from .place import Place
from .standing import of


def fetch(place: Place, target: Path, *, allow_partial: bool = False) -> tuple[Path, ...]:
    """Copy the results of every element to `target`: to itself for one element, else to a folder for each.

    Raises `JobUnfinished` unless all have ended well (or `allow_partial` and some have), and `AskedWrongly` for a
    folder that is not empty.
    """
    standing = of(place)
    done = [element.index for element in standing.elements if element.state == "done"]
    if not done or (len(done) < len(standing.elements) and not allow_partial):
        counted = ", ".join(f"{count} {state}" for state, count in standing.counted().items())
        raise JobUnfinished(place.id, f"is {standing.state} ({counted})")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AskedWrongly(
            f"`{target}` is there already; expected an empty folder, or none", hint="name another: --to DIR"
        )
    is_array = place.job().is_array
    unfinished = unfinished_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for index in done:
            shutil.copytree(
                place.results / str(index), unfinished / str(index) if is_array else unfinished, symlinks=True
            )
        if target.exists():
            target.rmdir()
        unfinished.rename(target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise Unwritable(target, str(error.strerror or error)) from None
    return tuple(sorted(path for path in target.rglob("*") if path.is_file()))
