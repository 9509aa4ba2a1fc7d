"""Products are written beside their final place and renamed into it, so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import Unwritable
from ..files import sync_folder
from ..records import Task

# What the name of a folder begins with, and what is between the name of a task and the mark of a start.
PREFIX, MARKED = ".nbproof-", "~"


@dataclass(frozen=True, slots=True)
class Staging:
    """Where one task writes: in each folder that holds products of its, a hidden folder of the task's own.

    `mark` tells one start of the task from another, where one that was taken for dead may still be writing.
    """

    task: Task
    mark: str = ""

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.task.name}{MARKED}{self.mark}" if self.mark else f"{PREFIX}{self.task.name}"

    @property
    def folders(self) -> tuple[Path, ...]:
        return tuple(sorted({product.parent / self.name for product in self.task.products.values()}))

    def staged(self, product: Path) -> Path:
        return product.parent / self.name / product.name

    def products(self) -> Mapping[str, Path]:
        return {key: self.staged(product) for key, product in self.task.products.items()}

    def prepare(self) -> None:
        """Make empty staging folders; what an earlier attempt left there goes."""
        self.discard()
        for folder in self.folders:
            try:
                folder.mkdir(parents=True)
                probe = folder / uuid.uuid4().hex
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise Unwritable(folder.parent, error.strerror or str(error)) from None

    def restore(self, kept: Path) -> None:
        """Put what a checkpoint kept of each folder, numbered below `kept`, into the empty staging folders."""
        for number, folder in enumerate(self.folders):
            shutil.copytree(kept / str(number), folder, dirs_exist_ok=True)

    def missing(self) -> list[str]:
        """The keys of products that were not written."""
        return [key for key, staged in self.products().items() if not staged.exists()]

    def publish(self) -> None:
        """Rename everything that was written into its place: other files first, then the products."""
        products = list(self.products().values())
        written = [path for folder in self.folders for path in sorted(folder.iterdir())]
        for path in sorted(written, key=lambda path: path in products):
            _replace(path, path.parent.parent / path.name)
        for folder in self.folders:
            sync_folder(folder.parent)
        self.discard()

    def discard(self) -> None:
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def clear(tasks: Iterable[Task]) -> None:
    """Remove what any start of these tasks has left, whatever its mark; each folder is looked at once."""
    names: dict[Path, set[str]] = {}
    for task in tasks:
        Staging(task).discard()
        for product in task.products.values():
            names.setdefault(product.parent, set()).add(task.name)
    for folder, known in names.items():
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                name, marked, _ = entry.name.removeprefix(PREFIX).rpartition(MARKED)
                if marked and entry.name.startswith(PREFIX) and name in known:
                    shutil.rmtree(entry.path, ignore_errors=True)


def _replace(source: Path, target: Path) -> None:
    _sync(source)
    if target.is_dir() and not target.is_symlink():
        aside = source.parent / f".old-{uuid.uuid4().hex}"
        target.rename(aside)
        source.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        source.replace(target)


def _sync(path: Path) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
