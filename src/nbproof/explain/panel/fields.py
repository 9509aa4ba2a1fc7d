"""A row as fields that can be edited, and what was edited as changes of the row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import DataUnusable, UnknownName
from ..question import Question
from ..schema import Column
from .recipe import Edit, Taken

MOST_CATEGORIES = 200
EDITABLE = ("pandas DataFrame", "numpy ndarray", "torch Tensor")


def fields_of(question: Question) -> list[dict[str, Any]]:
    """A field for each column of the one row: its kind, its value (a category by its number), and what is usual."""
    background = question.background
    found = []
    for at, column in enumerate(question.schema.columns):
        value = float(question.rows[0, at])
        reference = np.array([math.nan]) if background is None else background[:, at]
        present = reference[~np.isnan(reference)]
        categories = [str(each)[:200] for each in (column.categories or ())[:MOST_CATEGORIES]]
        found.append({
            "name": column.name,
            "unit": question.feature_units[at],
            "kind": kind_of(column),
            "value": None if math.isnan(value) else int(value) if column.is_categorical else value,
            "categories": categories,
            "low": float(present.min()) if len(present) else None,
            "high": float(present.max()) if len(present) else None,
        })  # fmt: skip
    return found


def kind_of(column: Column) -> str:
    if column.is_categorical:
        return "category"
    kind = _dtype(column).kind
    return {"b": "mark", "i": "whole", "u": "whole"}.get(kind, "number")


def edits_of(given: Any, question: Question, taken: Taken, kind: str) -> tuple[Edit, ...]:
    """The changes that a page asked for, by the names of the columns. Raises `DataUnusable` and `UnknownName`."""
    if not isinstance(given, Mapping):
        raise DataUnusable("the edits", type(given).__name__, "values by the names of their columns")
    if given and kind not in EDITABLE:
        raise DataUnusable(f"`{taken.table}`", f"a {kind}", f"one of {', '.join(EDITABLE)}, whose rows can be edited")
    names = question.schema.names
    found = []
    for name, value in given.items():
        if name not in names:
            raise UnknownName("feature", str(name), names)
        at = names.index(name)
        column = question.schema.columns[at]
        if taken.form == "array":
            found.append(Edit(at, _number(column, value)))
            continue
        # A frame's label may be a number that reads like the name.
        label = next(each for each in _labels(taken, question) if str(each) == name)
        found.append(_edit(column, label, value))
    return tuple(found)


def _edit(column: Column, label: Any, value: Any) -> Edit:
    if column.is_categorical:
        return Edit(label, _category(column, value))
    if kind_of(column) == "mark" and isinstance(value, bool):
        return Edit(label, value)
    number = _number(column, value)
    if kind_of(column) in ("whole", "mark"):
        # What is no whole number any more gives the column another type.
        is_whole = not math.isnan(number) and number == int(number) and kind_of(column) == "whole"
        return Edit(label, int(number)) if is_whole else Edit(label, number, is_whole_column=True)
    return Edit(label, number)


def _category(column: Column, value: Any) -> Any:
    if value is None:
        return None
    categories = column.categories or ()
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(categories):
        raise DataUnusable(f"column {column.name}", repr(value)[:80], f"a number below {len(categories)}")
    found = categories[value]
    return found.item() if isinstance(found, np.generic) else found


def _number(column: Column, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) or not isinstance(value, int | float):
        raise DataUnusable(f"column {column.name}", f"{value!r}"[:80], "a number, or nothing")
    if math.isinf(value) or math.isnan(value):
        raise DataUnusable(f"column {column.name}", "a number that is not finite", "finite numbers")
    return float(value)


def _labels(taken: Taken, question: Question) -> tuple[Any, ...]:
    return question.schema.names if taken.columns is None else taken.columns


def _dtype(column: Column) -> np.dtype[Any]:
    try:
        return np.dtype(column.dtype)
    except TypeError:
        return np.dtype(np.float64)
