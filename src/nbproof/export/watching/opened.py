"""Files that a library reads past Python, as pyarrow does: the system tells which were read, where it can (Linux)."""

from __future__ import annotations

import ast
import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_ACCESS, _MODIFY, _CLOSE_WRITE, _CLOSE_NOWRITE, _IS_DIRECTORY = 0x1, 0x2, 0x8, 0x10, 0x40000000
_EVENT = struct.Struct("iIII")
# More folders than these are those of a whole home, and none of a notebook.
_MOST_FOLDERS = 2_000
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}


class Opened:
    """Listens to some folders until its block ends; without the system's help it hears nothing."""

    def __init__(self, folders: Collection[Path]) -> None:
        self._places: dict[int, Path] = {}
        self._file = -1
        if sys.platform != "linux" or not folders:
            return
        system = ctypes.CDLL(None, use_errno=True)
        self._file = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in folders:
            mask = _ACCESS | _MODIFY | _CLOSE_WRITE | _CLOSE_NOWRITE
            watched = system.inotify_add_watch(self._file, os.fsencode(folder), mask)
            if watched >= 0:
                self._places[watched] = folder

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self) -> set[str]:
        """The files that were read since the last time, and not written; by their absolute paths."""
        read: set[str] = set()
        written: set[str] = set()
        for place, mask in self._events():
            if not mask & _IS_DIRECTORY:
                (written if mask & (_MODIFY | _CLOSE_WRITE) else read).add(str(place))
        return {place for place in read - written if _is_data(Path(place))}

    def _events(self) -> Iterator[tuple[Path, int]]:
        while self._file >= 0:
            try:
                held = os.read(self._file, 65536)
            except (BlockingIOError, InterruptedError):
                return
            at = 0
            while at < len(held):
                watched, mask, _, length = _EVENT.unpack_from(held, at)
                name = held[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                if name and watched in self._places:
                    yield self._places[watched] / os.fsdecode(name), mask


def folders_of(sources: Iterable[str], folder: Path) -> list[Path]:
    """The folders in which a notebook may read: its own with all below, and those that a text in it names."""
    found = dict.fromkeys(_below(folder))
    for source in sources:
        for node in ast.walk(_tree(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" in node.value:
                with contextlib.suppress(OSError, ValueError):
                    place = Path(os.path.abspath(folder / node.value))  # noqa: PTH100 (a link stays one)
                    named = _below(place) if place.is_dir() else [place.parent] if place.parent.is_dir() else []
                    # The root of all is named by many texts that are no paths.
                    found.update((each, None) for each in named if len(each.parts) > 2)
    return list(found)[:_MOST_FOLDERS]


def _below(folder: Path) -> Iterator[Path]:
    """The folder and all below it, but hidden ones and those of other people's code."""
    for told, (place, names, _) in enumerate(os.walk(folder), start=1):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
        yield Path(place)
        if told == _MOST_FOLDERS:
            return


def _tree(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def _is_data(path: Path) -> bool:
    """Whether it may be data: others open the notebook itself and the code beside it."""
    return not path.name.startswith(".") and path.suffix not in {".ipynb", ".pyc", ".py"} and path.is_file()
