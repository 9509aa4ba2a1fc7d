"""What the panel asks for, carried out: each request a function of plain values, each answer JSON data."""

from __future__ import annotations

import contextlib
import importlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...errors import DataUnusable, ExplanationRefused, UnknownName
from .. import calls, guards, mime, slices
from .. import model as models
from .. import schema as schemas
from ..auditing import Step
from ..calls import LimeOptions
from ..judging import agreement, completeness, fidelity, stability
from ..progress import Progress, Watch
from ..question import Question, ask
from ..shapley import dispatch
from ..shown import Both
from ..surrogate import tabular
from . import namespace as names
from .fields import edits_of, fields_of
from .recipe import Recipe, recipe_of, whole

# What is judged at once, and what needs the row explained again and again.
AT_ONCE: Sequence[Step] = (completeness.judge, fidelity.judge, agreement.judge)
AFTERWARDS: Sequence[Step] = (stability.judge,)
MOST_ROWS, MOST_CELLS_WIDE, LONGEST_CELL = 100, 60, 80
MOST_GROUPS, FEW_VALUES, QUARTERS = 30, 10, 4
# What explaining such models imports, so that it can be there before the first click.
NEEDED: Mapping[str, Sequence[str]] = {"sklearn": ("shap",)}

Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One request being carried out: what was asked, where its names live, and whom to tell of it."""

    asked: Mapping[str, Any]
    namespace: Mapping[str, Any]
    tell: Tell
    watch: Watch


@dataclass(slots=True)
class Desk:
    """What is kept from one request to the next: the last explanation of many rows, which can be cut by groups."""

    recipe: Recipe | None = None
    explained: Both | None = None

    def look(self, job: Job) -> dict[str, Any]:
        """What lives in the namespace. What explaining it needs is imported meanwhile (`prepare`)."""
        return names.look(job.namespace).written()

    def prepare(self, job: Job) -> dict[str, Any]:
        """Begin to import what explaining the models of the namespace needs; nobody waits for it here."""
        libraries = {each.library for each in names.look(job.namespace).models}
        packages = [package for library in sorted(libraries) for package in NEEDED.get(library, ())]
        threading.Thread(target=_imported, args=(packages,), name="nbproof-imports", daemon=True).start()
        return {"packages": packages}

    def options(self, job: Job) -> dict[str, Any]:
        """The units, outputs and methods of a model for a table; its first row is asked about."""
        recipe = recipe_of({**job.asked, "row": 0}, job.namespace)
        question = _question(recipe, job.namespace)
        answers = question.answers
        outputs = answers.outputs if answers.complement is None else (*answers.outputs, answers.complement)
        return {
            "units": list(question.model.units),
            "unit": answers.unit,
            "outputs": list(outputs[: names.MOST_COLUMNS]),
            "methods": list(dispatch.methods_for(question)),
            "features": list(question.schema.names[: names.MOST_COLUMNS]),
        }

    def rows(self, job: Job) -> dict[str, Any]:
        """Some rows of a table as text, to be picked from."""
        name = str(job.asked.get("table"))
        held: Any = job.namespace.get(name)
        table = names.table_of(name, held) if held is not None else None
        if table is None:
            raise UnknownName("table", name, [each.name for each in names.look(job.namespace).tables])
        start = whole(job.asked.get("start", 0), "the first row", 0, max(table.rows - 1, 0))
        part = slice(start, start + MOST_ROWS)
        shown = held.iloc[part] if table.form == "frame" else held[part]
        if hasattr(shown, "toarray"):
            shown = shown.toarray()
        rows = shown.to_numpy() if hasattr(shown, "to_numpy") else np.asarray(shown)
        labels = table.labels or tuple(f"feature {at}" for at in range(table.width))
        return {
            "start": start,
            "total": table.rows,
            "columns": [str(each)[:LONGEST_CELL] for each in labels[:MOST_CELLS_WIDE]],
            "cells": [[_cell(each) for each in row[:MOST_CELLS_WIDE]] for row in rows],
        }

    def estimate(self, job: Job) -> dict[str, Any]:
        """How long both methods will take, by a probe of each."""
        recipe = recipe_of(job.asked, job.namespace)
        question = _question(recipe, job.namespace)
        by_shap = dispatch.estimate(question, method=recipe.method, watch=job.watch)
        by_lime = _seconds_of_lime(question, job.watch)
        return {
            "rows": by_shap.rows,
            "probed_rows": by_shap.probed_rows,
            "seconds": by_shap.seconds + by_lime,
            "shap_s": by_shap.seconds,
            "lime_s": by_lime,
        }

    def explain(self, job: Job) -> dict[str, Any]:
        """Explain by both methods; what is judged afterwards is told once it is known."""
        began = time.perf_counter()
        recipe = recipe_of(job.asked, job.namespace)
        edited = job.asked.get("edits") or {}
        question = _question(recipe, job.namespace)
        fields = fields_of(question) if recipe.rows.row is not None else []
        if edited:
            recipe = replace(recipe, edits=edits_of(edited, question, recipe.rows, recipe.kind))
            question = _question(recipe, job.namespace)
        explained, silent = _explained(question, recipe, job)
        recipe = replace(recipe, is_shap_alone=bool(silent))
        refuse_changed(question)
        if len(question.rows) > 1:
            self.recipe, self.explained = recipe, explained
        said = _outside(question) if recipe.rows.row is not None else []
        job.tell(
            "answer",
            {
                "bundle": explained._repr_mimebundle_()[mime.MIME],
                "lines": _judged(question, explained, recipe, AT_ONCE, job.watch),
                "code": recipe.code(list(job.namespace)),
                "fields": fields,
                "outside": said,
                "silent": silent,
                "expression": recipe.rows.spelled(),
                "seconds": time.perf_counter() - began,
            },
        )
        if job.asked.get("is_brief"):
            return {"lines": []}
        return {"lines": _judged(question, explained, recipe, AFTERWARDS, job.watch)}

    def slices(self, job: Job) -> dict[str, Any]:
        """The last explanation of many rows, cut by the values of a column of its table."""
        if self.recipe is None or self.explained is None or self.explained.shap is None:
            raise DataUnusable("the slices", "no explanation of many rows", "one", hint="explain the model first")
        whole_table = replace(self.recipe.rows, columns=None).of(job.namespace)
        column = str(job.asked.get("column"))
        labels = groups_of(whole_table, column)
        output = job.asked.get("output")
        shap = self.explained.shap
        found = slices.by_group(shap, labels, output=None if output is None else str(output))
        return {
            "column": column,
            "features": list(shap.feature_names[: names.MOST_COLUMNS]),
            "unit": shap.unit,
            "slices": [
                {
                    "group": each.group[:LONGEST_CELL],
                    "rows": each.rows,
                    "is_enough": each.is_enough,
                    "answer": asdict(each.answer),
                    "importance": [asdict(one) for one in each.importance[: names.MOST_COLUMNS]],
                }
                for each in found
            ],
        }


def groups_of(table: Any, column: str) -> list[Any]:
    """A label for each row: the column's own values, or the quarter that a number of many lies in.

    Raises `UnknownName` for a column that there is not, `DataUnusable` for one of too many kinds.
    """
    frame = table.to_pandas() if hasattr(table, "to_pandas") else table
    if not hasattr(frame, "columns"):
        held = frame.toarray() if hasattr(frame, "toarray") else np.asarray(frame)
        listed = {f"feature {at}": held[:, at] for at in range(held.shape[1])}
    else:
        listed = {str(label): frame[label].to_numpy() for label in frame.columns}
    if column not in listed:
        raise UnknownName("column", column, listed)
    values = listed[column]
    distinct = {each for each in values.tolist() if each == each and each is not None}
    if values.dtype.kind in "iuf" and len(distinct) > FEW_VALUES:
        return _quarters(values.astype(np.float64))
    if len(distinct) > MOST_GROUPS:
        raise DataUnusable(f"column {column}", f"{len(distinct)} values", f"at most {MOST_GROUPS} kinds, or numbers")
    return list(values.tolist())


def refuse_changed(question: Question) -> None:
    """Raise `ExplanationRefused` where a cell changed the model or its data while they were explained."""
    origins, background = question.origins, question.background
    is_same = (
        models.hash_of(question.model) == origins.model
        and schemas.hash_of(question.rows, question.schema) == origins.data
        and (background is None or schemas.hash_of(background, question.schema) == origins.background)
        and np.array_equal(question.asked(question.rows), question.prediction)
    )
    if not is_same:
        raise ExplanationRefused(
            "the explanation",
            "a model or data that changed meanwhile",
            "the same from beginning to end",
            hint="explain again once the cell that changes them has ended",
        )


def _imported(packages: Sequence[str]) -> None:
    """Import what is there; what is not, the explanation that needs it says."""
    for package in packages:
        with contextlib.suppress(ImportError):
            importlib.import_module(package)


def _question(recipe: Recipe, namespace: Mapping[str, Any]) -> Question:
    model, rows, background = recipe.objects(namespace)
    return ask(model, rows, background=background, unit=recipe.unit)


def _explained(question: Question, recipe: Recipe, job: Job) -> tuple[Both, str]:
    """The rows explained by both methods; by SHAP alone where LIME cannot take them, with the reason."""

    def explained(lime: LimeOptions | None) -> Both:
        asked = question.again()
        return calls.explained(asked, method=recipe.method, seed=recipe.seed, lime=lime, watch=_told(job))

    try:
        return explained(LimeOptions()), ""
    except DataUnusable as error:
        # Where SHAP cannot take them either, it says so itself.
        return explained(None), str(error)


def _judged(
    question: Question, explained: Both, recipe: Recipe, steps: Sequence[Step], watch: Watch
) -> list[dict[str, Any]]:
    """Lines of the audit, the same as `both(…, is_audited=True)` has."""
    assert explained.shap is not None
    found = calls.audited(
        question, explained.shap, explained.lime, None, LimeOptions(), recipe.seed, None, watch, steps
    )
    return [each.written() for each in found.lines]


def _told(job: Job) -> Watch:
    """The job's watch, which tells the page how far which method is."""
    state = {"method": "SHAP", "is_over": False}

    def report(progress: Progress) -> None:
        if state["is_over"]:
            # The first method has told its end; what comes now is of the second.
            state.update(method="LIME", is_over=False)
        state["is_over"] = progress.done == progress.total
        told = {"done": progress.done, "total": progress.total, "remaining_s": progress.remaining_s}
        job.tell("progress", {"method": state["method"], **told})

    return Watch(report=report, cancel=job.watch.cancel)


def _outside(question: Question) -> list[str]:
    if question.background is None:
        return []
    return [each.sentence for each in guards.check_range(question.rows, question.background, question.schema.names)]


def _seconds_of_lime(question: Question, watch: Watch) -> float:
    """What LIME will take: its points are asked about once, and each row adds a little."""
    few = min(len(question.rows), 8)
    one, some = _timed_lime(question, 1, watch), _timed_lime(question, few, watch)
    each = max(some - one, 0.0) / (few - 1) if few > 1 else 0.0
    return one + each * (len(question.rows) - 1)


def _timed_lime(question: Question, rows: int, watch: Watch) -> float:
    some = replace(question.again(), rows=question.rows[:rows], prediction=question.prediction[:rows])
    options = LimeOptions()
    began = time.perf_counter()
    tabular.explain(some, seed=0, features=options.features, samples=options.samples, watch=watch)
    return time.perf_counter() - began


def _quarters(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[Any]:
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, QUARTERS + 1)))
    bins = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, max(len(edges) - 2, 0))
    named = [f"{at + 1}: {edges[at]:.4g} to {edges[at + 1]:.4g}" for at in range(max(len(edges) - 1, 1))]
    return [None if math.isnan(value) else named[at] for value, at in zip(values.tolist(), bins, strict=True)]


def _cell(value: Any) -> str:
    """A value as text; of what is no plain value only its kind is shown, since its own text is code that would run."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, str | int | bool | np.generic):
        return str(value)[:LONGEST_CELL]
    return type(value).__name__


REQUESTS: Mapping[str, Callable[[Desk, Job], dict[str, Any]]] = {
    "look": Desk.look,
    "prepare": Desk.prepare,
    "options": Desk.options,
    "rows": Desk.rows,
    "estimate": Desk.estimate,
    "explain": Desk.explain,
    "slices": Desk.slices,
}


def carry_out(name: str, desk: Desk, job: Job) -> dict[str, Any]:
    """Carry out a request by its name. Raises `UnknownName`."""
    if name not in REQUESTS:
        raise UnknownName("request", name, REQUESTS)
    return REQUESTS[name](desk, job)
