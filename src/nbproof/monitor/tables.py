"""Windows as files: Parquet read into columns, outcomes joined to them, and what kind each column is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataUnusable
from ..extras import require
from . import served
from .drift import Kind, is_missing, labels_of

# A whole number with so few different values is a code.
MOST_CODES = 12
HINT = "nbproof monitor check --help"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Where outcomes are: a column of the window itself or of another file, joined by `key`.

    An outcome is known `delay` after the time of its row (the column `time`); what was not known on the day `as_of`
    counts as not arrived, even if the file holds it. A file that `may_come_later` is no fault while it is not there.
    """

    column: str
    file: Path | None = None
    key: tuple[str, ...] = ()
    time: str | None = None
    delay: timedelta = timedelta(0)
    as_of: date | None = None
    may_come_later: bool = False


def read(path: Path, *, version: str | None = None) -> dict[str, Any]:
    """The columns of a Parquet file, or of all Parquet files of a folder; raises `DataUnusable`.

    Of the prediction log of a service they are the fields of its model, and of several models those of `version`.
    """
    require("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise DataUnusable(f"`{path}`", "no Parquet file", "a window", hint=HINT)
        # Segments of one log may know more columns than others; a column that one lacks is missing there.
        table = pa.concat_tables([pq.ParquetFile(file).read() for file in files], promote_options="permissive")
    except (OSError, pa.ArrowException) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataUnusable(f"`{path}`", f"a file that cannot be read ({first})", "Parquet", hint=HINT) from None
    return columns_of(table, where=path, version=version)


def columns_of(table: Any, *, where: Path, version: str | None = None) -> dict[str, Any]:
    """The same of an Arrow table that was read already."""
    found = {name: _values(table.column(name)) for name in table.column_names}
    return served.as_window(found, where=where, version=version) if served.is_log(found) else found


def kinds_of(columns: Mapping[str, Any], *, without: Iterable[str] = ()) -> dict[str, Kind]:
    """The kind of each column of a reference: texts, truth values and whole numbers with few values are categories.

    Times and columns that name each row are left out: they are new in each window by their nature.
    """
    found: dict[str, Kind] = {}
    for name, values in columns.items():
        kind = None if name in set(without) else kind_of(values)
        if kind is not None:
            found[name] = kind
    return found


def kind_of(values: Any) -> Kind | None:
    """The kind of one column; None for times, for what is no plain value, and for what is another in each row."""
    kind = values.dtype.kind
    if kind == "f":
        return "number"
    if kind in "iu":
        different = len(np.unique(values))
        if different == values.size > MOST_CODES:
            return None
        return "category" if different <= MOST_CODES else "number"
    if kind in "mM":
        return None
    present = [value for value in values.tolist() if value is not None]
    if not all(isinstance(value, str | bool | int) for value in present):
        return None
    return None if len(set(present)) == len(values) > MOST_CODES else "category"


def chosen(names: Sequence[str], columns: Mapping[str, Any], *, where: Path) -> dict[str, Kind]:
    """The kinds of the columns that somebody names, each as NAME, NAME:number or NAME:category."""
    found: dict[str, Kind] = {}
    for text in names:
        name, _, said = text.partition(":")
        expect(columns, [name], where=where)
        if said not in ("", "number", "category"):
            raise DataUnusable(f"--columns {text}", f"the kind `{said}`", "number or category", hint=HINT)
        guessed = "number" if columns[name].dtype.kind in "fiu" else "category"
        found[name] = "category" if (said or kind_of(columns[name]) or guessed) == "category" else "number"
        if found[name] == "number" and columns[name].dtype.kind not in "fiub":
            raise DataUnusable(f"`{name}` of `{where}`", "values that are no numbers", "a category", hint=HINT)
    return found


def expect(columns: Mapping[str, Any], names: Iterable[str], *, where: Path) -> None:
    """Raise `DataUnusable` unless the file holds these columns."""
    lacking = [name for name in names if name not in columns]
    if lacking:
        shown = ", ".join(sorted(columns)[:12]) + (" …" if len(columns) > 12 else "")
        raise DataUnusable(f"`{where}`", f"no column `{lacking[0]}` among {shown}", "the columns asked for", hint=HINT)


def alike(
    reference: Mapping[str, Any], window: Mapping[str, Any], kinds: Mapping[str, Kind], *, where: Path
) -> dict[str, Any]:
    """The columns of a window as numbers where the reference has numbers; raises `DataUnusable` where they are none."""
    expect(window, kinds, where=where)
    found = dict(window)
    for name, kind in kinds.items():
        if kind == "number" and window[name].dtype.kind not in "fiub":
            if not is_missing(window[name]).all():
                raise DataUnusable(
                    f"`{name}` of `{where}`", "values that are no numbers", "numbers as before", hint=HINT
                )
            found[name] = np.full(len(window[name]), np.nan)
    return found


def outcomes_of(columns: Mapping[str, Any], asked: Outcomes, *, where: Path) -> Any:
    """The outcome of each row as 0 or 1, NaN where it has not arrived; raises `DataUnusable`."""
    if asked.file is None:
        expect(columns, [asked.column], where=where)
        found = _truth(columns[asked.column], asked.column, where)
    elif asked.may_come_later and not asked.file.exists():
        found = np.full(len(next(iter(columns.values()))), np.nan)
    else:
        found = _joined(columns, read(asked.file), asked, where)
    if asked.as_of is None or asked.time is None:
        return found
    expect(columns, [asked.time], where=where)
    times = columns[asked.time]
    if times.dtype.kind != "M":
        raise DataUnusable(f"`{asked.time}` of `{where}`", "values that are no times", "timestamps", hint=HINT)
    day = np.datetime64(asked.as_of, "D")
    due = times.astype("datetime64[s]") + np.timedelta64(int(asked.delay.total_seconds()), "s")
    return np.where(due.astype("datetime64[D]") <= day, found, np.nan)


def _joined(columns: Mapping[str, Any], labels: Mapping[str, Any], asked: Outcomes, where: Path) -> Any:
    assert asked.file is not None
    if not asked.key:
        raise DataUnusable(f"`{asked.file}`", "no key", "--key COLUMN, which says whose outcome each is", hint=HINT)
    expect(columns, asked.key, where=where)
    expect(labels, [*asked.key, asked.column], where=asked.file)
    keys = _keys(labels, asked.key)
    truth = _truth(labels[asked.column], asked.column, asked.file)
    known = dict(zip(keys, truth.tolist(), strict=True))
    if len(known) != len(keys):
        raise DataUnusable(f"`{asked.file}`", "two outcomes for one key", "one at most", hint=HINT)
    return np.array([known.get(key, np.nan) for key in _keys(columns, asked.key)], dtype=np.float64)


def _keys(columns: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(labels_of(columns[name]).tolist() for name in names), strict=True))


def _truth(values: Any, name: str, where: Path) -> Any:
    gone = is_missing(values)
    found = np.full(len(values), np.nan)
    try:
        found[~gone] = [float(value) for value in values[~gone].tolist()]
    except (TypeError, ValueError):
        found[~gone] = 0.5
    if not np.isin(found[~gone], (0.0, 1.0)).all():
        raise DataUnusable(f"`{name}` of `{where}`", "outcomes that are neither 0 nor 1", "0, 1 or missing", hint=HINT)
    return found


def _values(column: Any) -> Any:
    """A column as numpy holds it best: numbers as numbers (a missing one as NaN), everything else as objects."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_integer(kind) and column.null_count:
        column, kind = column.cast(pa.float64(), safe=False), pa.float64()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return column.to_numpy()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    return np.array(column.to_pylist(), dtype=object)
