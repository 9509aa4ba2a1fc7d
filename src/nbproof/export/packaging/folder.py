"""The folder of a package appears whole or not at all; what somebody wrote into it by hand is kept, or not touched."""

from __future__ import annotations

import ctypes
import difflib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...errors import AskedWrongly, HandEdited, PackageBroken, Unwritable
from ...files import remove_unfinished, sync_folder, unfinished_beside
from . import provenance

# What stands between these two lines is kept; both may stand in any text whose comments begin with `#`.
KEEP, END = "# nbproof: keep", "# nbproof: end"
_EXCHANGE, _AT_FDCWD = 2, -100
_MOST_LINES = 60


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write to; it goes when the block ends, unless `put_in_place` has moved it.

    What a killed writer of the same target has left goes first. Raises `Unwritable`.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(target)
        place = unfinished_beside(target)
        place.mkdir()
    except OSError as error:
        raise Unwritable(target.parent, str(error.strerror)) from None
    # The system lets go of the lock when this process ends, however.
    lock = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _lock(lock)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(lock)


def put_in_place(place: Path, target: Path) -> None:
    """Make a finished folder the one called `target`; a reader sees the old one or the new one, whole."""
    for path in sorted(place.rglob("*")):
        if path.is_file():
            _sync(path)
    if not target.exists():
        place.rename(target)
    elif _exchange(place, target):
        shutil.rmtree(place)
    else:
        # For a moment there is neither; the old one lies beside, and is put back if the new one cannot be.
        aside = unfinished_beside(target)
        target.rename(aside)
        try:
            place.rename(target)
        except OSError:
            aside.rename(target)
            raise
        shutil.rmtree(aside)
    sync_folder(target.parent)


def check_free(target: Path) -> None:
    """Raise `AskedWrongly` unless there is nothing at `target`, an empty folder, or an exported package.

    Raises `Unwritable` where a folder could not be made.
    """
    above = next(place for place in target.parents if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise Unwritable(above, "it takes no folder")
    is_ours = target.is_dir() and ((target / provenance.FILE).exists() or not any(target.iterdir()))
    if target.exists() and not is_ours:
        raise AskedWrongly(
            f"`{target}` is there already and is no exported package; expected a free place",
            hint="name another one: --out DIR",
        )


def kept(target: Path, made: Mapping[str, bytes], *, below: str = "", but: str | None = None) -> dict[str, bytes]:
    """The new files of a package with the places that were marked in the folder that is there now.

    Only those whose paths begin with `below`, and not with `but`, are looked at. A folder that is not there has no
    marks. Raises `HandEdited` with the difference when something else in it was changed.
    """
    if not target.exists() or not any(target.iterdir()):
        return dict(made)
    try:
        before = provenance.read(target)
    except PackageBroken as error:
        raise HandEdited(target, error.problems, "") from None
    files, problems, differences = dict(made), [], []
    for name in sorted(before.files.keys() | provenance.present(target)):
        if name == provenance.FILE or not name.startswith(below) or (but is not None and name.startswith(but)):
            continue
        problem = _carry_over(target, name, before, files)
        if problem:
            problems.append(problem)
            differences += _difference(name, target / name, files.get(name, b""))
    if problems:
        shown = differences[:_MOST_LINES]
        more = [f"… and {len(differences) - len(shown)} more lines"] if len(differences) > len(shown) else []
        raise HandEdited(target, problems, "\n".join([*shown, *more]))
    return files


def without_kept(text: str) -> str:
    """A text less its marked places."""
    return "".join(line for line, is_kept in _marked(text) if not is_kept)


def _carry_over(target: Path, name: str, before: provenance.Provenance, files: dict[str, bytes]) -> str:
    """Take what is marked in a file of the old folder over to the new one; what stands against it comes back."""
    path, digest = target / name, before.files.get(name)
    if not path.is_file():
        return f"{name} is gone"
    content = path.read_bytes()
    if digest is not None and hashlib.sha256(content).hexdigest() == digest and KEEP.encode() not in content:
        return ""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return f"{name} changed" if digest is not None else f"{name} was added"
    if digest is None:
        if text.startswith(f"{KEEP}\n"):
            files[name] = content
            return ""
        return f"{name} was added"
    if before.kept.get(name, digest) != _hashed(without_kept(text)):
        return f"{name} changed"
    if name not in files:
        return f"{name} has a marked place, and is no file of the package any more"
    merged = _merged(text, files[name].decode())
    if merged is None:
        return f"{name}: the line before a marked place is gone"
    files[name] = merged.encode()
    return ""


def _merged(old: str, new: str) -> str | None:
    """The new text with the marked places of the old one, each after the line that it came after; None: it is gone."""
    lines = new.splitlines(keepends=True)
    for place, before in _places(old):
        found = [at for at, line in enumerate(lines) if line == before]
        # At the top of a file, a place stays at the top; a line that is there twice says nothing.
        if before and len(found) != 1:
            return None
        at = found[0] + 1 if before else 0
        lines[at:at] = place
    return "".join(lines)


def _places(text: str) -> Iterator[tuple[list[str], str]]:
    """Each marked place, from the last to the first, with the last line that is not blank before it."""
    found: list[tuple[list[str], str]] = []
    before, place = "", []
    for line, is_kept in _marked(text):
        if is_kept:
            place.append(line)
            if line.strip() == END:
                found.append((place, before))
                place = []
        elif line.strip():
            before = line
    if place:
        found.append((place, before))
    return reversed(found)


def _marked(text: str) -> Iterator[tuple[str, bool]]:
    is_kept = False
    for line in text.splitlines(keepends=True):
        is_kept = is_kept or line.strip() == KEEP
        yield line, is_kept
        if line.strip() == END:
            is_kept = False


def _difference(name: str, path: Path, new: bytes) -> list[str]:
    try:
        old_lines = path.read_bytes().decode().splitlines() if path.is_file() else []
        new_lines = new.decode().splitlines()
    except UnicodeDecodeError:
        return [f"{name}: bytes that are no text"]
    return list(difflib.unified_diff(old_lines, new_lines, f"{name} (by hand)", f"{name} (exported)", lineterm="", n=1))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _exchange(place: Path, target: Path) -> bool:
    """Let two folders swap their names in one step, where the system can."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(place), _AT_FDCWD, os.fsencode(target), _EXCHANGE)
    if done != 0 and ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
    return done == 0


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        # A file system without locks; there nothing is ever taken for left behind.
        return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
