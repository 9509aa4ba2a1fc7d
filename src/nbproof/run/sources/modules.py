"""The local modules that code imports, transitively, each with the hash of its content; nothing is imported."""

from __future__ import annotations

import ast
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import decode_source
from pathlib import Path

from ...errors import NotebookInvalid
from ...notebook.code import code_hash
from ...notebook.document import parse
from ...notebook.imports import ImportedName, Imports, imports, imports_in
from ...notebook.syntax import python_tree
from ...records import ContentHash
from .memory import Memory, key_of
from .notebooks import imports_from, imports_spelled

# Folders that hold no source of a project; environments are told by their pyvenv.cfg.
_PASSED_OVER = {".git", ".nbproof", "build", "node_modules", "__pycache__", "mlruns", "site-packages", "dist-packages"}
_INSTALLED = re.compile(r"[/\\](?:site-packages|dist-packages|lib(?:64)?[/\\]python3\.\d+t?)[/\\]")
_LOADERS = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def local_sources(
    sources: Iterable[str], *, cwd: Path, search: Sequence[str], project: Path
) -> Mapping[str, ContentHash]:
    """Do the same as `local_files` for `sources`, which are code cells."""
    return local_files(imports(sources), cwd=cwd, search=search, project=project)


def local_files(
    found: Imports, *, cwd: Path, search: Sequence[str], project: Path, seen: Seen | None = None
) -> Mapping[str, ContentHash]:
    """Return the hash of every local file that code with the imports `found` uses, and that those use in turn.

    Names are looked up in `cwd`, in the folders that the code itself adds, and in `search` (a `sys.path`).
    Local is what lies neither in the standard library nor in a site-packages folder. Python counts by its syntax
    tree, so comments rerun nothing; all else by its bytes. Keys are paths relative to `project`, or absolute outside.
    Where a name is known only at run time, every Python file that it could mean counts: those of the importing
    module's own top-level package, or of the whole project when a notebook or a script asks. What was `seen` just
    before is not looked at again.
    """
    if found == Imports():
        return {}
    here = _placed(str(cwd), str(Path.cwd()))
    folders = [_placed(path, here) for path in search]
    tracing = _Tracing(here, folders, _placed(str(project), str(Path.cwd())), seen or Seen())
    tracing.follow_all(found)
    return dict(sorted(tracing.hashes().items()))


@dataclass(frozen=True, slots=True)
class _Module:
    """A module found: its file (None: a namespace), and the folders of each package around it, outermost first.

    A package's own folders come last in `packages`, and are what `folders` repeats; a plain module has none.
    """

    file: str | None
    packages: tuple[tuple[str, ...], ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """What one file's content says: its hash, and what it imports."""

    content: ContentHash
    imports: Imports


@dataclass(slots=True)
class Seen:
    """What walks along imports have seen of folders and files, for other walks at the same moment.

    `memory` knows what files of the same content said before.
    """

    memory: Memory = field(default_factory=Memory)
    finders: dict[str, FileFinder] = field(default_factory=dict)
    sources: dict[str, _Source] = field(default_factory=dict)

    def source(self, file: str) -> _Source:
        """What `file` says."""
        found = self.sources.get(file)
        if found is None:
            found = self.sources[file] = _source(file, self.memory)
        return found


@dataclass(slots=True)
class _Tracing:
    """One walk along all imports; `added` grows as code names further folders."""

    cwd: str
    search: list[str]
    project: str
    seen: Seen
    added: dict[str, None] = field(default_factory=dict)
    _hashes: dict[str, ContentHash] = field(default_factory=dict)
    _walked: set[str] = field(default_factory=set)
    _pending: list[tuple[Imports, _Module]] = field(default_factory=list)

    def follow_all(self, found: Imports) -> None:
        """Follow `found`, again from the start whenever a folder was added: earlier names may lie in it."""
        while True:
            known = len(self.added)
            self._hashes.clear()
            self._walked.clear()
            self._pending = [(found, _Module(None))]
            while self._pending:
                self._follow(*self._pending.pop())
            if len(self.added) == known:
                return

    def hashes(self) -> dict[str, ContentHash]:
        """Return what was found, by path."""
        return {_key(file, self.project): content for file, content in self._hashes.items()}

    def _follow(self, found: Imports, origin: _Module) -> None:
        for path in sorted(found.paths):
            self.added.setdefault(_placed(path, self.cwd))
        for name in sorted(found.modules):
            self._follow_name(name, origin)
        for script in sorted(found.runs):
            self._follow_script(script, origin)
        if found.dynamic:
            self._take_all(origin)

    def _follow_name(self, name: ImportedName, origin: _Module) -> None:
        parts = name.module.split(".") if name.module else []
        hits = self._start(name, parts, origin)
        for part in parts if name.level else parts[1:]:
            hits = [child for hit in hits for child in self._children(hit, part)]
        for hit in hits:
            for imported in name.names:
                if imported == "*":
                    self._take_children(hit)
                else:
                    self._children(hit, imported)

    def _start(self, name: ImportedName, parts: list[str], origin: _Module) -> list[_Module]:
        if not name.level:
            return [self._taken(module) for module in self._top_level(parts[0])] if parts else []
        if name.level > len(origin.packages):
            return []
        around = origin.packages[: len(origin.packages) - name.level + 1]
        return [_Module(None, around, around[-1])]

    def _top_level(self, name: str) -> Iterator[_Module]:
        """Yield every local module that `import name` may mean."""
        if name in sys.builtin_module_names:
            return
        # Whether an added folder comes before or after the others is known only at run time: all of them count.
        for folder in self.added:
            module = self._module(self._find(name, folder), ())
            if module:
                yield module
        portions: list[str] = []
        for folder in (self.cwd, *self.search):
            spec = self._find(name, folder)
            if spec is not None and spec.loader is not None:
                module = self._module(spec, ())
                if module:
                    yield module
                return
            portions.extend(spec.submodule_search_locations or () if spec is not None else ())
        editable = self._module(_editable(name), ())
        if editable:
            yield editable
        local = tuple(dict.fromkeys(portion for portion in portions if _is_local(portion)))
        if local:
            yield _Module(None, (local,), local)

    def _children(self, package: _Module, name: str) -> list[_Module]:
        """Return (and take) the module `name` of `package`: one, or none."""
        portions: list[str] = []
        for folder in package.folders:
            spec = self._find(name, folder)
            if spec is not None and spec.loader is not None:
                module = self._module(spec, package.packages)
                return [self._taken(module)] if module else []
            portions.extend(spec.submodule_search_locations or () if spec is not None else ())
        found = tuple(portions)
        return [_Module(None, (*package.packages, found), found)] if found else []

    def _take_children(self, package: _Module) -> None:
        """Take every module right inside `package`: a star may mean any of them."""
        for folder in package.folders:
            for entry in _entries(folder):
                name = entry.name.partition(".")[0]
                if name.isidentifier() and name not in {"__init__", "__pycache__"}:
                    self._children(package, name)

    def _find(self, name: str, folder: str) -> ModuleSpec | None:
        # Finders of our own: the interpreter's remember a folder's content for long, and may miss a new file.
        finder = self.seen.finders.get(folder)
        if finder is None:
            finder = self.seen.finders[folder] = FileFinder(folder, *_LOADERS)
        return finder.find_spec(name)

    def _module(self, spec: ModuleSpec | None, around: tuple[tuple[str, ...], ...]) -> _Module | None:
        """Return the local module that `spec` describes, if it is one."""
        if spec is None:
            return None
        folders = tuple(folder for folder in spec.submodule_search_locations or () if _is_local(folder))
        packages = (*around, folders) if folders else around
        if spec.origin is None or not spec.has_location:
            return _Module(None, packages, folders) if folders else None
        return _Module(spec.origin, packages, folders) if _is_local(spec.origin) else None

    def _taken(self, module: _Module) -> _Module:
        if module.file is not None and module.file not in self._hashes:
            source = self.seen.source(module.file)
            self._hashes[module.file] = source.content
            self._pending.append((source.imports, module))
        return module

    def _follow_script(self, script: str, origin: _Module) -> None:
        folders = [self.cwd, *self.added]
        if origin.file is not None:
            folders.append(str(Path(origin.file).parent))
        for folder in folders:
            file = _placed(script, folder)
            if Path(file).is_file() and _is_local(file):
                if file.endswith(".py"):
                    # `python folder/script.py` finds the script's neighbours.
                    self.added.setdefault(str(Path(file).parent))
                self._taken(_Module(file))

    def _take_all(self, origin: _Module) -> None:
        """Take every Python file that a name known only at run time could mean."""
        roots = origin.packages[0] if origin.packages else (self.project, self.cwd)
        for root in roots:
            if root in self._walked:
                continue
            self._walked.add(root)
            for file in _python_files(root):
                self._taken(_Module(file, origin.packages[:1]))


def _placed(path: str, folder: str) -> str:
    """Return `path`, seen from `folder`, without `..` and with its symbolic links as they are."""
    # Unlike Path.expanduser, this takes an unknown user's `~name` as a plain name.
    return os.path.normpath(Path(folder, os.path.expanduser(path)))  # noqa: PTH111


def _key(file: str, project: str) -> str:
    path = Path(file)
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()


def _editable(name: str) -> ModuleSpec | None:
    """Ask the finders that editable installs put on `sys.meta_path`; those of others may do more than look."""
    for finder in sys.meta_path:
        home = getattr(finder, "__module__", "") or ""
        look = getattr(finder, "find_spec", None)
        if "editable" in home and look is not None:
            spec: ModuleSpec | None = look(name, None)
            if spec is not None:
                return spec
    return None


@lru_cache(maxsize=1)
def _standard_library() -> tuple[str, ...]:
    found = (sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib"))
    return tuple({f"{os.path.realpath(path)}{os.sep}" for path in found})


def _is_local(file: str) -> bool:
    return not _INSTALLED.search(f"{file}{os.sep}") and not os.path.realpath(file).startswith(_standard_library())


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _python_files(root: str) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        kept = [
            name for name in names if name not in _PASSED_OVER and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        names[:] = sorted(kept)
        yield from (str(Path(folder) / file) for file in sorted(files) if file.endswith(".py"))


def _source(file: str, memory: Memory) -> _Source:
    content = Path(file).read_bytes()
    if not file.endswith((".ipynb", ".py")):
        return _Source(ContentHash.of(content), Imports())
    key = key_of(f"source{Path(file).suffix}", content)
    kept = memory.recall(key)
    if kept is not None:
        return _Source(ContentHash(kept[0]), imports_from(kept[1]))
    found = _notebook_source(file, content) if file.endswith(".ipynb") else _python_source(content)
    memory.keep(key, [found.content.hex, imports_spelled(found.imports)])
    return found


def _notebook_source(file: str, content: bytes) -> _Source:
    try:
        document = parse(Path(file), content)
        found = imports(cell.source for cell in document.cells if cell.kind == "code")
        return _Source(code_hash(document), found)
    except NotebookInvalid:
        return _Source(ContentHash.of(content), Imports(dynamic=True))


# By content, not by time of change: two versions of a file may share their time and size.
@lru_cache(maxsize=4096)
def _python_source(content: bytes) -> _Source:
    try:
        text = decode_source(content)
        tree = python_tree(text)
    except (SyntaxError, UnicodeDecodeError):
        # It fails when it is imported, unless someone mends it.
        return _Source(ContentHash.of(content), Imports(dynamic=True))
    return _Source(ContentHash.of(ast.dump(tree).encode("utf-8", "surrogatepass")), imports_in(tree))
