"""Explanations of a whole file: Parquet or CSV in, Parquet out, some thousand rows in memory at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataUnusable
from ..files import written_at_end
from .explanation import Cost, Explanation, Unit
from .model import Model, read
from .progress import Progress, Watch
from .question import Question, ask
from .schema import Schema
from .shapley import dispatch
from .tables import Table

BATCH_ROWS = 32_768
# The key under which the file's own metadata tell how it was made.
METADATA = b"nbproof.explanation"


@dataclass(frozen=True, slots=True)
class Written:
    """The file written, what it holds, the largest completeness gap of all rows, and what it cost."""

    path: Path
    rows: int
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    unit: Unit
    method: str
    is_exact: bool
    largest_gap: float
    cost: Cost


def explain_file(
    model: Any,
    source: Path,
    target: Path,
    *,
    background: Any = None,
    unit: Unit | None = None,
    method: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    features: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
    watch: Watch | None = None,
) -> Written:
    """Write the Shapley values of every row of `source` to `target`, in the order of the rows.

    `features` are the columns that the model takes (None: those that it was fitted on, or all that are not kept);
    the columns of `keep` are copied. The columns of `target` are those of `columns_of`. It appears whole, at the end.

    Raises what `question.ask` and `dispatch.explain` raise; `DataUnusable` for a file that is neither Parquet nor CSV,
    has no such column or no rows; `Cancelled` when `watch` asks for the end. Whatever is raised, `target` is as it was.
    """
    if target.resolve() == source.resolve():
        raise DataUnusable("the target", f"`{target}`, which is the source", "another file")
    table = Table.of(source, batch_rows)
    fitted = read(model)
    taken = _taken(fitted, table, features, keep)
    known = _schema(table, taken, background)
    # A model that was fitted without names is asked without them.
    as_frame = known is not None or fitted.feature_names is not None
    against = background if as_frame or background is None else _numbers(background)
    seen = watch or Watch()
    seen.begin()
    held: _Held | None = None
    question: Question | None = None
    with written_at_end(target) as temporary, _Writer(temporary) as writer:
        for batch in table.batches((*taken, *keep)):
            rows = _rows(batch.select(list(taken)), as_frame)
            if question is None:
                names = None if as_frame else taken
                question = ask(fitted, rows, background=against, unit=unit, schema=known, feature_names=names)
            else:
                question = _next(question, rows)
            done = held.rows if held is not None else 0
            found = dispatch.explain(
                question, method=method or _method(question, table.rows), seed=seed, samples=samples,
                watch=_inner(seen, done, table.rows),
            )  # fmt: skip
            writer.write(found, batch.select(list(keep)))
            held = _Held.of(found) if held is None else held.with_one_more(found)
            seen.step(held.rows, table.rows)
        if held is None:
            raise DataUnusable(f"`{source}`", "no rows", "at least one row to explain")
        writer.tell(held.last, held.largest_gap)
    return held.written(target)


def columns_of(feature_names: Sequence[str], output_names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a file of explanations after those that were kept.

    With one output they are `base`, `prediction` and `share of FEATURE`; with several each ends with `for OUTPUT`.
    """
    parts = ("base", "prediction", *(f"share of {name}" for name in feature_names))
    if len(output_names) == 1:
        return parts
    return tuple(f"{part} for {output}" for output in output_names for part in parts)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known after some batches."""

    rows: int
    largest_gap: float
    cost: Cost
    last: Explanation

    @classmethod
    def of(cls, found: Explanation) -> _Held:
        return cls(len(found), float(found.gap().max()), found.cost, found)

    def with_one_more(self, found: Explanation) -> _Held:
        gap = max(self.largest_gap, float(found.gap().max()))
        return _Held(self.rows + len(found), gap, self.cost + found.cost, found)

    def written(self, path: Path) -> Written:
        last = self.last
        return Written(
            path, self.rows, last.feature_names, last.output_names, last.unit, last.method, last.is_exact,
            self.largest_gap, self.cost,
        )  # fmt: skip


def _taken(model: Model, table: Table, features: Sequence[str] | None, keep: Sequence[str]) -> tuple[str, ...]:
    """The columns that the model takes. Raises `DataUnusable` where the file has no such column."""
    if features is not None:
        taken = tuple(features)
    elif model.feature_names is not None:
        taken = model.feature_names
    else:
        taken = tuple(name for name in table.names if name not in keep)
    missing = [name for name in (*taken, *keep) if name not in table.names]
    if missing:
        raise DataUnusable(f"`{table.path}`", f"no column {missing[0]}", f"the columns {', '.join((*taken, *keep))}")
    return taken


def _rows(batch: Any, as_frame: bool) -> Any:
    return batch.to_pandas() if as_frame else _numbers(batch.to_pandas())


def _numbers(frame: Any) -> Any:
    return frame.to_numpy(dtype=np.float64) if hasattr(frame, "iloc") else frame


def _schema(table: Table, taken: Sequence[str], background: Any) -> Schema | None:
    """The schema with every category of the whole file, read once for it; None where all columns are numbers."""
    import pandas as pd
    import pyarrow

    def is_text(name: str) -> bool:
        kind = table.schema.field(name).type
        return bool(
            pyarrow.types.is_dictionary(kind) or pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)
        )

    text = [name for name in taken if is_text(name)]
    if not text:
        return None
    first: Any = None
    found: dict[str, dict[Any, None]] = {name: {} for name in text}
    for batch in table.batches(taken):
        first = batch.slice(0, 1).to_pandas() if first is None else first
        for name in text:
            values = batch.column(name).unique().to_pylist()
            found[name].update(dict.fromkeys(each for each in values if each is not None))
    if first is None:
        return None
    most = max(len(each) for each in found.values())
    whole = first.loc[first.index.repeat(max(most, 1))].reset_index(drop=True)
    for name in text:
        values = sorted(found[name]) or [None]
        listed = pd.Series([values[at % len(values)] for at in range(len(whole))])
        dtype = first[name].dtype
        # A file's own list of categories is kept, in its order; others are added.
        if isinstance(dtype, pd.CategoricalDtype):
            dtype = pd.CategoricalDtype(list(dict.fromkeys([*dtype.categories, *values])), dtype.ordered)
        whole[name] = listed.astype(dtype)
    return Schema.of(whole) if background is None else Schema.of(whole, background)


def _next(question: Question, table: Any) -> Question:
    """The same question about the next rows: what was checked and hashed stands."""
    began = time.process_time(), time.perf_counter()
    rows = question.schema.coded(table)
    asked = replace(question.asked, rows=0)
    origins = replace(question.origins, data=None)
    return replace(question, asked=asked, rows=rows, prediction=asked(rows), origins=origins, _began=began)


def _method(question: Question, rows: int) -> str:
    """The method for all the rows: what is chosen must not depend on how they are cut."""
    return dispatch.method_for(question, rows=rows)


def _inner(watch: Watch, done: int, total: int) -> Watch:
    """A watch over one batch that tells of the whole file."""

    def report(progress: Progress) -> None:
        watch.step(done + progress.done, total)

    return Watch(report, watch.cancel, watch.every_s)


class _Writer:
    """Writes explanations as row groups of a Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, found: Explanation, kept: Any) -> None:
        import pyarrow
        import pyarrow.parquet

        columns = [kept.column(name) for name in kept.column_names]
        for output in range(found.shape[2]):
            columns += [pyarrow.array(found.base[:, output]), pyarrow.array(found.prediction[:, output])]
            columns += [pyarrow.array(np.ascontiguousarray(each)) for each in found.values[:, :, output].T]
        names = (*kept.column_names, *columns_of(found.feature_names, found.output_names))
        if len(set(names)) != len(names):
            raise DataUnusable("the columns kept", "a name that a column of shares has", "other names")
        table = pyarrow.table(columns, names=list(names))
        if self._file is None:
            self._file = pyarrow.parquet.ParquetWriter(self.path, table.schema)
        self._file.write_table(table)

    def tell(self, found: Explanation, largest_gap: float) -> None:
        """Add how the values were made, and what they are, to the file's metadata."""
        told = {
            "unit": found.unit,
            "method": found.method,
            "is_exact": found.is_exact,
            "seed": found.seed,
            "settings": dict(found.settings),
            "features": list(found.feature_names),
            "outputs": list(found.output_names),
            "complement": found.complement,
            "notes": list(found.notes),
            "largest_gap": largest_gap,
            "model_sha256": None if found.origins.model is None else str(found.origins.model),
            "background_sha256": None if found.origins.background is None else str(found.origins.background),
        }
        self._file.add_key_value_metadata({METADATA: json.dumps(told)})
