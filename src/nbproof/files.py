"""Files that are never half written."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputTaken


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old content or the new, whole."""
    with written_at_end(path) as unfinished:
        unfinished.write_bytes(content)


@contextmanager
def written_at_end(target: Path) -> Iterator[Path]:
    """A file beside `target` to write to: it becomes `target` when the block ends well, and goes when it does not.

    It is readable for whom the umask says. What a killed writer of the same target has left goes first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(target)
    unfinished, lock = _locked(target)
    try:
        yield unfinished
        os.fsync(lock)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)
    sync_folder(target.parent)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write to: it becomes that when the block ends well, and goes when it does not.

    Raises `OutputTaken` where something is there already.
    """
    if folder.exists():
        raise OutputTaken(folder, "something there", "a folder that is not there yet", hint="name another one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        yield unfinished
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _locked(target: Path) -> tuple[Path, int]:
    """A new file and a descriptor that holds its lock: the system lets go of it when this process ends, however."""
    while True:
        path = unfinished_beside(target)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            # A file system without locks; there nothing is ever taken for left behind.
            return path, descriptor
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        # Another writer took it for left behind, in the moment before it was locked.
        os.close(descriptor)


def unfinished_beside(target: Path) -> Path:
    """A new name beside `target` for what is to become it."""
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.unfinished")


def remove_unfinished(target: Path) -> None:
    """Remove the unfinished files and folders of `target` that no living process holds."""
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.unfinished")
    with os.scandir(target.parent) as entries:
        left = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries if name.fullmatch(entry.name)]
    for path, is_folder in left:
        try:
            descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_CLOEXEC)
        except OSError:
            # Another writer was faster, or it is another user's.
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_folder:
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()
        except OSError:
            # Its writer lives.
            continue
        finally:
            os.close(descriptor)
