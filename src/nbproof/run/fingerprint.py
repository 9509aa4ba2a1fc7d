"""The fingerprint of a task as things stand: what decides its products."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..data import dvc
from ..errors import DataAbsent
from ..notebook.contract import Contract
from ..notebook.imports import Imports, imports
from ..records import ContentHash, Pipeline, Task
from .freshness import Fingerprint, Hashes
from .look import Look
from .sources.notebooks import Notebook


def fingerprint(task: Task, notebook: Notebook, *, pipeline: Pipeline, look: Look) -> Fingerprint:
    """Everything that `task` depends on, hashed as `look` sees it."""
    said, environment = notebook.said, look.environment(task.kernel)
    return Fingerprint(
        code=said.code,
        modules=_modules(said.imports, task.gate, pipeline, environment.search, look),
        parameters=dict(task.parameters),
        upstream=_upstream(task, said.contract, pipeline, look),
        data=_data(task, said.contract, pipeline.folder, look),
        environment=environment.lock.hex,
    )


def _modules(found: Imports, gate: str, pipeline: Pipeline, search: tuple[str, ...], look: Look) -> Hashes:
    """The local modules behind the code, and behind the function that decides whether what it made is accepted."""
    if gate:
        found |= imports([f"import {gate.split()[0].rpartition('.')[0]}"])
    files = look.files(found, cwd=pipeline.folder, search=search, project=pipeline.project)
    modules = {path: value.hex for path, value in files.items()}
    return {**modules, f"on_finish: {gate}": ContentHash.of(gate.encode()).hex} if gate else modules


def reads(task: Task, contract: Contract, pipeline: Pipeline) -> Mapping[str, Mapping[str, Path]]:
    """The upstream products that `task` is given: those that its contract names, or all where it names no product."""
    chosen = {}
    named = contract.reads
    for name in task.upstream:
        keys = named.get(name)
        products = pipeline.task(name).products
        chosen[name] = {key: path for key, path in products.items() if keys is None or key in keys}
    return chosen


def _upstream(task: Task, contract: Contract, pipeline: Pipeline, look: Look) -> Hashes:
    return {
        f"{name}.{key}": _hex(look.meaning(path))
        for name, products in reads(task, contract, pipeline).items()
        for key, path in products.items()
    }


def _data(task: Task, contract: Contract, folder: Path, look: Look) -> Hashes:
    """Every parameter typed as a path declares data; a relative one is read from the pipeline's folder.

    Of what DVC tracks, the file that says so counts beside the data: it tells which version a commit means.
    """
    declared = [os.path.normpath(path) for paths in contract.paths(task.parameters).values() for path in paths]
    pointers = [f"{path}{dvc.SUFFIX}" for path in declared if dvc.pointer_of(folder / path)]
    return {path: _hex(look.content(folder / path)) for path in [*declared, *pointers]}


def refuse_unfetched(task: Task, contract: Contract, folder: Path) -> None:
    """Raise `DataAbsent` for declared data that DVC tracks and that nobody has fetched."""
    for path in (path for paths in contract.paths(task.parameters).values() for path in paths):
        pointer = dvc.pointer_of(folder / path)
        if pointer is not None and not (folder / path).exists():
            hint = f"dvc pull {pointer}"
            raise DataAbsent(f"`{path}`", f"only `{pointer.name}`, which tracks it", "the data itself", hint=hint)


def contents(task: Task, look: Look) -> Hashes:
    """The present content hash of each product of `task`."""
    return {key: _hex(look.content(path)) for key, path in task.products.items()}


def _hex(found: ContentHash | None) -> str | None:
    return None if found is None else found.hex
