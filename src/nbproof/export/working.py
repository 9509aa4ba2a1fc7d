"""The folder that a notebook works in: which of its files a run needs, and another folder that holds these alone.

Whatever comes out the same in a folder with nothing but the files that were seen to be read needs no other one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .secret_files import holds_secrets
from .watching.seen import Run

# Above the notebook's folder data that is named by an absolute path is looked for as far as projects put it there.
HIGHEST = 3
# Larger files are declared by their hash, and do not go along.
LARGEST, LARGEST_ALTOGETHER = 10 * 2**20, 50 * 2**20
MOST_LISTED = 1000
_PATHS = re.compile(r"[^\s'\"`:,;()]+")
# What the system itself brings is none of the notebook's data.
_SYSTEM = tuple(map(Path, ("/bin", "/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr", "/var")))


@dataclass(frozen=True, slots=True)
class Needed:
    """A file that a run reads. `path` is relative to the root of its `Working`, or absolute for one from elsewhere."""

    path: str
    source: Path
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Working:
    """What a run needs of the world.

    `root` is the lowest folder above the notebook and all that it reads near by, `folder` the notebook's own within
    it. `modules` are local ones by the names that they are imported by; `folders` have to be there, be they empty;
    `elsewhere` are files that the notebook finds by an absolute path. All paths in it are POSIX.
    """

    root: Path
    folder: str
    data: tuple[Needed, ...] = ()
    modules: tuple[tuple[str, Needed], ...] = ()
    folders: tuple[str, ...] = ()
    elsewhere: tuple[Needed, ...] = ()

    @property
    def along(self) -> tuple[Needed, ...]:
        """The data that is small enough to go along with a package: smaller files first."""
        kept, total = [], 0
        for needed in sorted(self.data, key=lambda each: each.size):
            total += needed.size
            if needed.size <= LARGEST and total <= LARGEST_ALTOGETHER:
                kept.append(needed)
        return tuple(sorted(kept, key=lambda each: each.path))


def working(run: Run, folder: Path, *, also: Collection[Path] = ()) -> Working:
    """Find what `run`, which ran in `folder`, needs, and `also` these. Files that it made itself are not needed."""
    modules = {name: Path(file) for name, file in (run.loaded.modules.items() if run.loaded else ())}
    written: set[Path] = set()
    read: dict[Path, None] = {}
    for cell in run.cells:
        read.update((path, None) for path in map(Path, cell.files_read) if path not in written)
        written |= set(map(Path, cell.files_written))
    beside = {Path(path) for cell in run.cells for path in cell.files_beside}
    own = {path for path in modules.values() if path not in written}
    listed = [path for path in read if path.is_dir() and _is_near(path, folder, is_beside=path in beside)]
    files = [path for path in (*read, *also) if path.is_file() and path not in own]
    files += [path for place in listed for path in _inside(place) if path.is_file() and path not in {*written, *own}]
    beside |= {path for place in listed if place in beside for path in _inside(place)}
    near = [path for path in dict.fromkeys(files) if _is_near(path, folder, is_beside=path in beside)]
    far = [path for path in dict.fromkeys(files) if path not in near and not _is_of_the_system(path)]
    modules = {name: path for name, path in modules.items() if path in own and _is_near(path, folder)}
    root = _root(folder, (*near, *listed, *modules.values()))
    folders = {*listed, *(path for place in listed for path in _inside(place) if path.is_dir())}
    # A folder that was there before the run has to be there for the next one.
    made = written | {Path(path) for path, left in run.files.items() if left.digest}
    folders |= {path.parent for path in made if path.parent.is_dir() and path.parent not in written}
    return Working(
        root,
        folder.relative_to(root).as_posix(),
        tuple(_needed(path, path.relative_to(root).as_posix()) for path in sorted(near)),
        tuple((name, _needed(path, path.relative_to(root).as_posix())) for name, path in sorted(modules.items())),
        tuple(
            sorted(path.relative_to(root).as_posix() for path in folders if path.is_relative_to(root) and path != root)
        ),
        tuple(_needed(path, str(path)) for path in sorted(far)),
    )


def lay_out(needed: Working, place: Path, *, is_with_modules: bool) -> Path:
    """Put what a run needs below `place`; the notebook's own folder there comes back.

    Large files are linked to, not copied.
    """
    folder = place / needed.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in needed.folders:
        (place / name).mkdir(parents=True, exist_ok=True)
    wanted = [*needed.data, *(held for _, held in needed.modules if is_with_modules)]
    for held in wanted:
        target = place / held.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if held.size <= LARGEST:
            shutil.copyfile(held.source, target)
        else:
            target.symlink_to(held.source)
    return folder


def missed(words: str, folder: Path, run: Run) -> tuple[Path, ...]:
    """The files near by that an error speaks of, and that were there before the run: some are read past Python."""
    told = {Path(os.path.normpath(folder / name)) for name in _PATHS.findall(words)}
    return tuple(
        sorted(path for path in told if path.is_file() and _is_near(path, folder) and str(path) not in run.files)
    )


def changed_by(run: Run, needed: Working) -> tuple[str, ...]:
    """The files that a run reads and then writes: a second run finds others there."""
    written = {path for cell in run.cells for path in cell.files_written}
    read = {path for cell in run.cells for path in cell.files_read}
    return tuple(held.path for held in needed.data if str(held.source) in written & read)


def vendored(name: str, needed: Needed) -> PurePosixPath:
    """Where a local module lies below a folder that it is imported from."""
    place = PurePosixPath(*name.split("."))
    return place / "__init__.py" if needed.source.name == "__init__.py" else place.with_suffix(".py")


def _needed(path: Path, name: str) -> Needed:
    with path.open("rb") as file:
        return Needed(name, path, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _inside(folder: Path) -> Iterator[Path]:
    # Who lists a folder does not ask for what is secret in it.
    found = [path for path in sorted(folder.iterdir()) if path.is_dir() or not holds_secrets(path)]
    # Who lists thousands of files looks for something; taking them all along would help nobody.
    yield from found if len(found) <= MOST_LISTED else ()


def _is_near(path: Path, folder: Path, *, is_beside: bool = False) -> bool:
    """Whether a relative path of a few steps leads there; of any number, where the notebook itself names that path."""
    above = [folder, *folder.parents][: None if is_beside else HIGHEST + 1]
    # Whatever shares no more with the notebook than a place where everything lies is not near.
    shared = {Path("/"), Path.home(), Path.home().parent, Path(tempfile.gettempdir())}
    return any(path.is_relative_to(place) for place in above if place == folder or place not in shared)


def _root(folder: Path, paths: Iterable[Path]) -> Path:
    root = folder
    for path in paths:
        while not path.is_relative_to(root):
            root = root.parent
    return root


def _is_of_the_system(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in _SYSTEM)
