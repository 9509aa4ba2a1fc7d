"""What is asked of windows, joined from files: the question, and each side's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataUnusable
from . import tables
from .drift import Control, Kind
from .explanations import importance
from .look import Limits, Look, Question, Rows, look
from .tables import HINT, Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to know about windows.

    `columns` are NAME, NAME:number or NAME:category (none: all that fit); `attributions` is the prefix of the columns
    that hold SHAP values. `attributes` are those by which fairness is judged at `cutoff`. Of a service's log only the
    answers of `version` are looked at, where it is named.
    """

    reference: Path
    limits: Limits
    columns: tuple[str, ...] = ()
    score: str | None = None
    outcomes: Outcomes | None = None
    reference_auc: float | None = None
    attributes: tuple[str, ...] = ()
    cutoff: float | None = None
    key: tuple[str, ...] = ()
    control: Control = "holm"
    attributions: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """The reference, read once: its rows and the question that every window is asked."""

    rows: Rows
    question: Question
    asked: Asked

    def look_at(self, window: Path) -> Look:
        """Look at one window; raises `DataUnusable` when it is not what can be compared."""
        return self.look_at_columns(tables.read(window, version=self.asked.version), where=window)

    def look_at_columns(self, columns: Mapping[str, Any], *, where: Path) -> Look:
        """Look at a window that was read already; `where` names it."""
        asked, question = self.asked, self.question
        wanted: dict[str, Kind] = {**question.kinds, **question.slices}
        if asked.score:
            wanted[asked.score] = "number"
        columns = tables.alike(self.rows.columns, columns, wanted, where=where)
        tables.expect(columns, asked.key, where=where)
        rows = _rows(columns, asked, where, is_window=True)
        if not rows.size:
            raise DataUnusable(f"`{where}`", "no rows", "a window with rows", hint=HINT)
        if self.rows.importance is not None and set(rows.importance or {}) != set(self.rows.importance):
            raise DataUnusable(f"`{where}`", "attributions of other features", "those of the reference", hint=HINT)
        return look(self.rows, rows, question)


def opened(asked: Asked) -> Side:
    """Read the reference; raises `DataUnusable` for a column that is not there or a question that is not whole."""
    columns = tables.read(asked.reference)
    where = asked.reference
    if asked.score is not None:
        tables.expect(columns, [asked.score], where=where)
        if columns[asked.score].dtype.kind not in "fiu":
            raise DataUnusable(f"`{asked.score}` of `{where}`", "scores that are no numbers", "numbers", hint=HINT)
    tables.expect(columns, asked.attributes, where=where)
    kinds = _kinds(columns, asked)
    if not kinds and asked.score is None:
        raise DataUnusable(f"`{where}`", "no column that could be compared", "--columns NAME,…", hint=HINT)
    # Without groups of a few values fairness says nothing, so a number is cut into bands.
    attributes: dict[str, Kind] = {
        name: "number" if columns[name].dtype.kind in "fiu" and len(set(columns[name].tolist())) > tables.MOST_CODES
        else "category" for name in asked.attributes
    }  # fmt: skip
    rows = _rows(columns, asked, where, is_window=False)
    if not rows.size:
        raise DataUnusable(f"`{where}`", "no rows", "a reference with rows", hint=HINT)
    question = Question(
        kinds=kinds, score=asked.score, slices=attributes, cutoff=asked.cutoff, key=asked.key,
        reference_auc=asked.reference_auc, control=asked.control, limits=asked.limits,
    )  # fmt: skip
    return Side(rows, question, asked)


def _kinds(columns: Mapping[str, Any], asked: Asked) -> dict[str, Kind]:
    if asked.columns:
        return tables.chosen(asked.columns, columns, where=asked.reference)
    outcome = [asked.outcomes.column] if asked.outcomes and asked.outcomes.file is None else []
    # Texts of features and explanations go together, so attributions are no features themselves.
    shares = [name for name in columns if asked.attributions and name.startswith(asked.attributions)]
    return tables.kinds_of(columns, without=[*outcome, *shares, *asked.key, *([asked.score] if asked.score else [])])


def _rows(columns: Mapping[str, Any], asked: Asked, where: Path, *, is_window: bool) -> Rows:
    truth = None
    # A reference without outcomes is no fault: the accepted ranking may come from elsewhere.
    if asked.outcomes is not None and (is_window or _has_outcomes(columns, asked.outcomes)):
        truth = tables.outcomes_of(columns, asked.outcomes, where=where)
    return Rows(columns, truth, _importance(columns, asked.attributions, where))


def _has_outcomes(columns: Mapping[str, Any], outcomes: Outcomes) -> bool:
    names: Sequence[str] = [outcomes.column] if outcomes.file is None else outcomes.key
    return all(name in columns for name in names)


def _importance(columns: Mapping[str, Any], prefix: str | None, where: Path) -> dict[str, float] | None:
    if prefix is None:
        return None
    shares = {name.removeprefix(prefix): values for name, values in columns.items() if name.startswith(prefix)}
    if not shares:
        raise DataUnusable(f"`{where}`", f"no column that begins with `{prefix}`", "SHAP values", hint=HINT)
    return importance(shares)
