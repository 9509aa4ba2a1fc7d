"""Tables in files, Parquet or CSV, read some thousand rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataUnusable


@dataclass(frozen=True, slots=True)
class Table:
    """A file with rows and columns, read in batches of one size; `schema` is Arrow's."""

    path: Path
    schema: Any
    rows: int
    batch_rows: int
    open: Callable[[Sequence[str]], Iterator[Any]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.schema.names)

    @classmethod
    def of(cls, path: Path, batch_rows: int) -> Table:
        """Open a file by its ending. Raises `DataUnusable` for what is neither Parquet nor CSV, or empty."""
        kind = path.suffix.lower()
        if not path.is_file():
            raise DataUnusable(f"`{path}`", "no such file", "a Parquet or CSV file")
        if kind in (".parquet", ".pq"):
            return cls._of_parquet(path, batch_rows)
        if kind == ".csv":
            return cls._of_csv(path, batch_rows)
        raise DataUnusable(f"`{path}`", f"the ending {kind or 'of no kind'}", ".parquet or .csv")

    @classmethod
    def _of_parquet(cls, path: Path, batch_rows: int) -> Table:
        import pyarrow
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
        except pyarrow.ArrowInvalid as error:
            raise DataUnusable(f"`{path}`", f"no Parquet file: {error}", "a Parquet file") from error

        def opened(names: Sequence[str]) -> Iterator[Any]:
            with pyarrow.parquet.ParquetFile(path) as file:
                yield from file.iter_batches(batch_rows, columns=list(names))

        return cls(path, schema, rows, batch_rows, opened)

    @classmethod
    def _of_csv(cls, path: Path, batch_rows: int) -> Table:
        import pyarrow.csv

        def reading(types: Mapping[str, Any], names: Sequence[str]) -> Iterator[Any]:
            convert = pyarrow.csv.ConvertOptions(column_types=dict(types))
            with pyarrow.csv.open_csv(path, convert_options=convert) as file:
                for batch in file:
                    yield batch.select(list(names)) if names else batch

        schema, rows = _csv_schema(path, reading)
        types = dict(zip(schema.names, schema.types, strict=True))
        return cls(path, schema, rows, batch_rows, lambda names: reading(types, names))

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Tables of `batch_rows` rows each, but for the last, with these columns in this order."""
        import pyarrow

        wanted = list(dict.fromkeys(names))
        held: list[Any] = []
        count = 0
        for batch in self.open(wanted):
            held.append(batch)
            count += batch.num_rows
            while count >= self.batch_rows:
                table = pyarrow.Table.from_batches(held)
                yield table.slice(0, self.batch_rows).select(wanted)
                held = table.slice(self.batch_rows).to_batches()
                count -= self.batch_rows
        if count:
            yield pyarrow.Table.from_batches(held).select(wanted)


def _csv_schema(path: Path, reading: Callable[[Mapping[str, Any], Sequence[str]], Iterator[Any]]) -> tuple[Any, int]:
    """The types of the columns and how many rows there are, by reading the whole file.

    The first block tells the types. Where a whole number is followed by what is none, or nothing by something, they
    are taken for numbers; what is no number either is refused.
    """
    import pyarrow

    schema: Any = None
    types: dict[str, Any] = {}
    for is_last in (False, True):
        rows = 0
        try:
            for batch in reading(types, ()):
                schema, rows = batch.schema, rows + batch.num_rows
        except pyarrow.ArrowInvalid as error:
            if is_last or schema is None:
                said = str(error).splitlines()[0]
                raise DataUnusable(
                    f"`{path}`", f"what is not like the rows before: {said}", "one type a column"
                ) from error
            loose = (pyarrow.int64(), pyarrow.null())
            types = {each.name: pyarrow.float64() if each.type in loose else each.type for each in schema}
            continue
        if schema is None or not rows:
            raise DataUnusable(f"`{path}`", "no rows", "at least one row to explain")
        return schema, rows
    raise AssertionError("the last attempt returns or raises")
