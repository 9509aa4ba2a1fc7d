"""A folder of foreign notebooks: which files are notebooks, what each is called, and what is left out and why."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import AskedWrongly, NotebookInvalid
from ..notebook import document
from ..notebook.document import Document
from ..notebook.imports import imports
from ..notebook.syntax import python_tree
from .cells import CodeCell, code_cells
from .planning import Foreign, free, identifier
from .remarks import Remark
from .touching import Finder
from .values import Value, constants, module_values, with_modules

_PASSED_OVER = {"node_modules", "__pycache__", "build", "exports", "site-packages", "venv", "env"}
_PERCENT = re.compile(r"^# ?%%", re.MULTILINE)
_OTHER_LANGUAGES = {".r", ".rmd", ".qmd", ".jl", ".scala"}
_DECLARES = re.compile(r"^(?:upstream|product)\s*=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds: notebooks that can be taken over, local modules by their place, and what was left out."""

    notebooks: tuple[Foreign, ...]
    modules: Mapping[str, Path]
    remarks: tuple[Remark, ...]


def look(folder: Path, *, without: Collection[str] = ()) -> Found:
    """Read every notebook below `folder`, nothing of which is run or changed.

    `without` names notebooks to leave out, relative to the folder. Raises `AskedWrongly` where no notebook is left, and
    for a name in `without` that no notebook has.
    """
    if not folder.is_dir():
        raise AskedWrongly(f"`{folder}` is no folder; expected one that holds notebooks", hint=f"ls {folder.parent}")
    files = list(_files(folder))
    notebooks = [path for path in files if _is_notebook(folder / path)]
    for name in without:
        if PurePosixPath(name) not in notebooks:
            shown = ", ".join(str(path) for path in notebooks[:5])
            raise AskedWrongly(
                f"`--without {name}`: no notebook of `{folder}` is called so; there are: {shown or 'none'}"
            )
    above = _common(notebooks)
    read: list[Foreign] = []
    remarks: list[Remark] = []
    for path in notebooks:
        if str(path) in {str(PurePosixPath(name)) for name in without}:
            continue
        try:
            read.append(_foreign(folder, path, above, [found.name for found in read]))
        except (NotebookInvalid, _LeftOutError) as error:
            reason = f"found {error.found}" if isinstance(error, NotebookInvalid) else str(error)
            remarks.append(Remark(str(path), 0, 0, f"left out: {reason}"))
    remarks += [
        Remark(str(path), 0, 0, "left out: no notebook in Python")
        for path in files if path.suffix.lower() in _OTHER_LANGUAGES
    ]  # fmt: skip
    if not read:
        reasons = "; ".join(f"{remark.notebook}: {remark.words}" for remark in remarks[:3])
        raise AskedWrongly(f"`{folder}` holds no notebook in Python ({reasons or 'no notebook at all'}); expected one")
    modules, said = _modules(folder, read)
    return Found(tuple(read), modules, (*remarks, *said))


class _LeftOutError(Exception):
    """The notebook cannot be a task."""


def _files(folder: Path) -> Iterator[PurePosixPath]:
    """The files below a folder in the order in which people number them; nothing hidden, built or installed."""
    found = []
    for above, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders
            if not name.startswith(".") and name not in _PASSED_OVER and not (Path(above, name) / "pyvenv.cfg").exists()
        ]  # fmt: skip
        found += [
            PurePosixPath(Path(above, name).relative_to(folder).as_posix())
            for name in files
            if not name.startswith(".")
        ]
    yield from sorted(found, key=lambda path: (len(path.parts) > 1, _as_numbered(str(path))))


def _as_numbered(text: str) -> list[tuple[int, int, str]]:
    """A key by which `2_b` comes before `10_a`."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.findall(r"[0-9]+|[^0-9]+", text)
    ]


def _is_notebook(path: Path) -> bool:
    if path.suffix == ".ipynb":
        return True
    if path.suffix != ".py":
        return False
    try:
        return _PERCENT.search(path.read_text(encoding="utf-8-sig")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _common(notebooks: Collection[PurePosixPath]) -> PurePosixPath:
    """The folder that all notebooks lie in: no name of a task needs to say it."""
    parents = {path.parent for path in notebooks}
    shared = next(iter(parents), PurePosixPath())
    while not all(parent.is_relative_to(shared) for parent in parents):
        shared = shared.parent
    return shared


def _foreign(folder: Path, path: PurePosixPath, above: PurePosixPath, taken: Collection[str]) -> Foreign:
    found = _document(folder / path)
    if not found.is_python:
        raise _LeftOutError(f"a notebook in {found.language}")
    if any(_DECLARES.search(cell.source) for cell in found.tagged("parameters")):
        raise _LeftOutError("it declares `upstream` and `product` already: copy it and its entry of pipeline.yaml")
    try:
        cells, remarks = code_cells(found, str(path))
    except SyntaxError as error:
        raise _LeftOutError(f"no code that this Python can read ({error.msg})") from None
    if not cells:
        raise _LeftOutError("a notebook without code")
    known = with_modules(constants(cells), cells, _values(folder, path.parent, cells))
    touches = Finder(str(path), cells, known).find()
    name = free(identifier("_".join([*path.parent.relative_to(above).parts, path.stem]), prefix="nb"), taken)
    return Foreign(path, name, found, cells, known, touches, (*remarks, *touches.remarks))


def _values(folder: Path, beside: PurePosixPath, cells: Collection[CodeCell]) -> dict[str, dict[str, Value]]:
    """The constants of the modules beside a notebook that it imports: many keep their paths in one."""
    found: dict[str, dict[str, Value]] = {}
    for cell in cells:
        for root in _roots(cell.shown):
            file = next(
                (each for place, each in _module(root, (folder / beside, folder)) if place == f"{root}.py"), None
            )
            if file is not None and root not in found:
                try:
                    found[root] = module_values(python_tree(_text(file)))
                except SyntaxError:
                    continue
    return found


def _document(path: Path) -> Document:
    """The notebook; one with a fault in its form as nbformat mends it."""
    written = document.read_bytes(path)
    try:
        return document.parse(path, written)
    except NotebookInvalid as error:
        if path.suffix != ".ipynb" or not error.found.startswith(("a cell", "no list", "a bad", "no ")):
            raise
        mended = _mended(written)
        if mended is None:
            raise
        return document.parse(path, mended)


def _mended(written: bytes) -> bytes | None:
    import warnings

    import nbformat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = nbformat.reads(written.decode("utf-8-sig"), as_version=4)
    # nbformat lets through whatever goes wrong in files that are no notebooks.
    except Exception:
        return None
    for cell in node.get("cells", ()):
        # Random ids would make another proposal each time; ours come from the position.
        cell.pop("id", None)
    node["nbformat_minor"] = 4
    return json.dumps(node).encode()


# Local modules


def _modules(folder: Path, notebooks: Collection[Foreign]) -> tuple[dict[str, Path], list[Remark]]:
    """The modules of the folder that notebooks import, with those that they import: by their place in the pipeline."""
    found: dict[str, Path] = {}
    remarks: list[Remark] = []
    for notebook in notebooks:
        pending = [(cell.shown, folder / notebook.path.parent) for cell in notebook.cells]
        while pending:
            source, beside = pending.pop()
            for root in _roots(source):
                files = list(_module(root, (beside, folder)))
                if not files and not _is_installed(root):
                    words = f"imports `{root}`, which is neither installed here nor in the folder"
                    remarks.append(
                        Remark(str(notebook.path), 0, 0, words, "install it, or put it beside pipeline.yaml")
                    )
                for place, file in files:
                    if found.get(place, file) != file:
                        remarks.append(
                            Remark(str(notebook.path), 0, 0, f"imports another `{root}` than other notebooks do",
                                   "give one of the two modules another name")
                        )  # fmt: skip
                    elif place not in found:
                        found[place] = file
                        if file.suffix == ".py":
                            pending.append((_text(file), file.parent))
    return found, list(dict.fromkeys(remarks))


def _roots(source: str) -> list[str]:
    """The first words of the modules that code imports from outside of its own package."""
    return sorted(
        {name.module.partition(".")[0] for name in imports([source]).modules if name.module and not name.level}
    )


def _is_installed(root: str) -> bool:
    try:
        return importlib.util.find_spec(root) is not None
    except (ImportError, ValueError):
        return False


def _module(root: str, folders: Collection[Path]) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        if (folder / f"{root}.py").is_file():
            yield f"{root}.py", folder / f"{root}.py"
            return
        if (folder / root).is_dir() and any((folder / root).glob("*.py")):
            for file in sorted((folder / root).rglob("*.py")):
                yield file.relative_to(folder).as_posix(), file
            return


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
