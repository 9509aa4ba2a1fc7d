"""The fingerprint of a task as things stand: what decides its products."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..notebook import code
from ..notebook.contract import Contract
from ..notebook.document import Document
from ..records import ContentHash, Pipeline, Task
from .environment import Environment
from .freshness import Fingerprint, Hashes
from .hashes import content_hash, meaning_hash
from .modules import local_sources


def fingerprint(
    task: Task, document: Document, contract: Contract, *, pipeline: Pipeline, environment: Environment
) -> Fingerprint:
    """Read everything that `task` depends on, and hash it."""
    sources = [cell.source for cell in document.cells if cell.kind == "code" and document.is_python]
    return Fingerprint(
        code=tuple(ContentHash.of(cell.encode("utf-8", "surrogatepass")).hex for cell in code.normalised(document)),
        modules=_modules(sources, task.gate, pipeline, environment),
        parameters=dict(task.parameters),
        upstream=_upstream(task, contract, pipeline),
        data=_data(task, contract, pipeline.folder),
        environment=environment.lock.hex,
    )


def _modules(sources: list[str], gate: str, pipeline: Pipeline, environment: Environment) -> Hashes:
    """The local modules behind the code, and behind the function that decides whether what it made is accepted."""
    if gate:
        sources = [*sources, f"import {gate.split()[0].rpartition('.')[0]}"]
    found = local_sources(sources, cwd=pipeline.folder, search=environment.search, project=pipeline.project)
    modules = {path: value.hex for path, value in found.items()}
    return {**modules, f"on_finish: {gate}": ContentHash.of(gate.encode()).hex} if gate else modules


def reads(task: Task, contract: Contract, pipeline: Pipeline) -> Mapping[str, Mapping[str, Path]]:
    """The upstream products that `task` is given: those that its contract names, or all where it names no product."""
    chosen = {}
    for name in task.upstream:
        keys = contract.reads.get(name)
        products = pipeline.task(name).products
        chosen[name] = {key: path for key, path in products.items() if keys is None or key in keys}
    return chosen


def _upstream(task: Task, contract: Contract, pipeline: Pipeline) -> Hashes:
    return {
        f"{name}.{key}": _hex(meaning_hash(path))
        for name, products in reads(task, contract, pipeline).items()
        for key, path in products.items()
    }


def _data(task: Task, contract: Contract, folder: Path) -> Hashes:
    """Every parameter typed as a path declares data; a relative one is read from the pipeline's folder."""
    declared = contract.paths(task.parameters).values()
    return {os.path.normpath(path): _hex(content_hash(folder / path)) for paths in declared for path in paths}


def contents(task: Task) -> Hashes:
    """The present content hash of each product of `task`."""
    return {key: _hex(content_hash(path)) for key, path in task.products.items()}


def _hex(found: ContentHash | None) -> str | None:
    return None if found is None else found.hex
