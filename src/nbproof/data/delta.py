"""Tables of Delta Lake at a version: `panel@v3`, as Delta itself spells it.

A folder that holds a table is data like any other: whatever changes in it counts. With its version in the path, only
that version counts, so that an append leaves fresh what does not read it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import DataAbsent, DataUnusable
from ..extras import require
from ..records import ContentHash

LOG = "_delta_log"
_VERSIONED = re.compile(r"(?P<table>.+)@v(?P<version>\d{1,18})")
# What a table may ask of its readers without its Parquet files saying less, or more, than it holds.
_HARMLESS = {"timestampNtz"}


def place_of(path: Path) -> tuple[Path, int] | None:
    """The folder of a table and the version that `path` names; None where it names none, or is a file of its own."""
    match = _VERSIONED.fullmatch(path.name)
    if match is None or path.exists():
        return None
    table = path.with_name(match["table"])
    return (table, int(match["version"])) if (table / LOG).is_dir() else None


def content(table: Path, version: int) -> ContentHash | None:
    """What stands for a version: its schema, and the bytes and the partition of each of its files.

    None when the version, or a file of it, is gone. Raises `ExtraMissing` without deltalake, and `DataUnusable` for a
    table whose files do not tell what it holds.
    """
    opened = _opened(table, version)
    if opened is None:
        return None
    total = hashlib.sha256(f"delta {opened.schema().to_json()} {opened.metadata().partition_columns}".encode())
    try:
        for name, partition in _files(opened):
            with (table / name).open("rb") as file:
                total.update(f"\n{name} {partition} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    except FileNotFoundError:
        return None
    return ContentHash(total.hexdigest())


def read(path: Path | str) -> Any:
    """The rows at `path`, a `pyarrow.Table`: a folder with a table as it is now, or `table@v3`.

    Rows come in the order of the names of their files, so that the same version is the same table everywhere.
    Raises `DataAbsent`, `DataUnusable` and `ExtraMissing`.
    """
    found = Path(path)
    table, version = place_of(found) or (found, None)
    opened = _opened(table, version)
    if opened is None:
        expected = "a table of Delta Lake" if version is None else f"one of the versions that `{table}` has"
        raise DataAbsent(f"`{path}`", "nothing of that kind", expected)
    import pyarrow

    dataset = opened.to_pyarrow_dataset()
    parts = sorted(dataset.get_fragments(), key=lambda part: str(part.path))
    try:
        tables = [part.to_table(schema=dataset.schema) for part in parts]
    except FileNotFoundError:
        hint = "it was vacuumed: name a newer version"
        raise DataAbsent(f"`{path}`", "a version whose files are gone", "all of its files", hint=hint) from None
    return pyarrow.concat_tables(tables) if tables else dataset.schema.empty_table()


def _opened(table: Path, version: int | None) -> Any:
    """The table at a version, or None; nothing of it is read yet but its log."""
    require("deltalake")
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        opened = DeltaTable(table, version=version)
    except (DeltaError, FileNotFoundError):
        return None
    protocol = opened.protocol()
    asked = {*(protocol.reader_features or ())} - _HARMLESS
    # Version 2 of the protocol is the mapping of columns to other names.
    if asked or protocol.min_reader_version == 2:
        raise DataUnusable(
            f"`{table}`", f"a table with {', '.join(sorted(asked)) or 'column mapping'}",
            "one whose Parquet files alone say what it holds", hint="declare its folder, without a version",
        )  # fmt: skip
    return opened


def _files(opened: Any) -> Iterator[tuple[str, str]]:
    """The files of a table below its folder, by name, each with the values of its partition."""
    import pyarrow

    rows = pyarrow.table(opened.get_add_actions(flatten=True)).to_pylist()
    for row in sorted(rows, key=lambda row: str(row["path"])):
        partition = {key: str(value) for key, value in row.items() if key.startswith("partition.")}
        yield unquote(row["path"]), json.dumps(partition, sort_keys=True)
