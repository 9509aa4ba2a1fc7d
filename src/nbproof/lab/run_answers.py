"""What the doors of the panel of experiments answer: from the package's own values to what is sent."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ..errors import PathRefused, RecordUnusable, RequestInvalid, TrackerUnavailable, UnknownName
from ..notebook.document import parse
from ..run.freshness import Environments
from ..run.pipeline.loading import tasks_of
from ..run.state import STATE_FOLDER
from ..track.runs.artifacts import listed
from ..track.runs.comparing import MOST, Row, Side, check_count, compare, environment_of
from ..track.runs.history import Point
from ..track.runs.reading import LONGEST_NOTE, Query, Run, RunStore, Sort, open_runs, shortened
from ..track.runs.restoring import executed, open_copy, restore
from ..track.runs.sources import Cell, differences
from ..track.runs.summary import Kind, Status, Summary, words_of
from .doors import Asked

PART = "experiments"
ROWS, MOST_ROWS = 1000, 1000
# A list of thousands is sent: of each run only so much as one looks for. The run alone is sent with more of it.
# MLflow's own names have at most 250 letters, so that they are sent whole.
LONGEST_NAME, LONGEST_SHOWN, LONGEST_TEXT = 250, 80, 2000
MOST_SHOWN, MOST_VALUES = 20, 1000
LATEST_MS = 10**14
# Clocks of machines that log to one tracker are not quite the same.
OVERLAP_MS = 60_000


def runs(asked: Asked) -> dict[str, Any]:
    """A page of runs, or with `since` those that changed. The first page also names the experiments."""
    store, now = _store(asked), int(time.time() * 1000) - OVERLAP_MS
    experiment = asked.text("experiment", "")
    if store is None:
        return {"rows": [], "next": "", "is_whole": True, "now": now, "experiments": []}
    since = asked.number("since", 0, highest=LATEST_MS)
    if since:
        changes = store.changed(since, experiment)
        return {"rows": _rows(changes.runs), "next": "", "is_whole": changes.is_whole, "now": now}
    after = asked.text("after", "")
    page = store.page(_query(asked, experiment), rows=asked.number("rows", ROWS, highest=MOST_ROWS) or 1, after=after)
    found = {"rows": _rows(page.runs), "next": page.next_page, "looked": page.looked, "is_whole": True, "now": now}
    return found if after else {**found, "experiments": sorted(store.experiments().values())}


def tasks(asked: Asked) -> dict[str, Any]:
    """As what the notebook `path` is recorded: its path, and the tasks of pipelines that it is the source of."""
    project, file = asked.project, asked.file()
    if not file.is_file():
        return {"notebook": "", "tasks": []}
    inside = file.relative_to(project.root).as_posix() if file.is_relative_to(project.root) else file.name
    return {"notebook": inside, "tasks": [list(pair) for pair in tasks_of(file, project.root)]}


def run(asked: Asked) -> dict[str, Any]:
    """One run whole; values are cut where they are very long."""
    store, run_id = _needed(asked), asked.text("run")
    found = store.run(run_id)
    summary = found.summary
    return {
        "row": _row(summary),
        "experiment": shortened(found.experiment, LONGEST_NAME),
        "note": shortened(found.note, LONGEST_NOTE),
        # A note that is sent in part must not be written back.
        "is_note_whole": len(found.note) <= LONGEST_NOTE,
        "parameters": _pairs(summary.parameters),
        "metrics": [[shortened(name, LONGEST_NAME), _number(value)] for name, value in _some(summary.metrics)],
        "tags": _pairs(summary.tags),
        "environment": _pairs(_environment(store, run_id)),
        "about": _pairs(_about(found)),
        **_files(store, run_id),
        "children": _rows(found.children),
    }


def history(asked: Asked) -> dict[str, Any]:
    """The curves of one metric: for each of the runs its points, at most a thousand."""
    store, metric = _needed(asked), asked.text("metric")
    ids = asked.text("runs").split(",")
    if not 1 <= len(ids) <= MOST:
        raise RequestInvalid("the runs", f"{len(ids)} of them", f"1 to {MOST}")
    return {"metric": metric, "curves": [[_point(point) for point in store.history(id_, metric)] for id_ in ids]}


def comparison(asked: Asked) -> dict[str, Any]:
    """Two to eight runs side by side."""
    ids = asked.text("runs").split(",")
    check_count(ids)
    store = _needed(asked)
    found = [store.run(id_) for id_ in ids]
    packages = Environments(asked.project.root / STATE_FOLDER / "environments").packages
    compared = compare([_side(store, run, packages) for run in found])
    return {
        "runs": _rows(run.summary for run in found),
        "parameters": _table(compared.parameters),
        "metrics": _table(compared.metrics),
        "tags": _table(compared.tags),
        "environment": _table(compared.environment),
        "packages": None if compared.packages is None else _table(compared.packages),
    }


def source(asked: Asked) -> dict[str, Any]:
    """How the notebooks of the runs `left` and `right` differ, cell by cell."""
    store = _needed(asked)
    found = differences(_cells(store, asked.text("left")), _cells(store, asked.text("right")))
    return {
        "is_same": found.is_same,
        "is_whole": found.is_whole,
        "cells": [
            {
                "change": cell.change,
                "kind": cell.kind,
                "left": cell.left,
                "right": cell.right,
                "lines": [list(line) for line in cell.lines],
            }
            for cell in found.cells
        ],
    }


def open_notebook(asked: Asked) -> dict[str, Any]:
    """Copy the executed notebook of a run to where JupyterLab can open it; the copy's contents path comes back."""
    store = _needed(asked)
    return {"path": _contents_path(asked, open_copy(executed(store, asked.text("run")), _home(asked)))}


def note(asked: Asked) -> dict[str, Any]:
    """Write the note of a run."""
    store, run_id = _needed(asked), asked.text("run")
    store.set_note(run_id, asked.text("text"))
    asked.server.tell(PART, {"run": run_id})
    return {"run": run_id}


def tag(asked: Asked) -> dict[str, Any]:
    """Give a run a tag, or take it away when `value` is null."""
    store, run_id, name = _needed(asked), asked.text("run"), asked.text("name")
    value = None if "value" in asked.body and asked.body["value"] is None else asked.text("value")
    store.set_tag(run_id, name, value)
    asked.server.tell(PART, {"run": run_id})
    return {"run": run_id}


def restored(asked: Asked) -> dict[str, Any]:
    """Write the notebook of a run anew, with its parameters, into the folder `into` (or beside all others)."""
    store = _needed(asked)
    into = asked.file("into") if asked.text("into", "") else _home(asked)
    if not into.is_dir():
        raise RequestInvalid("the folder to restore into", "no folder", "one that is there")
    found = restore(store, asked.text("run"), into)
    return {"path": _contents_path(asked, found.file), "put": list(found.put), "left": list(found.left)}


def _store(asked: Asked) -> RunStore | None:
    project = asked.project
    return open_runs(project.root, project.settings)


def _needed(asked: Asked) -> RunStore:
    """The store; one that was never made holds no run to ask for."""
    store = _store(asked)
    if store is None:
        raise UnknownName("run", asked.text("run", asked.text("runs", "?"))[:80], (), hint="nbproof run")
    return store


def _query(asked: Asked, experiment: str) -> Query:
    return Query(
        experiment=experiment,
        kind=cast(Kind, asked.text("kind", "")) or None,
        status=cast(Status, asked.text("status", "")) or None,
        words=words_of(asked.text("search", "")[:LONGEST_TEXT]),
        sort=cast(Sort, asked.text("sort", "start")),
        is_rising=asked.text("rising", "") == "true",
    )


def _home(asked: Asked) -> Path:
    """The project's folder, or the server's where the project begins further up and JupyterLab cannot go."""
    root, project = asked.server.root.resolve(), asked.project.root.resolve()
    return project if project.is_relative_to(root) else root


def _contents_path(asked: Asked, file: Path) -> str:
    root = asked.server.root.resolve()
    if not file.resolve().is_relative_to(root):
        raise PathRefused(str(file))
    return file.resolve().relative_to(root).as_posix()


def _side(store: RunStore, run: Run, packages: Any) -> Side:
    environment = _environment(store, run.summary.run_id)
    lock = environment.get("environment", "").removeprefix("sha256:")
    known = packages(lock) if lock.isalnum() else {}
    return Side(run.summary.parameters, run.summary.metrics, run.summary.tags, environment, known)


def _environment(store: RunStore, run_id: str) -> dict[str, str]:
    """What a run says about its environment, and where it is silent, what those say that it is nested in."""
    found: dict[str, str] = {}
    for held in store.lineage(run_id):
        found = {**environment_of(held.data.tags), **found}
    return found


def _files(store: RunStore, run_id: str) -> dict[str, Any]:
    """The files of a run; where they cannot be listed, why, for the rest of the run can be shown all the same."""
    try:
        found = listed(store, run_id)
    except (RecordUnusable, TrackerUnavailable) as error:
        return {"files": [], "files_problem": shortened(str(error), LONGEST_TEXT)}
    return {"files": [[shortened(file.path, LONGEST_TEXT), file.bytes] for file in found], "files_problem": ""}


def _cells(store: RunStore, run_id: str) -> list[Cell]:
    notebook = executed(store, run_id)
    document = parse(Path(notebook.name), notebook.content)
    return [Cell(cell.kind, cell.source) for cell in document.cells if "injected-parameters" not in cell.tags]


# What is sent. JSON has neither NaN nor infinity: they travel as their names.


def _about(run: Run) -> dict[str, str]:
    """What nbproof wrote down beside the user's own tags, and the note has its own place."""
    ours = {name: value for name, value in run.all_tags.items() if name.startswith("nbproof.")}
    return dict(sorted(ours.items())[:MOST_VALUES])


def _rows(found: Iterable[Summary]) -> list[list[Any]]:
    return [_row(summary) for summary in found]


def _row(run: Summary) -> list[Any]:
    """A run as a list without names: there are thousands. The page knows the order (`src/experiments/rows.ts`)."""
    is_cut = (
        max(len(run.metrics), len(run.parameters), len(run.tags)) > MOST_SHOWN
        or any(len(text) > LONGEST_SHOWN for held in (run.parameters, run.tags) for text in (*held, *held.values()))
        or len(run.name) > LONGEST_NAME
    )
    return [
        run.run_id,
        shortened(run.name, LONGEST_NAME),
        run.kind,
        run.status,
        run.start_ms,
        run.end_ms,
        shortened(run.notebook, LONGEST_NAME),
        shortened(run.task, LONGEST_NAME),
        run.parent[:64],
        shortened(run.source, LONGEST_NAME),
        [[shortened(name, LONGEST_SHOWN), _number(value)] for name, value in _some(run.metrics, MOST_SHOWN)],
        _pairs(run.parameters, MOST_SHOWN, LONGEST_SHOWN),
        _pairs(run.tags, MOST_SHOWN, LONGEST_SHOWN),
        is_cut,
    ]


def _some(values: Mapping[str, Any], most: int = MOST_VALUES) -> list[tuple[str, Any]]:
    return sorted(values.items())[:most]


def _pairs(values: Mapping[str, str], most: int = MOST_VALUES, longest: int = LONGEST_TEXT) -> list[list[str]]:
    return [[shortened(name, longest), shortened(value, longest)] for name, value in _some(values, most)]


def _table(rows: Iterable[Row]) -> list[list[Any]]:
    """Each row as its name, whether it differs, and the values; decided on the whole values, sent cut."""
    return [
        [shortened(row.name, LONGEST_NAME), row.differs, [_shown(value) for value in row.values]]
        for _, row in zip(range(MOST_VALUES), rows, strict=False)
    ]


def _shown(value: Any) -> Any:
    return shortened(value, LONGEST_TEXT) if isinstance(value, str) else None if value is None else _number(value)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _point(point: Point) -> list[Any]:
    return [point.step, point.at_ms, _number(point.value)]
