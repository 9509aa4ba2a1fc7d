"""A table of features as a repository of Feast: its rows, and files that say which of them counted when.

Feast and pandas 3 cannot be installed side by side, so nothing of Feast is imported: what is written is applied by a
Feast in an environment of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AskedWrongly, DataAbsent, DataUnusable
from ..extras import require
from ..files import written_whole

# The Feast that the tests run; one that pip chooses by itself may be years older.
REQUIREMENT = "feast[duckdb]>=0.67,<0.68"
STORE, FEATURES, LOCK = "feature_store.yaml", "features.py", "requirements.txt"
_NAME, _LETTERS = re.compile("[A-Za-z][A-Za-z0-9_]*"), "letters, digits and underscores"
_LONGEST_DAYS = 100_000
_HINT = "see docs/guides/data.md for what becomes a repository"


@dataclass(frozen=True, slots=True)
class View:
    """What a table is to Feast. `entity` says whose features a row holds, `time` since when they were known.

    A row counts for `ttl_days` days. `features` are the other columns that are taken; None: all of them.
    """

    name: str
    entity: str
    time: str
    ttl_days: float
    features: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AskedWrongly(f"found the name {self.name!r}, expected {_LETTERS}", hint="--name NAME")
        if not 0 < self.ttl_days < _LONGEST_DAYS:
            raise AskedWrongly(f"--ttl-days: found {self.ttl_days:g}, expected a number of days", hint="--ttl-days 40")


def write_repository(table: Path, view: View, folder: Path) -> tuple[str, ...]:
    """Write the repository to a folder that is not there yet; return the features by name.

    Raises `DataAbsent` and `DataUnusable` for a table that is none, or does not say for each row whose it is and since
    when, and `OutputTaken`.
    """
    rows, digest = _read(table)
    features = view.features or tuple(name for name in rows.schema.names if name not in (view.entity, view.time))
    if not features:
        raise DataUnusable(f"`{table}`", "no features beside those two columns", "at least one", hint=_HINT)
    made = _typed(rows, view, features)
    _check_keys(made, view)
    import pyarrow.parquet

    with written_whole(folder) as unfinished:
        (unfinished / "data").mkdir()
        pyarrow.parquet.write_table(made, unfinished / f"data/{view.name}.parquet", compression="zstd")
        (unfinished / STORE).write_text(_store(view.name))
        (unfinished / FEATURES).write_text(_code(made.schema, view, features, digest))
        (unfinished / LOCK).write_text(f"# In an environment of its own: Feast needs pandas below 3.\n{REQUIREMENT}\n")
    return features


def _read(table: Path) -> tuple[Any, str]:
    require("pyarrow")
    import pyarrow
    import pyarrow.parquet

    if not table.is_file():
        raise DataAbsent(f"`{table}`", "no file", "a Parquet file of features")
    content = table.read_bytes()
    try:
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except pyarrow.ArrowException as error:
        said = str(error).splitlines()[0]
        raise DataUnusable(f"`{table}`", f"no Parquet file ({said})", "features in Parquet", hint=_HINT) from None
    return rows, hashlib.sha256(content).hexdigest()


def _typed(rows: Any, view: View, features: Sequence[str]) -> Any:
    """The columns that are taken, in types that Feast has; times in UTC, as which those without a zone are read."""
    import pyarrow

    columns = {}
    for name in (view.entity, view.time, *features):
        if rows.schema.names.count(name) != 1:
            listed = ", ".join(rows.schema.names[:12])
            raise DataUnusable("the table", f"no column `{name}`", f"it among {listed}", hint=_HINT)
        if name in columns:
            raise DataUnusable("the table", f"`{name}` asked for twice", "each column once", hint=_HINT)
        if not _NAME.fullmatch(name):
            raise DataUnusable("the table", f"the column {name!r}", _LETTERS, hint="rename it where it is made")
        kind = _kind(name, rows.schema.field(name).type, is_time=name == view.time)
        if name == view.entity and not (pyarrow.types.is_integer(kind) or pyarrow.types.is_string(kind)):
            raise DataUnusable(f"the column `{name}`", str(kind), "whole numbers or text, whose row it is", hint=_HINT)
        columns[name] = _cast(rows.column(name), kind)
    return pyarrow.table(columns)


def _cast(column: Any, kind: Any) -> Any:
    import pyarrow
    from pyarrow import types

    if types.is_date(column.type):
        column = column.cast(pyarrow.timestamp("us"))
    # Below a microsecond nothing is kept; what is one moment then is found afterwards.
    return column.cast(kind, safe=not types.is_timestamp(kind))


def _kind(name: str, kind: Any, *, is_time: bool) -> Any:
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if is_time:
        if not (types.is_timestamp(kind) or types.is_date(kind)):
            raise DataUnusable(f"the column `{name}`", str(kind), "times, since when each row was known", hint=_HINT)
        return pyarrow.timestamp("us", tz="UTC")
    if types.is_boolean(kind) or types.is_float64(kind) or types.is_float32(kind):
        return kind
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pyarrow.string()
    if types.is_integer(kind) and not types.is_uint64(kind):
        return pyarrow.int64()
    raise DataUnusable(f"the column `{name}`", str(kind), "numbers, text or booleans",
                       hint="leave it out: --feature names those that are taken")  # fmt: skip


def _check_keys(rows: Any, view: View) -> None:
    """Raise `DataUnusable` where it is not clear which row counted: a hole, or two rows of one moment."""
    import pyarrow.compute

    for name in (view.entity, view.time):
        holes = rows.column(name).null_count
        if holes:
            raise DataUnusable(f"the column `{name}`", f"{holes} holes", "a value in every row", hint=_HINT)
    moments = rows.group_by([view.entity, view.time]).aggregate([([], "count_all")])
    twice = pyarrow.compute.sum(pyarrow.compute.greater(moments.column("count_all"), 1)).as_py() or 0
    if twice:
        raise DataUnusable(
            "the table", f"{twice} times of which one `{view.entity}` has several rows", "one row at a time",
            hint="keep the row that counted, before the table is written",
        )  # fmt: skip


def _store(name: str) -> str:
    # Feast's other store of files leaves out of a join for whom all that is known is too old, or still to come.
    return f"""\
project: {name}
provider: local
registry: registry.db
offline_store:
  type: duckdb
online_store:
  type: sqlite
  path: online.db
entity_key_serialization_version: 3
"""


def _code(schema: Any, view: View, features: Sequence[str], digest: str) -> str:
    kinds = {"int64": "Int64", "double": "Float64", "float": "Float32", "string": "String", "bool": "Bool"}
    named = {name: kinds[str(schema.field(name).type)] for name in features}
    of_entity = {"int64": "INT64", "string": "STRING"}[str(schema.field(view.entity).type)]
    fields = "".join(f'        Field(name="{name}", dtype={kind}),\n' for name, kind in named.items())
    return f'''\
"""The features of {view.name}, as Feast takes them: written by `nbproof data export`."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import {", ".join(sorted(set(named.values())))}

entity = Entity(name="{view.entity}", join_keys=["{view.entity}"], value_type=ValueType.{of_entity})
# Not every store of Feast looks for its files beside this one.
place = Path(__file__).resolve().parent / "data/{view.name}.parquet"
rows = FileSource(name="{view.name}_rows", path=str(place), timestamp_field="{view.time}")

view = FeatureView(
    name="{view.name}",
    entities=[entity],
    ttl=timedelta(days={view.ttl_days!r}),
    schema=[
{fields}    ],
    source=rows,
    online=True,
    # What the table was that this was made of.
    tags={{"sha256": "{digest}"}},
)
'''
