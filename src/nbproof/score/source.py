"""The rows to score, as they lie in Parquet files: found, ordered, described by their footers, read batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataUnusable, ScoreRefused
from ..extras import require
from ..records import ContentHash
from .plan import File, Slice, natural

HINT = "see docs/guides/scoring.md for what can be scored"
SUFFIXES = (".parquet", ".pq")
# Other tables: passing over them in silence would lose their rows.
OTHER_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".arrow", ".feather", ".orc", ".avro", ".gz", ".zst")
_MAGIC, _TAIL = b"PAR1", 8
# Read at a time of each column; larger ones are taken from the system, and given back, again and again.
_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Source:
    """Files below `folder` in the order in which they are scored, and the Arrow `schema` that they share.

    `holed` names the columns that may hold a null: those where a footer says so, or does not say. `stamps` are the size
    (bytes) and the time of the last change (ns) of each file when it was looked at.
    """

    folder: Path
    files: tuple[File, ...]
    schema: Any = field(repr=False)
    holed: frozenset[str] = frozenset()
    stamps: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.names)


def look(place: Path, columns: Sequence[str] | None = None) -> Source:
    """Read the footers of a Parquet file, or of all those below a folder.

    Of the `columns` (None: all) every file must have the same types. Raises `DataUnusable` for what is no such input.
    """
    require("pyarrow")
    paths = found(place)
    folder = place if place.is_dir() else place.parent
    files: list[File] = []
    stamps: dict[str, tuple[int, int]] = {}
    holed: set[str] = set()
    schema: Any = None
    for path in paths:
        name = path.relative_to(folder).as_posix()
        stamps[name] = stamp(path)
        footer, metadata, own = _described(path)
        schema = own if schema is None else schema
        _check_alike(path, schema, own, columns)
        files.append(File(name, _groups(metadata), footer, stamps[name][0]))
        holed |= _holed(metadata, own)
    return Source(folder, tuple(files), schema, frozenset(holed), stamps)


def found(place: Path) -> list[Path]:
    """The Parquet files that `place` stands for, in natural order; hidden files and those with `_` before are none."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataUnusable(f"`{place}`", "no such file or folder", "a Parquet file, or a folder of them", hint=HINT)
    files, odd = [], []
    for path in sorted(place.rglob("*")):
        inner = path.relative_to(place)
        if any(part.startswith((".", "_")) for part in inner.parts) or path.is_dir():
            continue
        if any("=" in part for part in inner.parts[:-1]):
            raise DataUnusable(
                f"`{path.parent}`", "a folder whose name holds a value", "all values within the files",
                hint="score one such folder at a time",
            )  # fmt: skip
        if path.suffix.lower() in SUFFIXES:
            files.append(path)
        elif path.suffix.lower() in OTHER_TABLES:
            odd.append(path)
    if not files:
        raise DataUnusable(f"`{place}`", "no Parquet file", "at least one", hint=HINT)
    if odd:
        raise DataUnusable(
            f"`{odd[0]}`", "another kind of table among Parquet files", "only Parquet files",
            hint="move it away, or write it as Parquet",
        )  # fmt: skip
    return sorted(files, key=lambda path: natural(path.relative_to(place).as_posix()))


def batches(
    source: Source, part: Slice, columns: Sequence[str], batch_rows: int, *, on_all_cores: bool = False
) -> Iterator[Any]:
    """Record batches of at most `batch_rows` rows with these columns, in the order of the file.

    No more than some pages of each column are held at a time. `on_all_cores` reads columns side by side, for a model
    that leaves the processor alone. Raises `ScoreRefused` when the file is not the one that
    was planned with, `DataUnusable` when it cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    path = source.folder / part.file
    check_unchanged(source, part.file)
    rows = 0
    try:
        # Without the read ahead of whole row groups memory does not depend on how large they are.
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            for batch in file.iter_batches(
                batch_rows, row_groups=list(part.groups), columns=list(columns), use_threads=on_all_cores
            ):
                rows += batch.num_rows
                yield batch.select(list(columns))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataUnusable(f"`{path}`", f"a file that cannot be read ({_said(error)})", "a whole Parquet file",
                           hint="write it again, then the same command again") from error  # fmt: skip
    if rows != part.rows:
        raise ScoreRefused(f"`{path}`", f"{rows} rows", f"{part.rows}, as its footer says")
    check_unchanged(source, part.file)


def check_unchanged(source: Source, name: str) -> None:
    """Raise `ScoreRefused` when a file was written since it was looked at."""
    path = source.folder / name
    if stamp(path) != tuple(source.stamps[name]):
        raise ScoreRefused(
            f"`{path}`", "a file that was written meanwhile", "the one that the work was planned with",
            hint="once it is complete: the same command again, with --force",
        )  # fmt: skip


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and the time of the last change in ns; raises `DataUnusable` where there is no file."""
    try:
        told = path.stat()
    except OSError as error:
        raise DataUnusable(f"`{path}`", f"no file ({error.strerror})", "a Parquet file", hint=HINT) from None
    return told.st_size, told.st_mtime_ns


def _described(path: Path) -> tuple[ContentHash, Any, Any]:
    """The hash of a footer, what Parquet says in it, and its schema as Arrow's."""
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                raise DataUnusable(f"`{path}`", "an empty file", "a Parquet file", hint=HINT)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            length = int.from_bytes(tail[:4], "little") + _TAIL
            if len(tail) < _TAIL or tail[4:] != _MAGIC or length > size:
                raise DataUnusable(f"`{path}`", "a file without a footer", "a whole Parquet file", hint=HINT)
            file.seek(size - length)
            footer = ContentHash.of(file.read())
        with pyarrow.parquet.ParquetFile(path) as opened:
            return footer, opened.metadata, opened.schema_arrow
    except (pyarrow.ArrowException, OSError) as error:
        raise DataUnusable(f"`{path}`", f"no Parquet file ({_said(error)})", "a Parquet file", hint=HINT) from error


def _groups(metadata: Any) -> tuple[int, ...]:
    return tuple(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))


def _holed(metadata: Any, schema: Any) -> set[str]:
    """The columns that may hold a null."""
    names = set()
    for at in range(metadata.num_row_groups):
        group = metadata.row_group(at)
        for number in range(group.num_columns):
            column = group.column(number)
            told = column.statistics
            if told is None or not told.has_null_count or told.null_count:
                names.add(column.path_in_schema.split(".")[0] if column.path_in_schema not in schema.names
                          else column.path_in_schema)  # fmt: skip
    return names


def _check_alike(path: Path, first: Any, own: Any, columns: Sequence[str] | None) -> None:
    wanted = first.names if columns is None else columns
    for name in wanted:
        if own.names.count(name) != 1:
            how = "no column" if name not in own.names else "more than one column"
            raise DataUnusable(f"`{path}`", f"{how} `{name}`", f"the columns {_listed(wanted)}", hint=HINT)
        if own.field(name).type != first.field(name).type:
            raise DataUnusable(
                f"`{path}`", f"`{name}` as {own.field(name).type}", f"{first.field(name).type}, as in the first file",
                hint="write all files with one schema",
            )  # fmt: skip
    if columns is None and set(own.names) != set(first.names):
        more = _listed(sorted(set(own.names) - set(first.names)))
        raise DataUnusable(f"`{path}`", f"also the columns {more}", "the same columns in every file", hint=HINT)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
