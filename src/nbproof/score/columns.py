"""Columns of a batch as a model takes them, one block of numbers or a frame; what it cannot take is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable
from .source import HINT, Source

Form = Literal["matrix", "frame"]
Missing = Literal["refuse", "pass"]

# Rows that are written at a time: such a piece of a block stays in a core's own cache while its columns are filled.
_PIECE_ROWS = 2048


def check(source: Source, features: Sequence[str], keep: Sequence[str], form: Form) -> None:
    """Raise `DataUnusable` for a column that is not there, or of a type that no model takes."""
    for name in (*features, *keep):
        if source.names.count(name) != 1:
            raise DataUnusable(
                f"`{source.folder}`", f"no column `{name}`", f"it among {', '.join(source.names[:12])}", hint=HINT
            )
    for name in features:
        kind = source.schema.field(name).type
        if not _is_taken(kind, form):
            raise DataUnusable(
                f"the column `{name}`", str(kind),
                "numbers" if form == "matrix" else "numbers, text, booleans or times",
                hint="turn it into numbers where the features are made, or leave it out of --features",
            )  # fmt: skip


def is_number(kind: Any) -> bool:
    """Whether an Arrow type is one that a block of numbers can hold."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def fill(block: NDArray[Any], batch: Any, where: str, missing: Missing) -> None:
    """Write a batch into `block`, a row for each of its rows; a null becomes NaN.

    Raises `DataUnusable` for a null or NaN where `missing` refuses them, and for a number that the block cannot hold.
    """
    columns = [_numbers(batch, at, where, missing) for at in range(batch.num_columns)]
    # A block that lies column by column is written in one stroke for each.
    rows = max(1, batch.num_rows) if block.strides[0] == block.itemsize else _PIECE_ROWS
    try:
        with np.errstate(over="raise", invalid="raise"):
            for start in range(0, batch.num_rows, rows):
                piece = slice(start, start + rows)
                for at, column in enumerate(columns):
                    block[piece, at] = column[piece]
    except FloatingPointError:
        name = next(
            batch.schema.names[at] for at, column in enumerate(columns)
            if np.abs(column[np.isfinite(column)]).max(initial=0.0) > np.finfo(block.dtype).max
        )  # fmt: skip
        raise DataUnusable(where, f"a number in `{name}` too large for {block.dtype}", "smaller ones") from None
    # One NaN makes the smallest of all NaN; asking each number would take longer.
    if missing == "refuse" and block.size and np.isnan(block.min()):
        row, at = (int(each[0]) for each in np.nonzero(np.isnan(block)))
        raise _hole(f"{where}, row {row} of the batch", "NaN", batch.schema.names[at])


def as_arrow(column: NDArray[Any]) -> Any:
    """A column of answers as Arrow's array, in the memory where it lies; this way, too, without pandas."""
    import pyarrow

    if column.dtype.kind == "b":
        return pyarrow.array(column)
    kind = pyarrow.from_numpy_dtype(column.dtype)
    return pyarrow.Array.from_buffers(kind, len(column), [None, pyarrow.py_buffer(column)])


def frame(batch: Any, holed: frozenset[str], where: str, missing: Missing) -> Any:
    """A batch as a pandas frame whose types are those that the whole table would have.

    Whole numbers become floats in every batch of a table that misses some anywhere: otherwise the type would depend on
    where the batches are cut.
    """
    import pyarrow
    from pyarrow import types

    arrays = []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        if array.null_count and missing == "refuse":
            raise _hole(where, f"{array.null_count} nulls", field.name)
        if types.is_dictionary(field.type):
            array = array.dictionary_decode()
        if types.is_integer(array.type) and field.name in holed:
            array = _as_float(array, field.name, where)
        arrays.append(array)
    return pyarrow.Table.from_arrays(arrays, names=batch.schema.names).to_pandas(ignore_metadata=True)


def _is_taken(kind: Any, form: Form) -> bool:
    from pyarrow import types

    if is_number(kind):
        return True
    if form == "matrix":
        return False
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(
        is_number(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_temporal(kind)
        or types.is_string_view(kind)
    )  # fmt: skip


def _numbers(batch: Any, at: int, where: str, missing: Missing) -> NDArray[Any]:
    array = batch.column(at)
    if not array.null_count:
        return _as_numpy(array)
    name = batch.schema.names[at]
    if missing == "refuse":
        raise _hole(where, f"{array.null_count} nulls", name)
    return _as_numpy(_as_float(array, name, where))


def _as_numpy(array: Any) -> NDArray[Any]:
    """An array of numbers; Arrow's own way there imports pandas first, which takes longer than many a batch."""
    from pyarrow import types

    is_plain = not array.null_count and not types.is_boolean(array.type)
    found: NDArray[Any] = np.from_dlpack(array) if is_plain else array.to_numpy(zero_copy_only=False)
    return found


def _as_float(array: Any, name: str, where: str) -> Any:
    import pyarrow

    wide = array.cast(pyarrow.int8()) if pyarrow.types.is_boolean(array.type) else array
    try:
        return wide.cast(pyarrow.float64())
    except pyarrow.ArrowInvalid:
        raise DataUnusable(where, f"a number in `{name}` that no float holds", "numbers below 2**53") from None


def _hole(where: str, found: str, name: str) -> DataUnusable:
    return DataUnusable(
        where, f"{found} in `{name}`", "a number in every row",
        hint="fill them where the features are made; or, if the model knows how to take NaN, --missing pass",
    )  # fmt: skip
