"""Where a run finds its data and its local modules, and which cell of the notebook an error comes from."""

from __future__ import annotations

import functools
import json
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA, MODULES, NOTEBOOK = HERE / "_data", HERE / "_modules", HERE / "_notebook.json"

# Steps can be called by themselves, too: their modules are found, unless others have the same names.
if MODULES.is_dir() and str(MODULES) not in sys.path:
    sys.path.append(str(MODULES))
# Whoever listens to the files that are written just now.
_LISTENING: list[set[str]] = []
_IS_HOOKED: list[bool] = []
# Modules from beside the notebook that a run has loaded: the next one loads them anew, whatever was changed in them.
_LOADED: set[str] = set()


@contextmanager
def prepared(files: dict[str, Path]) -> Iterator[None]:
    """Let a run find what the notebook found: data in the current folder, local modules, its own place in errors.

    The files that are written meanwhile are noted in `files`, by their names from the current folder.
    """
    folder = Path.cwd()
    put_data(folder)
    try:
        with _local_modules(), _hearing(folder, files):
            yield
    except Exception as error:
        for note in _origin(error):
            error.add_note(note)
        raise


@functools.cache
def notebook() -> dict[str, Any]:
    """Return what is known of the notebook: its name, its folder, and the cell behind each line."""
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8")) if NOTEBOOK.is_file() else {}
    usual = {"name": "", "folder": ".", "folders": [], "lines": {}, "tables": False, "displaying": {}, "showing": {}}
    return {**usual, **found}


def cell_that_runs(among: str) -> str:
    """Return the id of the cell whose code runs just now, if it is "displaying" by a library, or "showing" figures."""
    known, found = notebook(), ""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        lines = known["lines"].get(file.name, ()) if file.parent == HERE else ()
        cells = [cell for line, cell, _ in lines if line <= frame.f_lineno]
        if cells:
            # Whatever calls whatever: the outermost is what the cell itself does.
            found = known[among].get(str(cells[-1]), "")
        frame = frame.f_back
    return found


def put_data(folder: Path) -> None:
    """Put the data that came along where the notebook looks for it; a file that is there already stays as it is."""
    own = notebook()["folder"]
    _copied(DATA / own, folder)
    for name in notebook()["folders"]:
        if own == "." or name.startswith(f"{own}/"):
            (folder / os.path.relpath(name, own)).mkdir(parents=True, exist_ok=True)


def lay_out(place: Path) -> Path:
    """Put all data that came along below a folder, also what lies above the notebook's own; that one comes back."""
    _copied(DATA, place)
    for name in notebook()["folders"]:
        (place / name).mkdir(parents=True, exist_ok=True)
    folder = place / str(notebook()["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _copied(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    # What most runs need not, they do not load.
    import shutil

    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished = place.with_name(f".{place.name}.{os.getpid()}.unfinished")
            shutil.copyfile(path, unfinished)
            unfinished.replace(place)


@contextmanager
def _local_modules() -> Iterator[None]:
    """Let the modules that came along be found first, then those in the current folder, as in a notebook."""
    own = {path.stem for path in MODULES.glob("*")} if MODULES.is_dir() else set()
    # Another package may have brought a module of the same name.
    others = {
        name: sys.modules.pop(name)
        for name in list(sys.modules)
        if name.partition(".")[0] in own and not _is_ours(sys.modules[name])
    }
    for name in _LOADED:
        sys.modules.pop(name, None)
    before = set(sys.modules)
    folder = Path.cwd()
    if others:
        _forget_steps()
    added = [str(MODULES), ""] if own else [""]
    sys.path[:0] = added
    try:
        yield
    finally:
        _LOADED.update(name for name in sys.modules.keys() - before if _is_local(sys.modules[name], folder))
        for place in added:
            if place in sys.path:
                sys.path.remove(place)
        if others:
            for name in [name for name in sys.modules if name.partition(".")[0] in own]:
                del sys.modules[name]
            sys.modules.update(others)


def _forget_steps() -> None:
    """Let what was imported beside modules of other people be imported again."""
    package = __name__.rpartition(".")[0]
    for name in list(sys.modules):
        last = name.removeprefix(f"{package}.")
        if last != name and not last.startswith("_"):
            del sys.modules[name]
            if hasattr(sys.modules[package], last):
                delattr(sys.modules[package], last)


def _is_ours(module: Any) -> bool:
    # A run asks this of every module that its libraries load: text is much faster than paths.
    return str(getattr(module, "__file__", None)).startswith(f"{MODULES}{os.sep}")


def _is_local(module: Any, folder: Path) -> bool:
    """Whether a module came along, or lies in the folder; what is installed there is none of the notebook's."""
    file = getattr(module, "__file__", None)
    if _is_ours(module):
        return True
    if not isinstance(file, str) or not file.endswith(".py") or f"{os.sep}site-packages{os.sep}" in file:
        return False
    path = Path(file).absolute()
    elsewhere = (HERE, Path(sys.prefix), Path(sys.base_prefix))
    return path.is_relative_to(folder) and not any(path.is_relative_to(place) for place in elsewhere)


@contextmanager
def _hearing(folder: Path, files: dict[str, Path]) -> Iterator[None]:
    if not _IS_HOOKED:
        _IS_HOOKED.append(True)
        sys.addaudithook(_hear)
    heard: set[str] = set()
    _LISTENING.append(heard)
    try:
        yield
    finally:
        _LISTENING.remove(heard)
        for path in map(Path, sorted(heard)):
            if path.is_file() and path.is_relative_to(folder):
                files[path.relative_to(folder).as_posix()] = path


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _LISTENING or event not in ("open", "os.rename", "shutil.move"):
        return
    if event == "open":
        path, _, flags = arguments
        written = [path] if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) else []
    else:
        written = [arguments[1]]
    for path in written:
        if isinstance(path, str | bytes | os.PathLike):
            for heard in list(_LISTENING):
                heard.add(str(Path(os.fsdecode(path)).absolute()))


def _origin(error: Exception) -> Iterator[str]:
    """Say which lines of the notebook the error came through, the innermost first."""
    import traceback

    known = notebook()
    places: list[str] = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        if file.parent != HERE:
            continue
        found = [each for each in known["lines"].get(file.name, ()) if each[0] == line]
        named = known.get("places", {})
        places[:0] = [f"{named.get(str(cell), f'cell {cell}')}, line {at}" for _, cell, at in found]
    if places:
        yield f"in {known['name']}: {', called in '.join(places)}"
    outside = [path for path in DATA.glob("*") if known["folder"] != "." and path.name != known["folder"].split("/")[0]]
    if isinstance(error, FileNotFoundError) and outside:
        yield f"some data lies above the notebook's folder: `python -m {HERE.name} --out DIR` lays it out below DIR"
