"""What the columns of a table are, so that rows become numbers for explainers and the model's own input again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable
from ..records import ContentHash

Form = Literal["array", "frame", "sparse"]

# Numpy's kinds of what is a number: booleans, integers, unsigned ones, floats.
NUMERIC = "biuf"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `dtype` as the table spells it; of a categorical one code i stands for the i-th of `categories`.

    `missing` is what stands in the table where a category is missing (None, NaN or NA: encoders tell them apart).
    """

    name: str
    dtype: str
    categories: tuple[Any, ...] | None = None
    is_ordered: bool = False
    missing: Any = None

    @property
    def is_categorical(self) -> bool:
        return self.categories is not None


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a table in order, and the form in which the model takes it."""

    columns: tuple[Column, ...]
    form: Form

    @classmethod
    def of(cls, *tables: Any, names: Sequence[str] | None = None) -> Schema:
        """The schema of tables that go together (rows, background, training data): an array, a sparse matrix, a frame.

        A frame's text, category and object columns become categorical, with the values of all the tables. Anything
        with `to_pandas()` counts as a frame. Raises `DataUnusable` where the tables do not fit one another, or a
        column is neither numbers nor categories.
        """
        # One row taken out of a frame has lost its dtypes; the tables beside it know them.
        found = [_as_table(table) for table in sorted(tables, key=_is_series)]
        first = found[0]
        if not _is_frame(first):
            width = first.shape[1]
            for other in found[1:]:
                if other.shape[1] != width:
                    raise DataUnusable("the data", f"{other.shape[1]} columns", f"{width}, as in the first table")
            if names is not None and len(names) != width:
                raise DataUnusable("the names", f"{len(names)} names", f"{width}, one for each column")
            called = tuple(names) if names is not None else tuple(f"feature {at}" for at in range(width))
            if len(set(called)) != width:
                raise DataUnusable("the names", "names that are not distinct", "one name for each column")
            form: Form = "array" if isinstance(first, np.ndarray) else "sparse"
            return cls(tuple(Column(name, "float64") for name in called), form)
        if names is not None and tuple(names) != tuple(map(str, first.columns)):
            raise DataUnusable(
                "the names", ", ".join(names), f"the frame's own columns {', '.join(map(str, first.columns))}"
            )
        for other in found[1:]:
            if not _is_frame(other) or tuple(other.columns) != tuple(first.columns):
                shown = ", ".join(map(str, other.columns)) if _is_frame(other) else "no frame"
                raise DataUnusable("the data", shown, f"the columns {', '.join(map(str, first.columns))}")
        if len(set(map(str, first.columns))) != len(first.columns):
            raise DataUnusable("the data", "columns whose names are not distinct", "one name for each column")
        return cls(tuple(_column(str(name), [table[name] for table in found]) for name in first.columns), "frame")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> tuple[int, ...]:
        """The positions of the categorical columns."""
        return tuple(at for at, column in enumerate(self.columns) if column.is_categorical)

    def coded(self, table: Any) -> NDArray[np.float64]:
        """The rows of `table` as float64 (rows, features): categories as codes, what is missing as NaN.

        Raises `DataUnusable` for another width or other columns, for text among numbers, for an infinite number and
        for a category that the schema does not list.
        """
        found = _as_table(table)
        if self.form != "frame":
            return self._coded_array(found)
        if not _is_frame(found):
            raise DataUnusable("the data", "no frame", f"the columns {', '.join(self.names)}")
        if tuple(map(str, found.columns)) != self.names:
            missing = [name for name in self.names if name not in set(map(str, found.columns))]
            shown = f"no column {missing[0]}" if missing else f"the columns {', '.join(map(str, found.columns))}"
            raise DataUnusable("the data", shown, f"the columns {', '.join(self.names)} in this order")
        out = np.empty((len(found), len(self.columns)), dtype=np.float64)
        for at, column in enumerate(self.columns):
            out[:, at] = _coded_column(column, found.iloc[:, at])
        return _finite(out, self.names)

    def decoded(self, values: NDArray[np.float64]) -> Any:
        """What the model takes for these coded rows: an array, a sparse matrix, or a frame with the table's own dtypes.

        An integer column keeps its dtype while every value in it is a whole number; perturbed values are passed on
        as they are, never rounded.
        """
        if self.form == "array":
            return values
        if self.form == "sparse":
            import scipy.sparse

            return scipy.sparse.csr_matrix(values)
        import pandas as pd

        return pd.DataFrame(
            {column.name: _decoded_column(column, values[:, at]) for at, column in enumerate(self.columns)}
        )

    def shown(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """Coded rows as a reader sees them: numbers, and categories as text; float64, or object where there are any."""
        if not self.categorical:
            return values
        out = values.astype(object)
        for at in self.categorical:
            listed = self.columns[at].categories or ()
            out[:, at] = ["" if code != code else str(listed[int(code)]) for code in values[:, at]]
        return out

    def written(self) -> list[dict[str, Any]]:
        """The schema as JSON data."""
        return [
            {
                "name": each.name,
                "dtype": each.dtype,
                "categories": None if each.categories is None else list(map(str, each.categories)),
            }
            for each in self.columns
        ]

    def _coded_array(self, found: Any) -> NDArray[np.float64]:
        if _is_frame(found):
            found = found.to_numpy()
        if found.shape[1] != len(self.columns):
            raise DataUnusable("the data", f"{found.shape[1]} columns", f"{len(self.columns)}")
        if not isinstance(found, np.ndarray):
            found = found.toarray()
        if found.dtype.kind not in NUMERIC:
            for (row, at), each in np.ndenumerate(found):
                _refuse_text(self.names[at], each, row)
            try:
                found = found.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise DataUnusable(
                    "the data", f"values that are no numbers ({error})", "numbers, or a data frame"
                ) from error
        return _finite(np.ascontiguousarray(found, dtype=np.float64), self.names)


def hash_of(values: NDArray[Any], schema: Schema) -> ContentHash:
    """The SHA-256 of coded rows as values under their names, whatever categories stand in other tables."""
    digest = hashlib.sha256(repr((schema.names, values.shape)).encode())
    for at, column in enumerate(schema.columns):
        # Adding zero makes one zero of two; one NaN stands for all.
        part = np.where(np.isnan(values[:, at]), np.nan, values[:, at] + 0.0)
        if column.categories is not None:
            used, codes = np.unique(part, return_inverse=True)
            texts = [repr(None if code != code else column.categories[int(code)]) for code in used]
            order = np.argsort(np.array(texts, dtype=object))
            digest.update(repr(sorted(texts)).encode())
            part = np.argsort(order)[codes.reshape(-1)].astype(np.float64)
        digest.update(np.ascontiguousarray(part, dtype=np.float64).tobytes())
    return ContentHash(digest.hexdigest())


def _as_table(table: Any) -> Any:
    """`table` as a pandas frame, a two-dimensional array or a sparse matrix."""
    if _is_frame(table) or (hasattr(table, "tocsr") and hasattr(table, "toarray")):
        return table
    if hasattr(table, "to_pandas"):
        return _as_table(table.to_pandas())
    if hasattr(table, "detach") and hasattr(table, "cpu"):
        table = table.detach().cpu().numpy()
    if _is_series(table):
        # One row of a frame.
        return table.to_frame().T.infer_objects()
    found = np.asarray(table)
    if found.ndim == 1 and found.dtype != object:
        found = found[None, :]
    if found.ndim != 2:
        raise DataUnusable("the data", f"an array of {found.ndim} dimensions", "rows and columns")
    return found


def _is_series(table: Any) -> bool:
    return type(table).__name__ == "Series"


def _is_frame(table: Any) -> bool:
    return hasattr(table, "iloc") and hasattr(table, "columns")


def _column(name: str, parts: Sequence[Any]) -> Column:
    """One column by its parts in several tables."""
    import pandas as pd

    dtype = parts[0].dtype
    listed: list[Any] = []
    is_ordered = False
    if isinstance(dtype, pd.CategoricalDtype):
        listed, is_ordered = list(dtype.categories), bool(dtype.ordered)
    elif pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_complex_dtype(dtype):
            raise DataUnusable(f"column {name}", "complex numbers", "numbers or categories")
        return Column(name, str(dtype))
    elif pd.api.types.is_object_dtype(dtype) and all(_is_number(each) for part in parts for each in part.dropna()):
        return Column(name, str(dtype))
    elif not (pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)):
        raise DataUnusable(f"column {name}", str(dtype), "numbers or categories", hint="turn times into numbers first")
    elif any(pd.api.types.is_numeric_dtype(part.dtype) for part in parts):
        for row, each in enumerate(parts[0]):
            _refuse_text(name, each, row)
    seen: set[Any] = set()
    missing: Any = None
    for part in parts:
        present = part.dropna()
        if pd.api.types.is_object_dtype(part.dtype):
            for each in present:
                if not isinstance(each, str | bool | int | float | np.generic):
                    raise DataUnusable(f"column {name}", f"a {type(each).__name__}", "numbers or categories")
        if len(present) < len(part):
            missing = part[part.isna()].iloc[0]
        seen.update(present.unique())
    # Sorted, so that the codes depend neither on the order of the rows nor on that of the tables.
    more = sorted(seen - set(listed), key=lambda each: (type(each).__name__, each))
    return Column(name, str(dtype), (*listed, *more), is_ordered, missing)


def _coded_column(column: Column, part: Any) -> NDArray[np.float64]:
    import pandas as pd

    if column.categories is None:
        if not (pd.api.types.is_numeric_dtype(part.dtype) or pd.api.types.is_bool_dtype(part.dtype)):
            for row, each in enumerate(part):
                _refuse_text(column.name, each, row)
            try:
                part = pd.to_numeric(part)
            except (TypeError, ValueError) as error:
                raise DataUnusable(
                    f"column {column.name}", f"values that are no numbers ({error})", "numbers"
                ) from error
        return np.asarray(part.to_numpy(dtype=np.float64, na_value=np.nan))
    codes = pd.Index(column.categories, dtype=object).get_indexer(part.astype(object))
    unknown = (codes < 0) & part.notna().to_numpy()
    if unknown.any():
        raise DataUnusable(
            f"column {column.name}",
            f"the category {part.to_numpy(dtype=object)[unknown][0]!r}",
            f"one of {', '.join(map(str, column.categories[:8]))}",
        )
    return np.where(codes < 0, np.nan, codes).astype(np.float64)


def _decoded_column(column: Column, values: NDArray[np.float64]) -> Any:
    import pandas as pd

    if column.categories is not None:
        codes = np.where(np.isnan(values), -1, values).astype(np.int64)
        if column.dtype == "category":
            return pd.Categorical.from_codes(codes, list(column.categories), ordered=column.is_ordered)
        listed = np.empty(len(column.categories) + 1, dtype=object)
        listed[:-1] = column.categories
        listed[-1] = column.missing
        return pd.Series(listed[codes], dtype=column.dtype)
    try:
        dtype = np.dtype(column.dtype)
    except TypeError:
        # One of pandas' own, nullable; numbers that fit it become it.
        try:
            return pd.Series(values).astype(column.dtype)
        except (TypeError, ValueError):
            return pd.Series(values)
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    if dtype.kind == "O":
        return values.astype(object)
    if dtype.kind == "b":
        return values.astype(bool) if np.isin(values, (0.0, 1.0)).all() else values
    whole = np.isfinite(values).all() and (values == np.rint(values)).all()
    return values.astype(dtype) if whole else values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _refuse_text(name: str, value: Any, row: int) -> None:
    """Raise `DataUnusable` for text among numbers, also where it looks like a number: nobody said that it is one."""
    if isinstance(value, str | bytes):
        raise DataUnusable(f"column {name}", f"the text {str(value)!r} in row {row}", "numbers")


def _finite(values: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    infinite = np.isinf(values)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise DataUnusable(f"column {names[column]}", f"an infinite number in row {row}", "finite numbers")
    return values


def refuse_missing(values: NDArray[np.float64], names: Sequence[str], why: str) -> None:
    """Raise `DataUnusable` where a value is missing and the method or the model cannot take that."""
    missing = np.isnan(values)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise DataUnusable(f"column {names[column]}", f"a missing value (NaN) in row {row}", f"none: {why}")


def categories_of(schema: Schema) -> Mapping[str, tuple[str, ...]]:
    """The values of each categorical column, as text."""
    return {each.name: tuple(map(str, each.categories)) for each in schema.columns if each.categories is not None}
