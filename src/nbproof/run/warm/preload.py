"""What a notebook's kernel may have imported before it starts: what it imports itself, from installed distributions."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ...notebook.ahead import Ahead, ImportedAhead, ahead, leaves_state_alone
from ...notebook.syntax import python_tree

# They start threads or contexts when they are imported, or belong to the kernel itself.
NEVER = {
    "IPython", "cupy", "cudf", "dask", "distributed", "faulthandler", "gi", "google", "grpc", "ipykernel", "jax",
    "PyQt5", "PyQt6", "PySide6", "pyspark", "ray", "tensorflow", "tkinter",
}  # fmt: skip
# Files of the working directory that a package reads when it is imported.
READS_HERE = {"matplotlib": "matplotlibrc", "numba": ".numba_config.yaml"}
_INSTALLED = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]")


@dataclass(frozen=True, slots=True)
class Preload:
    """The modules to import ahead, in their order, and why not more (None: all that the notebook imports).

    `variables` must be set while that is done. `uses` maps submodules that the notebook uses without importing them
    by name to the number of modules after which they must be there: only so does the notebook run without us, too.
    """

    modules: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, int] = field(default_factory=dict)
    because: str | None = None


def preload(sources: Sequence[str], *, cwd: Path, search: Sequence[str], learnt: Sequence[str] = ()) -> Preload:
    """Choose what the kernel of a notebook with the code cells `sources` may have imported ahead.

    `search` is the `sys.path` of the kernel's interpreter. Local modules are never imported ahead, but what they
    import at their top is, at its place in the order. `learnt` are packages that the code was seen to import in an
    earlier run; they come last, and only where no code, of functions or of local modules, might be noticed by them.
    """
    found = ahead(sources)
    looking = _Looking(str(cwd), tuple(search))
    counts = [0, *looking.take(found)]
    if learnt and looking.because is None and leaves_state_alone([*sources, *looking.local_sources]):
        looking.take(Ahead(tuple(ImportedAhead(module) for module in learnt)))
    uses = {
        use.module: counts[min(use.after, len(counts) - 1)]
        for use in found.uses
        if looking.has(use.module.split(".")[0]) and looking.find(use.module) is not None
    }
    here = next((file for package, file in READS_HERE.items() if looking.has(package) and (cwd / file).exists()), None)
    if here is not None:
        return Preload(because=f"`{here}` in its folder is read by an import")
    variables = dict(found.variables) if looking.modules else {}
    return Preload(tuple(looking.modules), variables, uses, looking.because)


@dataclass(slots=True)
class _Looking:
    """Modules looked up where the kernel will look: in its folder, then along its search path."""

    cwd: str
    search: tuple[str, ...]
    modules: dict[str, None] = field(default_factory=dict)
    because: str | None = None
    local_sources: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def take(self, found: Ahead) -> list[int]:
        """Take the imports of some code in their order, and those of the local modules among them at their place.

        Return how many modules there are after each of the imports.
        """
        counts = []
        for imported in found.imports:
            if self.because is None:
                self._take_one(imported)
            counts.append(len(self.modules))
        self.because = self.because or found.because
        return counts

    def has(self, package: str) -> bool:
        return any(name.split(".")[0] == package for name in self.modules)

    def find(self, module: str) -> ModuleSpec | None:
        """The module, without importing the packages around it."""
        where: Sequence[str] = (self.cwd, *self.search)
        spec = None
        for depth in range(1, module.count(".") + 2):
            name = ".".join(module.split(".")[:depth])
            spec = PathFinder.find_spec(name, list(where))
            if spec is None:
                return None
            where = list(spec.submodule_search_locations or ())
        return spec

    def _take_one(self, imported: ImportedAhead) -> None:
        top = imported.module.split(".")[0]
        spec = self.find(imported.module)
        if top in NEVER or spec is None or spec.origin is None:
            return
        if not _INSTALLED.search(spec.origin):
            self._follow(imported, spec)
            return
        self.modules.setdefault(imported.module)
        if spec.submodule_search_locations is not None:
            for name in imported.names:
                if PathFinder.find_spec(f"{imported.module}.{name}", list(spec.submodule_search_locations)) is not None:
                    self.modules.setdefault(f"{imported.module}.{name}")

    def _follow(self, imported: ImportedAhead, spec: ModuleSpec) -> None:
        """Take what a local module, the packages around it and the submodules named with it import at their top."""
        parts = imported.module.split(".")
        around = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
        for module in [*around, *(f"{imported.module}.{name}" for name in imported.names)]:
            if module in self._seen:
                continue
            self._seen.add(module)
            found = self.find(module)
            if found is not None and found.origin and not _is_standard(found.origin):
                self.local_sources.append(_text(Path(found.origin)))
            if found is not None and found.origin and found.origin.endswith(".py") and not _is_standard(found.origin):
                self.take(
                    _ahead_of_file(Path(found.origin), module, is_package=found.submodule_search_locations is not None)
                )


def _is_standard(origin: str) -> bool:
    return bool(re.search(r"[/\\]lib(?:64)?[/\\]python3\.\d+t?[/\\]", origin)) and not _INSTALLED.search(origin)


def _text(file: Path) -> str:
    """The source of a module; what is none cannot be read, and counts as doing anything."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return "("


def _ahead_of_file(file: Path, module: str, *, is_package: bool) -> Ahead:
    """The imports at the top of a local module, with relative ones spelled out."""
    try:
        tree = python_tree(_text(file))
    except SyntaxError:
        return Ahead((), f"`{file.name}` cannot be read")
    package = module if is_package else module.rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            node.module = ".".join([*above, *([node.module] if node.module else [])])
            node.level = 0
    found = ahead([ast.unparse(tree)])
    sets = found.because or (found.variables and "variables")
    return Ahead(found.imports, f"`{file.name}` sets something before its further imports" if sets else None)
