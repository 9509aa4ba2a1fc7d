"""What is to be explained, as names and choices: the objects that it means, and the code that says the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ...errors import DataUnusable, UnknownName
from ..explanation import UNITS, Unit
from . import namespace as names
from .namespace import Form, FoundModel, FoundTable

EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Taken:
    """Rows of a table: one (`row`), every so many (`step`), or all; of some `columns`, or of all as they stand.

    `listed` is an expression for the columns, where there is a shorter one than all their labels.
    """

    table: str
    form: Form
    columns: tuple[Any, ...] | None = None
    row: int | None = None
    step: int = 1
    listed: str = ""

    def spelled(self) -> str:
        """The expression that takes them."""
        base = self.table if self.columns is None else f"{self.table}[{self.listed or list(self.columns)}]"
        if self.row is None and self.step == 1:
            return base
        index = f"[[{self.row}]]" if self.row is not None else f"[::{self.step}]"
        return f"{base}.iloc{index}" if self.form == "frame" else f"{base}{index}"

    def of(self, namespace: Mapping[str, Any]) -> Any:
        """The rows themselves, taken as the expression takes them."""
        held = namespace[self.table]
        if self.columns is not None:
            held = held[list(self.columns)]
        if self.row is None and self.step == 1:
            return held
        index = [self.row] if self.row is not None else slice(None, None, self.step)
        return held.iloc[index] if self.form == "frame" else held[index]


@dataclass(frozen=True, slots=True)
class Edit:
    """One value of the row set to another; `place` is the column's label in a frame, and its position elsewhere."""

    place: Any
    value: float | int | bool | str | None
    is_whole_column: bool = False

    def spelled(self, row: str, form: Form) -> str:
        value = 'float("nan")' if isinstance(self.value, float) and math.isnan(self.value) else repr(self.value)
        if form == "array":
            return f"{row}[0, {self.place}] = {value}"
        where = f"{row}[{self.place!r}]" if self.is_whole_column else f"{row}.loc[:, {self.place!r}]"
        return f"{where} = {value}"

    def into(self, row: Any, form: Form) -> None:
        if form == "array":
            row[0, self.place] = self.value
        elif self.is_whole_column:
            row[self.place] = self.value
        else:
            row.loc[:, self.place] = self.value


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model, rows, what they are compared with, and how: all by name, so that a cell can say the same."""

    model: str
    rows: Taken
    background: Taken
    unit: Unit | None = None
    method: str | None = None
    seed: int = 0
    edits: tuple[Edit, ...] = ()
    kind: str = ""
    is_shap_alone: bool = False

    def objects(self, namespace: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """The model, the rows and the background that the names mean now."""
        rows = self.rows.of(namespace)
        if self.edits:
            rows = rows.clone() if hasattr(rows, "clone") and self.rows.form == "array" else rows.copy()
            if self.kind == "numpy ndarray":
                rows = rows.astype(float)
            for each in self.edits:
                each.into(rows, self.rows.form)
        return namespace[self.model], rows, self.background.of(namespace)

    def code(self, taken: Sequence[str] = ()) -> str:
        """A cell that explains the same and gets the same numbers; `taken` are names that it must not take."""
        rows, before = self.rows.spelled(), []
        if self.edits:
            edited = next(name for at in range(len(taken) + 1) if (name := EDITED + "_" * at) not in taken)
            copied = {"numpy ndarray": ".astype(float)", "torch Tensor": ".clone()"}.get(self.kind, ".copy()")
            before = [f"{edited} = {rows}{copied}", *(each.spelled(edited, self.rows.form) for each in self.edits)]
            rows = edited
        given = [self.model, rows, self.background.spelled()]
        for name, value in (("method", self.method), ("unit", self.unit), ("seed", self.seed or None)):
            if value is not None:
                given.append(f"{name}={value!r}")
        call = "shap" if self.is_shap_alone else "both"
        return "\n".join(["from nbproof import explain", "", *before, f"explain.{call}({', '.join(given)})"])


def recipe_of(asked: Mapping[str, Any], namespace: Mapping[str, Any]) -> Recipe:
    """The recipe that a request describes. Raises `UnknownName` and `DataUnusable` for what does not go together."""
    model = _model(asked, namespace)
    table = _table(str(asked.get("table")), namespace)
    against = _table(str(asked.get("background") or asked.get("table")), namespace)
    row = asked.get("row")
    if row is not None:
        row = whole(row, "the row", 0, table.rows - 1)
    listed = _listed(model, namespace)
    most = whole(asked.get("rows", table.rows), "the rows", 1, table.rows)
    unit = asked.get("unit")
    if unit is not None and unit not in get_args(Unit):
        raise UnknownName("unit", str(unit), UNITS)
    method = asked.get("method")
    return Recipe(
        model=model.name,
        rows=Taken(table.name, table.form, _columns(table, model), row, math.ceil(table.rows / most), listed),
        background=Taken(against.name, against.form, _columns(against, model), listed=listed),
        unit=unit,
        method=None if method is None else str(method),
        seed=whole(asked.get("seed", 0), "the seed", 0, 2**31 - 1),
        kind=table.kind,
    )


def whole(value: Any, what: str, low: int, high: int) -> int:
    """A whole number of a request. Raises `DataUnusable`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataUnusable(what, repr(value)[:80], f"a whole number from {low} to {high}")
    return value


def _model(asked: Mapping[str, Any], namespace: Mapping[str, Any]) -> FoundModel:
    name = str(asked.get("model"))
    found = names.model_of(name, namespace[name]) if name in namespace else None
    if found is None:
        raise UnknownName("model", name, [each.name for each in names.look(namespace).models], hint="look again")
    return found


def _table(name: str, namespace: Mapping[str, Any]) -> FoundTable:
    found = names.table_of(name, namespace[name]) if name in namespace else None
    if found is None:
        raise UnknownName("table", name, [each.name for each in names.look(namespace).tables], hint="look again")
    return found


def _listed(model: FoundModel, namespace: Mapping[str, Any]) -> str:
    """The expression for the columns that a model was fitted on, where the model itself keeps them."""
    kept = getattr(namespace[model.name], "feature_names_in_", None)
    is_kept = model.feature_names is not None and kept is not None and tuple(kept) == model.feature_names
    return f"list({model.name}.feature_names_in_)" if is_kept else ""


def _columns(table: FoundTable, model: FoundModel) -> tuple[Any, ...] | None:
    fit = table.fit(model)
    if fit is None:
        named = "" if model.feature_names is None else f": {', '.join(model.feature_names[:8])}"
        raise DataUnusable(
            f"`{table.name}`",
            f"{table.width} columns",
            f"the {model.features} that `{model.name}` was fitted on{named}",
        )
    return fit.columns
