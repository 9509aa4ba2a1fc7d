"""A store with many runs, written by SQL: MLflow itself would need minutes to make them."""

from __future__ import annotations

import contextlib
import math
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbproof.track.mlflow_tracker import create_store

BEGAN_MS = 1_700_000_000_000
APART_MS = 60_000
STATUS = ("FINISHED", "FINISHED", "FINISHED", "FAILED", "KILLED")
SOLVERS = ("lbfgs", "saga", "newton")


def fill(file: Path, experiment: str, count: int, *, points: int = 3) -> list[str]:
    """Make the store `file` with `count` runs of an experiment, the oldest first; their ids come back.

    Each has five parameters, six metrics of `points` points, and the tags of an attempt at a notebook.
    """
    create_store(file, workshop=file.parent / "workshop")
    draw = random.Random(0)
    with contextlib.closing(sqlite3.connect(file)) as store, store:
        made = store.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time,"
            " workspace) VALUES (?, ?, 'active', ?, ?, 'default')",
            (experiment, str(file.parent / "mlruns" / experiment), BEGAN_MS, BEGAN_MS),
        )
        return _insert(store, made.lastrowid, file.parent, count, points, draw)


def _insert(
    store: sqlite3.Connection, experiment: int | None, folder: Path, count: int, points: int, draw: random.Random
) -> list[str]:
    ids = [f"{draw.getrandbits(128):032x}" for _ in range(count)]
    for table, rows in (
        ("runs", _runs(ids, experiment, folder, draw)),
        ("params", _params(ids)),
        ("tags", _tags(ids)),
        ("metrics", _metrics(ids, points)),
        ("latest_metrics", _latest(ids, points)),
    ):
        _insert_all(store, table, rows)
    return ids


def _insert_all(store: sqlite3.Connection, table: str, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    names = ", ".join(first)
    places = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({names}) VALUES ({places})"
    store.execute(statement, first)
    store.executemany(statement, rows)


def _runs(ids: list[str], experiment: int | None, folder: Path, draw: random.Random) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(ids):
        start = BEGAN_MS + number * APART_MS
        yield {
            "run_uuid": run,
            "name": f"training {number:05d}",
            "source_type": "UNKNOWN",
            "source_name": "",
            "entry_point_name": "",
            "user_id": "ana",
            "status": STATUS[number % len(STATUS)],
            "start_time": start,
            "end_time": start + 1000 + draw.randrange(APART_MS),
            "deleted_time": None,
            "source_version": "",
            "lifecycle_stage": "active",
            "artifact_uri": str(folder / "mlruns" / run / "artifacts"),
            "experiment_id": experiment,
        }


def _params(ids: list[str]) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(ids):
        values = {"depth": number % 12, "solver": SOLVERS[number % 3], "rows": 1000 * (number % 7), "seed": number,
                  "source": f"data/panel-{number % 30}.parquet"}  # fmt: skip
        for name, value in values.items():
            yield {"key": name, "value": str(value), "run_uuid": run}


def _tags(ids: list[str]) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(ids):
        values = {"mlflow.runName": f"training {number:05d}", "mlflow.source.type": "NOTEBOOK", "nbproof.kind": "task",
                  "nbproof.task": "training", "nbproof.attempt": "1", "nbproof.run_id": f"r{number}",
                  "nbproof.key": f"r{number}/training/1", "team": "risk" if number % 2 else "growth"}  # fmt: skip
        for name, value in values.items():
            yield {"key": name, "value": value, "run_uuid": run}


def _value(number: int, metric: int, step: int) -> float:
    return 0.5 + 0.4 * math.sin(number + metric) * (1 - math.exp(-step - 1))


def _metrics(ids: list[str], points: int) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(ids):
        for metric in range(6):
            for step in range(points):
                yield {"key": f"metric_{metric}", "value": _value(number, metric, step), "run_uuid": run,
                       "timestamp": BEGAN_MS + number * APART_MS + step, "step": step, "is_nan": False}  # fmt: skip


def _latest(ids: list[str], points: int) -> Iterator[dict[str, Any]]:
    return (row for row in _metrics(ids, points) if row["step"] == points - 1)
