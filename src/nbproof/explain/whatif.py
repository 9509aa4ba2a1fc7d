"""What if: a control in a notebook with which a row is edited; prediction and both explanations follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataUnusable, NbproofError, UnknownName
from ..extras import require
from . import drawing, guards, mime, schema
from .drawing.canvas import escaped
from .drawing.scale import number, signed
from .drawing.wording import answer_of, be, output_of
from .explanation import Unit
from .question import Question, ask
from .schema import Column
from .shown import Both

Explain = Callable[[Question], Both]


@dataclass(frozen=True, slots=True)
class Edited:
    """The row as it is edited now: what it is answered, how both methods explain that, and where it leaves the data.

    `outside` are sentences about values that the training data never had; what is said of such a row is a guess.
    """

    question: Question
    explanation: Both
    outside: tuple[str, ...]


class WhatIf:
    """Fields to edit one row of a live model, with the prediction, the change, and SHAP beside LIME below them.

    `state` is what is shown: `Edited`, or the error that the last edit met; then no picture is left standing.
    Without a notebook it can be driven by `edit` and `reset`.
    """

    def __init__(
        self,
        model: Any,
        row: Any,
        training: Any,
        *,
        explain: Explain,
        unit: Unit | None = None,
        output: str | None = None,
        output_names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        feature_units: Mapping[str, str] | None = None,
        features: int = 10,
    ) -> None:
        """`explain` explains a question by both methods; the other options are those of `calls.both`."""
        require("ipywidgets")
        import ipywidgets

        self._question = ask(
            model, row, background=training, unit=unit,
            output_names=output_names, feature_names=feature_names, feature_units=feature_units,
        )  # fmt: skip
        if len(self._question.rows) != 1:
            raise DataUnusable("the row", f"{len(self._question.rows)} rows", "one row to edit")
        self._explain, self._output, self._features = explain, output, features
        self._start = self._question.rows[0]
        self._values = self._start
        self._is_resetting = False
        self.state: Edited | NbproofError = self._edited()
        columns = self._question.schema.columns
        self.fields = {
            column.name: _field(column, float(value), self._question.feature_units[at])
            for at, (column, value) in enumerate(zip(columns, self._start, strict=True))
        }
        for field in self.fields.values():
            field.observe(self._heard, names="value")
        self._button = ipywidgets.Button(description="Reset", tooltip="Set every value back to the row's own")
        self._button.on_click(lambda _: self.reset())
        self._said = ipywidgets.HTML()
        self._picture = ipywidgets.HTML()
        grid = ipywidgets.GridBox(
            list(self.fields.values()), layout=ipywidgets.Layout(grid_template_columns="repeat(2, 410px)")
        )
        self.box = ipywidgets.VBox([grid, self._button, self._said, self._picture])
        self._before = self._prediction()
        self._show()

    def edit(self, **values: Any) -> None:
        """Set features by name, as the fields do. Raises `UnknownName` for a feature that there is not."""
        for name, value in values.items():
            if name not in self.fields:
                raise UnknownName("feature", name, self.fields)
            self.fields[name].value = value

    def reset(self) -> None:
        """Set every value back to the row's own."""
        self._is_resetting = True
        try:
            for at, (column, field) in enumerate(zip(self._question.schema.columns, self.fields.values(), strict=True)):
                field.value = _shown(column, float(self._start[at]), field)
        finally:
            self._is_resetting = False
        self._follow()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """The control where there is a kernel behind the page; elsewhere the picture and the text."""
        found: dict[str, Any] = dict(self.box._repr_mimebundle_())
        if isinstance(self.state, Edited):
            kept = self.state.explanation._repr_mimebundle_()
            found |= {
                "image/svg+xml": self._drawn(self.state),
                "text/plain": kept["text/plain"],
                mime.MIME: kept[mime.MIME],
            }
        return found

    def _heard(self, change: Mapping[str, Any]) -> None:
        if not self._is_resetting:
            self._follow()

    def _follow(self) -> None:
        """Read the fields, ask and explain again; whatever is refused takes the place of the picture."""
        try:
            read = zip(self._question.schema.columns, self.fields.values(), strict=True)
            self._values = np.array([_read(column, field.value) for column, field in read])
            self.state = self._edited()
        except NbproofError as error:
            self.state = error
        self._show()

    def _edited(self) -> Edited:
        again = self._question.again()
        rows = self._values[None, :]
        question = replace(
            again,
            rows=rows,
            prediction=again.asked(rows),
            origins=replace(again.origins, data=schema.hash_of(rows, again.schema)),
        )
        against = question.needs_background("the range of the training data")
        outside = guards.check_range(rows, against, question.schema.names)
        return Edited(question, self._explain(question), tuple(each.sentence for each in outside))

    def _prediction(self) -> float:
        assert isinstance(self.state, Edited)
        assert self.state.explanation.shap is not None
        return float(output_of(self.state.explanation.shap, self._output).prediction[0, 0])

    def _show(self) -> None:
        if not isinstance(self.state, Edited):
            self._picture.value = ""
            self._said.value = f'<p role="alert"><b>{escaped(str(self.state))}</b></p>'
            return
        assert self.state.explanation.shap is not None
        shown = output_of(self.state.explanation.shap, self._output)
        now = self._prediction()
        change = "" if now == self._before else f" ({signed(now - self._before)} by the edit)"
        warned = "".join(f"<p role='alert'>⚠ {escaped(each)}</p>" for each in self.state.outside)
        answer = answer_of(shown)
        self._said.value = (
            f"<p aria-live='polite'>{escaped(answer[0].upper() + answer[1:])} {be(shown)} "
            f"<b>{number(now)}</b>{change}.</p>{warned}"
        )
        self._picture.value = self._drawn(self.state)

    def _drawn(self, edited: Edited) -> str:
        kept = edited.explanation
        made = [each for each in (kept.shap, kept.lime) if each is not None]
        return drawing.bars(*made, output=self._output, features=self._features)


def _field(column: Column, value: float, unit: str) -> Any:
    """A field that suits a column: choices, a mark, or a number; where one may be missing, text."""
    import ipywidgets

    told: dict[str, Any] = {
        "description": f"{column.name} ({unit})" if unit else column.name,
        "style": {"description_width": "180px"},
        "layout": ipywidgets.Layout(width="400px"),
    }
    if column.categories is not None:
        options = [(str(each), code) for code, each in enumerate(column.categories)]
        if math.isnan(value):
            options.append(("missing", -1))
        return ipywidgets.Dropdown(options=options, value=-1 if math.isnan(value) else int(value), **told)
    if column.dtype == "bool":
        return ipywidgets.Checkbox(value=bool(value), indent=True, **told)
    if math.isnan(value):
        return ipywidgets.Text(value="", placeholder="missing", continuous_update=False, **told)
    if np.issubdtype(_kind(column), np.integer) and value == int(value):
        return ipywidgets.IntText(value=int(value), continuous_update=False, **told)
    return ipywidgets.FloatText(value=value, continuous_update=False, **told)


def _kind(column: Column) -> Any:
    try:
        return np.dtype(column.dtype)
    except TypeError:
        return np.dtype(np.float64)


def _shown(column: Column, value: float, field: Any) -> Any:
    """A coded value as its field holds it."""
    if column.categories is not None:
        return -1 if math.isnan(value) else int(value)
    if isinstance(field.value, str):
        return "" if math.isnan(value) else repr(value)
    return type(field.value)(value)


def _read(column: Column, value: Any) -> float:
    """A field's value as a code. Raises `DataUnusable` for what is no number."""
    if column.categories is not None:
        return math.nan if value == -1 else float(value)
    if isinstance(value, str):
        if not value.strip():
            return math.nan
        try:
            value = float(value)
        except ValueError as error:
            raise DataUnusable(f"column {column.name}", f"the text {value!r}", "a number, or nothing") from error
    found = float(value)
    if math.isinf(found):
        raise DataUnusable(f"column {column.name}", "an infinite number", "finite numbers")
    return found
