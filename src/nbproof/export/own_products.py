"""The products that a notebook declares: a run of it for an export leaves them as a pipeline has made them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def put_back(product: Any, folder: Path) -> Iterator[None]:
    """Let the block write the products that `product` names, relative to `folder`; then they are as before.

    `product` is what the parameters cell assigns: a mapping, one path, or None. Their folders are there for the block.
    """
    paths = _paths(product, folder)
    with tempfile.TemporaryDirectory(prefix="nbproof-products-") as place:
        before = {path: _copied(path, Path(place) / str(number)) for number, path in enumerate(paths)}
        made = [parent for path in paths for parent in _missing(path)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            for path, copy in before.items():
                if _stamps(path) != (None if copy is None else _stamps(copy)):
                    _replace(path, copy)
            for parent in sorted(set(made), key=lambda each: -len(each.parts)):
                if parent.is_dir() and not any(parent.iterdir()):
                    parent.rmdir()


def _paths(product: Any, folder: Path) -> list[Path]:
    named = list(product.values()) if isinstance(product, Mapping) else [] if product is None else [product]
    return [folder / each for each in dict.fromkeys(named) if isinstance(each, str | Path) and str(each)]


def _copied(path: Path, copy: Path) -> Path | None:
    if path.is_dir():
        return Path(shutil.copytree(path, copy, symlinks=True))
    return Path(shutil.copy2(path, copy)) if path.is_file() else None


def _missing(path: Path) -> Iterator[Path]:
    """The folders above a path that are not there yet."""
    yield from (parent for parent in path.parents if not parent.exists())


def _stamps(path: Path) -> Any:
    """Size and time of each file; None where there is nothing."""
    if path.is_dir():
        found = {each.relative_to(path): each.lstat() for each in sorted(path.rglob("*")) if not each.is_dir()}
        return {name: (told.st_size, told.st_mtime_ns) for name, told in found.items()}
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None


def _replace(path: Path, copy: Path | None) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if copy is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(copy, path)
