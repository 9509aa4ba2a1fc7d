"""Checks of what the pipeline up to the notebook has made: data, metrics, explanation, fairness.

A product counts only while it is fresh, that is made by the code and from the data that are there now. Verdicts that a
product holds are not believed: each limit is held against its number anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...data import dvc
from ...extras import is_installed
from ...notebook.contract import read as read_contract
from ...records import Task
from ...run.build import plan
from ...run.pipeline.loading import Loaded, load
from ...run.sources.hashes import content_hash
from .findings import Finding, Inspected, NotEvaluated

TABLES = {".parquet", ".csv"}
MOST_FAILURES = 20
# What pip needs is called `requirements`, too, and is another kind of file.
_KINDS = {"requirements": {".yaml", ".yml"}, "schema": {".yaml", ".yml"}}
# A threshold whose slice is "… by GROUP" compares groups with one another.
_BY_GROUP = " by "


@dataclass(frozen=True, slots=True)
class Limit:
    """One threshold of the scoping phase, with what was measured against it; `low` and `high` bound the estimate."""

    name: str
    limit: float
    is_floor: bool
    value: float
    low: float
    high: float
    verdict: str

    @property
    def problem(self) -> str:
        """Why it does not hold ("": it does)."""
        bound = f"{'at least' if self.is_floor else 'at most'} {self.limit:g}"
        told = f"`{self.name}` is {self.value:.4g} ({self.low:.4g} to {self.high:.4g}); it must be {bound}"
        if not all(map(math.isfinite, (self.value, self.low, self.high))) or not self.low <= self.value <= self.high:
            return f"{told}: no estimate with an interval around it"
        keeps = self.value >= self.limit if self.is_floor else self.value <= self.limit
        if not keeps:
            return f"{told}; nobody can tell from so few rows" if self.verdict == "undecided" else told
        return "" if self.verdict == "met" else f"{told}, and its own verdict is `{self.verdict}`"


def metrics(found: Inspected) -> Iterator[Finding]:
    """Every metric keeps the limit that the scoping phase gave it, and says its interval."""
    yield from _limits(found, is_by_group=False)


def fairness(found: Inspected) -> Iterator[Finding]:
    """The same of the metrics that compare groups."""
    yield from _limits(found, is_by_group=True)


def explanation(found: Inspected) -> Iterator[Finding]:
    """The audit of the explanation has lines, and none of them failed."""
    path, _ = _product(found, "explanation")
    lines = _json(path).get("audit")
    if not isinstance(lines, list) or not lines:
        raise NotEvaluated(f"`{path.name}` holds no audit")
    if all(line.get("verdict") == "not evaluated" for line in lines):
        raise NotEvaluated(f"no line of the audit in `{path.name}` was evaluated")
    for line in lines:
        if line.get("verdict") not in ("pass", "warn", "not evaluated"):
            yield Finding(f"{line.get('name')}: {line.get('verdict')}: {line.get('sentence', '')}"[:300])


def fingerprints(found: Inspected) -> Iterator[Finding]:
    """The catalogue of the data names each source with the hash that its file has now."""
    path, task = _product(found, "data_catalog")
    folder = _loaded(found).pipeline.folder
    sources = _json(path).get("sources")
    if not isinstance(sources, list) or not sources:
        raise NotEvaluated(f"`{path.name}` names no source")
    for source in sources:
        name, recorded = str(source.get("file")), source.get("sha256")
        now = content_hash(folder / name)
        if not recorded:
            yield Finding(f"{name}: no fingerprint is recorded")
        elif now is None:
            yield Finding(f"{name}: it is gone")
        elif now.hex != recorded:
            yield Finding(f"{name}: it is another one than was recorded ({now.short}, not {str(recorded)[:12]})")
    declared = read_contract(_loaded(found).documents[task.name]).paths(task.parameters)
    yield from _unlike_dvc(folder / place for places in declared.values() for place in places)
    recorded_names = {str(source.get("file")) for source in sources} | {
        str(one.get("file")) for one in _json(path).values() if isinstance(one, dict)
    }
    for place in sorted(str(place) for places in declared.values() for place in places):
        if place not in recorded_names:
            yield Finding(f"{place}: it is read, and not in the catalogue")


def _unlike_dvc(declared: Iterable[Path]) -> Iterator[Finding]:
    """Data that is not what its `.dvc` file says: a checkout of this commit would bring another one."""
    for data in declared:
        pointer = dvc.pointer_of(data)
        if pointer is not None and not dvc.is_as_said(dvc.read(pointer)):
            yield Finding(f"{data.name}: it is not what `{pointer.name}` says, so no commit names it (dvc add)")


def validation(found: Inspected) -> Iterator[Finding]:
    """The data that was audited keeps its schema, column by column."""
    path, task = _product(found, "schema")
    tables = [place for place in task.products.values() if place.suffix in TABLES]
    if len(tables) != 1:
        raise NotEvaluated(f"beside `{path.name}` there are {len(tables)} tables; it is the schema of one")
    if not (is_installed("pandera") and is_installed("pandas")):
        raise NotEvaluated("pandera is not installed (pip install 'nbproof[validate]')")
    yield from _against_schema(path, tables[0])


def documents(found: Inspected) -> list[Path]:
    """The documents of people, as pages, that the pipeline makes up to here."""
    return [place for task in _tasks(found) for place in task.products.values() if place.suffix == ".html"]


def _limits(found: Inspected, *, is_by_group: bool) -> Iterator[Finding]:
    path, task = _product(found, "metrics")
    required, _ = _product(found, "requirements")
    asked = [one for one in _yaml(required).get("thresholds", ()) if one.get("phase") == task.name]
    chosen = [one for one in asked if (_BY_GROUP in str(one.get("slice"))) == is_by_group]
    if not chosen:
        what = "groups" if is_by_group else "metrics"
        raise NotEvaluated(f"`{required.name}` has no limit on {what} of {task.name}")
    measured = {one.get("name"): one for one in _json(path).get("thresholds", ()) if isinstance(one, dict)}
    for one in chosen:
        held = measured.get(one["name"])
        if held is None:
            yield Finding(f"`{one['name']}` was not measured")
            continue
        if (held.get("limit"), held.get("direction")) != (one["limit"], one["direction"]):
            yield Finding(f"`{one['name']}` was held to another limit than {one['limit']:g}")
            continue
        value, low, high = (_number(held.get(name)) for name in ("value", "low", "high"))
        is_floor, verdict = one["direction"] == "at_least", str(held.get("verdict"))
        problem = Limit(one["name"], one["limit"], is_floor, value, low, high, verdict).problem
        if problem:
            yield Finding(problem)


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _against_schema(path: Path, table: Path) -> Iterator[Finding]:
    import pandas as pd
    import pandera.errors
    import pandera.pandas as pa

    frame = pd.read_parquet(table) if table.suffix == ".parquet" else pd.read_csv(table)
    try:
        schema = pa.DataFrameSchema.from_yaml(path)
    except Exception as error:
        # pandera lets the errors of whatever it parses with through.
        raise NotEvaluated(f"`{path.name}` is no schema that pandera reads ({type(error).__name__})") from None
    for name, column in schema.columns.items():
        # How many parts of a second a moment has is no property of the data, and Parquet keeps fewer than the schema.
        if name in frame and str(column.dtype).startswith("datetime64["):
            frame[name] = frame[name].astype(str(column.dtype))
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        failed = errors.failure_cases.groupby(["column", "check"], dropna=False).size()
        for (column, check), count in list(failed.items())[:MOST_FAILURES]:
            yield Finding(f"{table.name}: {column}: {check}: {count} times")


def _product(found: Inspected, key: str) -> tuple[Path, Task]:
    """The product of that key which a step up to the notebook makes, if it is there and fresh."""
    kinds = _KINDS.get(key, {".json"})
    makers = [task for task in _tasks(found) if key in task.products and task.products[key].suffix in kinds]
    if not makers:
        raise NotEvaluated(f"no step up to this one makes `{key}`")
    # The nearest step counts: a later one may refine what an earlier one made.
    task = makers[-1]
    path = task.products[key]
    if not path.is_file():
        raise NotEvaluated(f"`{key}` of {task.name} has not been made (nbproof run)")
    if "plan" not in found.kept:
        found.kept["plan"] = {verdict.task: verdict for verdict in plan(_loaded(found))}
    verdict = found.kept["plan"][task.name]
    if not verdict.is_fresh:
        raise NotEvaluated(f"`{key}` of {task.name} is not of now: {'; '.join(verdict.reasons)}"[:300])
    return path, task


def _tasks(found: Inspected) -> list[Task]:
    """The notebook's own step and all before it, in the order of the pipeline."""
    pipeline = _loaded(found).pipeline
    place = found.document.path.resolve()
    own = [task for task in pipeline.tasks if task.notebook.resolve() == place]
    needed, waiting = set(), [task.name for task in own]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(pipeline.task(name).upstream)
    return [task for task in pipeline.tasks if task.name in needed]


def _loaded(found: Inspected) -> Loaded:
    if "loaded" not in found.kept:
        # Without a contract there is no pipeline to ask, and to find that out may take Ploomber seconds.
        read_contract(found.document)
        found.kept["loaded"] = load(found.document.path.resolve(), found.project)
    loaded: Loaded = found.kept["loaded"]
    return loaded


def _json(path: Path) -> Mapping[str, Any]:
    return _mapping(json.loads(path.read_bytes()), path)


def _yaml(path: Path) -> Mapping[str, Any]:
    return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), path)


def _mapping(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotEvaluated(f"`{path.name}` is no table of names")
    return value
