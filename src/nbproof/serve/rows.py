"""Rows of a request, checked against the signature and turned into what the model takes: from JSON or from Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from ..extras import is_installed
from .signature import EXACT, Input, Signature, typed

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PROBLEMS = 20
ARROW = "application/vnd.apache.arrow.stream"


class RowsRefused(Exception):
    """A request does not fit: its HTTP status, and every problem with its place. Values are not repeated."""

    def __init__(self, status: int, problems: Sequence[tuple[str, str]]) -> None:
        self.status, self.problems = status, tuple(problems[:MAX_PROBLEMS])
        super().__init__(f"{status}: {self.problems}")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Checked rows: where every field is a number `block` (rows, fields) holds them, else `columns` do, by name."""

    count: int
    block: NDArray[np.float64] | None = None
    columns: Mapping[str, list[Any]] | None = None

    def part(self, rows: slice) -> Table:
        """Some of its rows, in their order."""
        count = len(range(*rows.indices(self.count)))
        if self.block is not None:
            return Table(count, self.block[rows])
        return Table(count, None, {name: values[rows] for name, values in (self.columns or {}).items()})

    def frame(self, signature: Signature) -> Any:
        """The rows as the data frame on which the model was trained."""
        import pandas as pd

        if self.columns is not None:
            return pd.DataFrame(dict(self.columns))
        assert self.block is not None
        kept = {"boolean": bool, "integer": np.int64}
        return pd.DataFrame({
            each.name: self.block[:, at] if each.nullable else self.block[:, at].astype(kept.get(each.type, np.float64))
            for at, each in enumerate(signature.inputs)
        })  # fmt: skip


def joined(tables: Sequence[Table]) -> Table:
    """The rows of several tables of one signature, one below the other."""
    if len(tables) == 1:
        return tables[0]
    count = sum(each.count for each in tables)
    if tables[0].block is not None:
        return Table(count, np.concatenate([each.block for each in tables if each.block is not None]))
    names = tables[0].columns or {}
    parts = [each.columns for each in tables if each.columns is not None]
    return Table(count, None, {name: [value for part in parts for value in part[name]] for name in names})


class Reader:
    """Reads the bodies of requests about one signature, of at most `most` rows each."""

    def __init__(self, signature: Signature, most: int) -> None:
        self._signature, self._most = signature, most
        self._rows: TypeAdapter[Any] = TypeAdapter(rows_type(signature, most))
        self._row: TypeAdapter[Any] = TypeAdapter(signature.row_type())
        names = [each.name for each in signature.inputs]
        # One name alone would give a value and no tuple.
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._is_numeric = all(each.type != "string" for each in signature.inputs)

    def read(self, body: bytes, media: str) -> Table:
        """The rows of a body. Raises `RowsRefused`."""
        if media == ARROW and is_installed("pyarrow"):
            return self._arrow(body)
        if media in ("", "application/json"):
            return self._json(body)
        raise RowsRefused(415, [("header.content-type", f"expected application/json or {ARROW}")])

    def row(self, content: bytes) -> Any:
        """The row that one object in JSON is, for `table`. Raises `RowsRefused`."""
        try:
            return self._row.validate_json(content)
        except ValidationError as error:
            raise _refusal(error, content, "record") from None

    def table(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        """Rows that were checked, as a model takes them."""
        if not self._is_numeric:
            return Table(len(rows), None, self._signature.columns(rows))
        # None, where a field may be null, becomes NaN.
        return Table(len(rows), np.array([self._values(row) for row in rows], dtype=np.float64))

    def _json(self, body: bytes) -> Table:
        try:
            return self.table(self._rows.validate_json(body)["rows"])
        except ValidationError as error:
            raise _refusal(error, body, "body") from None

    def _arrow(self, body: bytes) -> Table:
        import pyarrow as pa

        try:
            batches = list(_batches(body, self._signature, self._most))
            table = pa.Table.from_batches(batches)
        except (pa.ArrowException, OSError, ValueError) as error:
            words = str(error).splitlines()[0] if isinstance(error, _Odd) else "no Arrow stream that can be read"
            raise RowsRefused(422, [("body", words)]) from None
        if not table.num_rows:
            raise RowsRefused(422, [("body.rows", "found no rows, expected at least 1")])
        problems: list[tuple[str, str]] = []
        columns = [_column(each, table.column(each.name), problems) for each in self._signature.inputs]
        if problems:
            raise RowsRefused(422, problems)
        if self._is_numeric:
            return Table(table.num_rows, np.column_stack(columns))
        kept = (_listed(each, column) for each, column in zip(self._signature.inputs, columns, strict=True))
        return Table(table.num_rows, None, dict(zip(table.column_names, kept, strict=True)))


def rows_type(signature: Signature, most: int) -> Any:
    """What a body in JSON is: `{"rows": [...]}`, and nothing else."""
    row = signature.row_type()
    return typed("Rows", {"rows": Annotated[list[row], Field(min_length=1, max_length=most)]})  # type: ignore[valid-type]  # made at run time


def _refusal(error: ValidationError, body: bytes, place: str) -> RowsRefused:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        try:
            body.decode()
        except UnicodeDecodeError:
            return RowsRefused(400, [(place, "no UTF-8 text")])
    return RowsRefused(422, [(".".join(map(str, (place, *each["loc"]))), each["msg"]) for each in found])


class _Odd(ValueError):
    """A stream that is none of ours, in words that may be shown."""


def _batches(body: bytes, signature: Signature, most: int) -> Iterator[pa.RecordBatch]:
    """The record batches of a stream, each judged by its description before its columns are made."""
    import pyarrow as pa

    names = [each.name for each in signature.inputs]
    rows = 0
    messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    try:
        schema = pa.ipc.read_schema(messages.read_next_message())
    except StopIteration:
        raise _Odd("found no Arrow stream") from None
    if schema.names != names:
        raise _Odd(f"found {len(schema.names)} columns, expected {', '.join(names)} in this order")
    odd = [str(held.type) for held in schema if not _is_plain(held.type)]
    if odd:
        raise _Odd("found a column that is neither numbers, truth values nor text")
    while True:
        try:
            message = messages.read_next_message()
        except StopIteration:
            break
        if message.type != "record batch":
            raise _Odd("found a dictionary, expected plain columns")
        length, is_compressed = _described(message.metadata.to_pybytes())
        if is_compressed:
            # A kilobyte of it can become a gigabyte.
            raise _Odd("found compressed columns, expected them as they are")
        rows += length
        if not 0 <= length <= most or rows > most:
            raise _Odd(f"found more than {most} rows")
        batch = pa.ipc.read_record_batch(message, schema)
        # Offsets that point elsewhere would be read from elsewhere.
        batch.validate(full=True)
        yield batch


def _is_plain(held: Any) -> bool:
    import pyarrow as pa

    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    return any(kind(held) for kind in kinds)


def _described(metadata: bytes) -> tuple[int, bool]:
    """The rows of a record batch and whether it is compressed, from its flatbuffer (`Message.fbs` of Apache Arrow)."""
    message = _Flat(metadata, int.from_bytes(metadata[:4], "little"))
    batch = message.table(2)
    if batch is None:
        raise _Odd("found a message without a record batch")
    at = batch.at(0)
    length = 0 if at is None else int.from_bytes(metadata[at : at + 8], "little", signed=True)
    return length, batch.at(3) is not None


@dataclass(frozen=True, slots=True)
class _Flat:
    """A table of a flatbuffer."""

    data: bytes
    start: int

    def at(self, number: int) -> int | None:
        """Where its field lies; None where it has none."""
        vtable = self.start - int.from_bytes(self.data[self.start : self.start + 4], "little", signed=True)
        size = int.from_bytes(self.data[vtable : vtable + 2], "little")
        slot = 4 + 2 * number
        if slot + 2 > size:
            return None
        offset = int.from_bytes(self.data[vtable + slot : vtable + slot + 2], "little")
        return self.start + offset if offset else None

    def table(self, number: int) -> _Flat | None:
        at = self.at(number)
        return None if at is None else _Flat(self.data, at + int.from_bytes(self.data[at : at + 4], "little"))


def _column(field: Input, column: pa.ChunkedArray, problems: list[tuple[str, str]]) -> Any:
    """The values of one column, numbers as float64 with NaN for null; what does not fit is added to `problems`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def odd(what: str) -> Any:
        problems.append((f"body.{field.name}", what))
        return np.zeros(len(column))

    wanted = {
        "integer": pa.types.is_integer,
        "number": lambda held: pa.types.is_floating(held) or pa.types.is_integer(held),
        "boolean": pa.types.is_boolean,
        "string": lambda held: pa.types.is_string(held) or pa.types.is_large_string(held),
    }[field.type]
    if not wanted(column.type):
        return odd(f"Input should be a column of the type {field.type}")
    if column.null_count and not field.nullable:
        return odd("Input should not be null")
    if field.categories and not pc.all(pc.is_in(column.drop_null(), pa.array(field.categories, column.type))).as_py():
        return odd(f"Input should be one of {', '.join(map(repr, field.categories))}")
    if field.type == "string":
        return column.to_pylist()
    if pa.types.is_integer(column.type):
        ends = pc.min_max(column).as_py()
        if any(end is not None and abs(end) > EXACT for end in ends.values()):
            return odd(f"Input should be at most {EXACT} in size")
    values = column.cast(pa.float64()).to_numpy()
    is_null = column.is_null().to_numpy() if column.null_count else np.zeros(len(column), dtype=bool)
    known = values[~is_null]
    if not np.isfinite(known).all():
        return odd("Input should be a finite number")
    if field.lowest is not None and (known < field.lowest).any():
        return odd(f"Input should be greater than or equal to {field.lowest:g}")
    if field.highest is not None and (known > field.highest).any():
        return odd(f"Input should be less than or equal to {field.highest:g}")
    return values


def _listed(field: Input, column: Any) -> list[Any]:
    """A checked column as `Signature.columns` gives it."""
    if field.type == "boolean":
        return [None if value != value else bool(value) for value in column]
    if field.type == "integer" and not field.nullable:
        return [int(value) for value in column]
    return list(column)
