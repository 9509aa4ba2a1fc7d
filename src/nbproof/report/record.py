"""The record of a pipeline as it was run: which task made what, of which inputs, in which run; plain values."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import ReportRefused
from ..notebook.digest import digest
from ..notebook.document import Document
from ..notebook.phases import PHASES
from ..records import Event, Pipeline, RunFinished, RunStarted, Task, TaskFinished
from ..run.freshness import TaskRecord
from ..run.pipeline.loading import Loaded
from ..run.state import state_of
from ..track import journal

FORMAT = "nbproof.report.record"
VERSION = 1
# How a notebook names what it leaves: `product["metrics"]`.
_PRODUCT = "product"
# Not data of the model: what the project itself is made of.
_TITLES = {phase.name: phase.title for phase in PHASES}


def record_of(loaded: Loaded) -> dict[str, Any]:
    """Return what is recorded of every task of a pipeline that has run to its end.

    Raises `ReportRefused` where a task has no record, for then nobody knows what made its products.
    """
    pipeline = loaded.pipeline
    records = {task.name: _task_record(pipeline, task) for task in pipeline.tasks}
    events = _events_of(pipeline, {record.run_id for record in records.values()})
    return {
        "format": FORMAT,
        "version": VERSION,
        "pipeline": {
            "name": pipeline.name,
            "file": _near(pipeline.file, pipeline.project),
            "notebooks": len(pipeline.tasks),
        },
        "runs": {run_id: _run(told) for run_id, told in sorted(events.items())},
        "tasks": {
            task.name: _told(task, records[task.name], loaded.documents[task.name], events, pipeline.project)
            for task in pipeline.tasks
        },
        "metrics": {
            task.name: found
            for task in pipeline.tasks
            if (found := _metrics(task.name, events.get(records[task.name].run_id, ())))
        },
        "cells": {task.name: cells_of(loaded.documents[task.name], task.products) for task in pipeline.tasks},
        "data": [
            {"file": path, "sha256": found, "task": name}
            for name, record in records.items()
            for path, found in sorted(record.fingerprint.data.items())
            if found
        ],
    }


def products_of(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """The products of each task by key, relative to the project; without executed notebooks, which hold times."""
    return {
        task.name: {
            key: _near(path, pipeline.project)
            for key, path in task.products.items()
            if key != "nb" and path.suffix != ".ipynb"
        }
        for task in pipeline.tasks
    }


def cells_of(document: Document, products: Mapping[str, Any]) -> dict[str, str]:
    """For each product the cells that hand it to a call, by id and number, as far as the code shows it."""
    found: dict[str, list[str]] = {}
    for number, cell in enumerate(document.cells, start=1):
        if cell.kind != "code":
            continue
        for key in dict.fromkeys(_handed(cell.source)):
            found.setdefault(key, []).append(f"{cell.id} (cell {number})")
    return {key: ", ".join(found[key]) for key in products if key in found}


def _handed(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        # Magics, which are no Python; such a cell is not told of.
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        for held in (*call.args, *(word.value for word in call.keywords)):
            for node in ast.walk(held):
                if (
                    isinstance(node, ast.Subscript)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == _PRODUCT
                    and isinstance(node.slice, ast.Constant)
                ):
                    yield str(node.slice.value)


def _task_record(pipeline: Pipeline, task: Task) -> TaskRecord:
    found = state_of(pipeline).records.read(task.name)
    if isinstance(found, str):
        raise ReportRefused(f"report on {pipeline.name}", [f"`{task.name}`: {found}"], hint="nbproof run")
    return found


def _events_of(pipeline: Pipeline, run_ids: set[str]) -> dict[str, Sequence[Event]]:
    """What the journals of these runs tell; of a run whose journal is gone, nothing."""
    paths = {run_id: journal.path_of(pipeline.project, run_id) for run_id in run_ids}
    return {run_id: journal.read(path) for run_id, path in paths.items() if path.is_file()}


def _run(events: Sequence[Event]) -> dict[str, Any]:
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    finished = next((event for event in events if isinstance(event, RunFinished)), None)
    if started is None:
        return {}
    origin = started.provenance
    return {
        "started": moment(started.at),
        "outcome": finished.outcome if finished else "no end is recorded",
        "elapsed_s": finished.elapsed_s if finished else None,
        "git_commit": origin.git_commit,
        "git_dirty": origin.git_dirty,
        "environment_sha256": origin.environment.hex,
        "python": origin.python,
        "nbproof": origin.nbproof,
    }


def _metrics(task: str, events: Sequence[Event]) -> dict[str, float]:
    """The last value of each metric that the notebook logged about itself in the run that carried it out."""
    found: dict[str, float] = {}
    for event in events:
        if isinstance(event, TaskFinished) and event.task == task and event.outcome == "done":
            for entry in event.logged:
                if entry.kind == "metrics" and entry.child is None:
                    found |= {name: float(value) for name, value in entry.values.items()}
    return found


def _told(
    task: Task, record: TaskRecord, document: Document, events: Mapping[str, Sequence[Event]], project: Path
) -> dict[str, Any]:
    ended = [
        event
        for event in events.get(record.run_id, ())
        if isinstance(event, TaskFinished) and event.task == task.name and event.outcome == "done"
    ]
    executed = record.products.get("nb")
    return {
        "title": _TITLES.get(task.name, ""),
        "notebook": _near(task.notebook, project),
        "digest": digest(document).hex,
        "run_id": record.run_id,
        "finished": moment(record.at),
        "attempt": ended[-1].attempt if ended else None,
        "elapsed_s": ended[-1].elapsed_s if ended else None,
        "executed": executed.path if executed else None,
        "executed_sha256": executed.content if executed else None,
        "environment_sha256": record.fingerprint.environment,
        "upstream": list(task.upstream),
        "parameters": dict(record.fingerprint.parameters),
        "seed": record.fingerprint.parameters.get("seed"),
    }


def moment(at: float) -> str:
    """A point in time as ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _near(path: Path, project: Path) -> str:
    return os.path.relpath(path, project)
