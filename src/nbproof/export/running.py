"""A package run in a fresh process, in a folder that holds what its notebook needs and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..notebook.shapes import as_json
from .watching.watch import carried_out
from .working import Working, lay_out


@contextmanager
def clean_folder(needed: Working, *, is_with_modules: bool) -> Iterator[tuple[Path, Path]]:
    """A folder with what a run needs: its root, and in it the notebook's own; it goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="nbproof-clean-") as place:
        root = Path(place).resolve()
        yield root, lay_out(needed, root, is_with_modules=is_with_modules)


def run_package(
    name: str,
    sources: Mapping[str, bytes],
    folder: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
) -> Mapping[str, Any]:
    """Run a package in `folder`, in a fresh process; `sources` are its files by their paths in it.

    What it left comes back, or how it failed. Raises `NotWatched` when its process does not come to its end.
    """
    with tempfile.TemporaryDirectory(prefix="nbproof-draft-") as place:
        package = Path(place) / name
        for path, content in sources.items():
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            (package / path).write_bytes(content)
        values = as_json(dict(parameters or {}))
        job = {"package": name, "package_parent": place, "folder": str(folder), "parameters": values}
        return carried_out("nbproof.export.equivalence", job, timeout_s=timeout_s)
