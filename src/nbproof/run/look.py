"""One look at what tasks depend on: whatever is read in it is read once, so all that it judges is of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..notebook.imports import Imports
from ..records import ContentHash
from .freshness import TaskRecord
from .sources.environment import Environment, of_kernel
from .sources.hashes import content_hash, meaning_hash
from .sources.memory import Memory
from .sources.modules import Seen, local_files


class Look:
    """Take a new one whenever something may have changed."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._seen = Seen(memory or Memory())
        self._environments: dict[str, Environment] = {}
        self._contents: dict[Path, ContentHash | None] = {}
        self._meanings: dict[tuple[Path, str], str] = {}
        self._files: dict[tuple[Imports, Path, tuple[str, ...], Path], Mapping[str, ContentHash]] = {}

    def environment(self, kernel: str) -> Environment:
        """The environment that `kernel` will run in."""
        if kernel not in self._environments:
            self._environments[kernel] = of_kernel(kernel)
        return self._environments[kernel]

    def files(self, found: Imports, *, cwd: Path, search: tuple[str, ...], project: Path) -> Mapping[str, ContentHash]:
        """The local files behind imports, as `local_files` tells them."""
        key = found, cwd, search, project
        if key not in self._files:
            self._files[key] = local_files(found, cwd=cwd, search=search, project=project, seen=self._seen)
        return self._files[key]

    def content(self, path: Path) -> ContentHash | None:
        """The content hash of what is at `path`."""
        if path not in self._contents:
            self._contents[path] = content_hash(path)
        return self._contents[path]

    def meaning(self, path: Path) -> ContentHash | None:
        """What readers of `path` depend on."""
        content = self.content(path)
        if content is None or path.suffix != ".ipynb":
            return content
        known = self._meanings.get((path, content.hex))
        return meaning_hash(path) if known is None else ContentHash(known)

    def learn(self, record: TaskRecord, project: Path) -> None:
        """Take from `record` what its products mean, as long as they are what they were when it was written."""
        for product in record.products.values():
            self._meanings[project / product.path, product.content] = product.meaning
