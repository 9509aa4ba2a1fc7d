"""What a worker is told: the notebook as it will run, and where everything goes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..notebook.code import INJECTED
from ..notebook.document import Document
from ..records import Pipeline, Task
from . import fingerprint as fingerprints
from .checkpoints.in_worker import CheckpointOrder, as_planned
from .checkpoints.kept import STAGED, Kept, Wanted, restore_artifacts
from .checkpoints.plan import Checkpoint
from .look import Look
from .pipeline.declared import Loaded
from .sources.environment import of_kernel
from .sources.notebooks import Notebook, said_of
from .staging import Staging
from .state import state_of
from .worker import Order


@dataclass(frozen=True, slots=True)
class Resumable:
    """The checkpoints of one task: where they are kept, by which run, and which one to go on from."""

    folder: Path
    run_id: str
    wanted: tuple[Wanted, ...]
    kept: Kept | None = None


def wanted_checkpoints(
    task: Task, staging: Staging, loaded: Loaded, planned: Sequence[Checkpoint], look: Look
) -> tuple[Wanted, ...]:
    """What each checkpoint of `task` would be made from now: the code above it, and all else that a task depends on."""
    document = loaded.documents[task.name]
    injected = _injected(task, staging, loaded) if planned else ""
    wanted = []
    for checkpoint in planned:
        above = replace(document, cells=document.cells[: checkpoint.index + 1])
        notebook = Notebook(document.path, b"", said_of(above))
        found = fingerprints.fingerprint(replace(task, gate=""), notebook, pipeline=loaded.pipeline, look=look)
        wanted.append(Wanted(checkpoint, found, injected))
    return tuple(wanted)


def make_order(
    task: Task, staging: Staging, loaded: Loaded, *, is_warm: bool, resumable: Resumable | None = None
) -> Order:
    """Write the prepared notebook into `staging` and return the order to run it.

    It is made from the very document that was fingerprinted, so an edit in between changes nothing.
    """
    pipeline, contract = loaded.pipeline, loaded.contracts[task.name]
    staged = {key: _relative(path, pipeline) for key, path in staging.products().items()}
    injected = _injected(task, staging, loaded)
    executed = Path(staged["nb"]).with_suffix(".ipynb")
    prepared = executed.with_suffix(".prepared.ipynb")
    write_atomically(pipeline.folder / prepared, _prepared(task, loaded.documents[task.name], injected))
    return Order(
        prepared=prepared.as_posix(),
        notebook=_relative(task.notebook, pipeline),
        kernel=task.kernel,
        secrets={name: str(task.parameters[name]) for name in contract.secrets},
        executed=executed.as_posix(),
        staged=staged,
        rename=(f"{staging.name}/", ""),
        log=executed.with_suffix(".log.jsonl").as_posix(),
        is_warm=is_warm,
        search=of_kernel(task.kernel).search if is_warm else (),
        learnt=str(state_of(pipeline).learnt(task.name).resolve()) if is_warm else "",
        caps=(task.caps.cell_bytes, task.caps.notebook_bytes),
        checkpoints=_checkpoints(staging, pipeline, resumable, executed.with_suffix(".log.jsonl").as_posix()),
    )


def _checkpoints(
    staging: Staging, pipeline: Pipeline, resumable: Resumable | None, log: str
) -> Mapping[str, Any] | None:
    if resumable is None or not resumable.wanted:
        return None
    kept = resumable.kept
    if kept is not None:
        staging.restore(kept.folder / STAGED)
        restore_artifacts(pipeline.folder / log, kept.folder)
    planned = {
        want.checkpoint.cell_id: as_planned(
            want.checkpoint.number, want.checkpoint.kinds, want.checkpoint.replay, want.fingerprint, want.injected
        )
        for want in resumable.wanted
    }
    return asdict(CheckpointOrder(
        folder=str(resumable.folder), run_id=resumable.run_id, planned=planned, project=str(pipeline.project.resolve()),
        staging=tuple(_relative(folder, pipeline) for folder in staging.folders),
        log=log, resume=str(kept.folder) if kept else None,
    ))  # fmt: skip


def _injected(task: Task, staging: Staging, loaded: Loaded) -> str:
    """The source of the cell that gives the notebook its parameters and paths."""
    pipeline, contract = loaded.pipeline, loaded.contracts[task.name]
    staged = {key: _relative(path, pipeline) for key, path in staging.products().items()}
    upstream = {
        name: _as_declared(pipeline.task(name), products, pipeline)
        for name, products in fingerprints.reads(task, contract, pipeline).items()
    }
    return contract.injected_source(
        task.parameters, upstream=upstream or None, product=staged["nb"] if task.is_single else staged
    )


def _as_declared(task: Task, products: Mapping[str, Path], pipeline: Pipeline) -> str | dict[str, str]:
    """As Ploomber gives them: the path of a task's only product, or a mapping."""
    if task.is_single:
        return _relative(task.products["nb"], pipeline)
    return {key: _relative(path, pipeline) for key, path in products.items()}


def _prepared(task: Task, document: Document, injected: str) -> bytes:
    """The notebook with the cell of parameters right after the one that declares them."""
    # Plain JSON all the way: nbformat would be the largest import of the whole runner.
    cells = [cell for cell in document.content["cells"] if INJECTED not in cell["metadata"].get("tags", [])]
    at = next(i for i, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", []))
    added: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": INJECTED,
        "metadata": {"tags": [INJECTED]},
        "outputs": [],
        "source": injected,
    }
    papermill = {
        "default_parameters": {},
        "environment_variables": {},
        "parameters": dict(task.parameters),
        "version": "nbproof",
    }
    notebook = {
        **document.content,
        "cells": [*cells[: at + 1], added, *cells[at + 1 :]],
        "metadata": {**document.content["metadata"], "papermill": papermill},
    }
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _relative(path: Path, pipeline: Pipeline) -> str:
    return Path(os.path.relpath(path, pipeline.folder)).as_posix()
