"""One look at one window: everything that is asked of it, as findings with a verdict each.

Like `drift`, this module knows no file and no clock: columns in, frozen values out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from . import quality, slices
from .drift import Control, Drift, Kind, Performance, Thresholds, Verdict, auc, compare_all, perform, worst
from .explanations import LEAST_NDCG, ExplanationDrift, compare

Area = Literal["drift", "prediction", "quality", "performance", "explanations", "fairness"]
ALARMS: tuple[Verdict, ...] = ("amber", "red")


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits that a window is held against."""

    drift: Thresholds = field(default_factory=Thresholds)
    quality: quality.Limits = field(default_factory=quality.Limits)
    fairness: slices.Limits = field(default_factory=slices.Limits)
    least_ndcg: float = LEAST_NDCG


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked at.

    `kinds` names the columns; `score` is the column of the predictions, `slices` are the attributes by which fairness
    is judged at `cutoff`, `key` the columns that must name each row once. `reference_auc` is the ranking that was
    accepted; None takes that of the reference itself, if its outcomes are known.
    """

    kinds: Mapping[str, Kind]
    score: str | None = None
    slices: Mapping[str, Kind] = field(default_factory=dict)
    cutoff: float | None = None
    key: tuple[str, ...] = ()
    reference_auc: float | None = None
    control: Control = "holm"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as columns; an outcome that has not arrived is NaN, and `outcomes` None where nobody speaks of outcomes.

    `importance` is mean |SHAP| by feature, where the rows were explained.
    """

    columns: Mapping[str, Any]
    outcomes: Any = None
    importance: Mapping[str, float] | None = None

    @property
    def size(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `numbers` are what was computed; one that could not be is None."""

    area: Area
    what: str
    verdict: Verdict
    reason: str
    numbers: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at one window has found.

    `expected_false_alarms` says in words how often a window in which nothing changed would alarm by its drift.
    """

    reference_rows: int
    window_rows: int
    findings: tuple[Finding, ...]
    expected_false_alarms: str

    @property
    def verdict(self) -> Verdict:
        return worst(each.verdict for each in self.findings)

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """What is amber or red."""
        return tuple(each for each in self.findings if each.verdict in ALARMS)


def look(reference: Rows, window: Rows, question: Question) -> Look:
    """Hold a window against its reference; raises `KeyError` for a column that one of them lacks."""
    return Look(reference.size, window.size, tuple(_findings(reference, window, question)), _told(question))


def _findings(reference: Rows, window: Rows, question: Question) -> Iterator[Finding]:
    score, limits = question.score, question.limits
    kinds: dict[str, Kind] = {**question.kinds, **({score: "number"} if score else {})}
    for each in compare_all(
        reference.columns, window.columns, kinds=kinds, thresholds=limits.drift, control=question.control
    ):
        yield _drift(each, "prediction" if each.name == score else "drift")
    for found in quality.check_all(reference.columns, window.columns, kinds=kinds, limits=limits.quality):
        yield _quality(found)
    yield _quality(_duplicates(reference, window, question))
    if score and window.outcomes is not None:
        yield _performance(_perform(reference, window, question))
    if reference.importance is not None and window.importance is not None:
        yield _explanations(compare(reference.importance, window.importance, least=limits.least_ndcg))
    if score and question.cutoff is not None:
        for attribute, kind in question.slices.items():
            yield _slice(_sliced(reference, window, question, attribute, kind))


def _duplicates(reference: Rows, window: Rows, question: Question) -> quality.Quality:
    # Without a key a row is all that is known of it: few columns alone are alike in many rows.
    names = question.key or tuple(name for name in reference.columns if name in window.columns)
    sides = [[side.columns[name] for name in names] for side in (reference, window)]
    return quality.duplicates(*sides, limits=question.limits.quality, is_key=bool(question.key))


def _perform(reference: Rows, window: Rows, question: Question) -> Performance:
    assert question.score is not None
    accepted = question.reference_auc
    if accepted is None:
        accepted = _own_auc(reference, question.score)
    scores = window.columns[question.score]
    if accepted is None:
        labelled = int((~np.isnan(np.asarray(window.outcomes, dtype=float))).sum())
        reason = "there is no accepted AUC to compare with, and the outcomes of the reference are not known"
        return Performance(window.size, labelled, None, None, None, None, None, "not_evaluated", reason)
    return perform(scores, window.outcomes, reference_auc=accepted, thresholds=question.limits.drift)


def _own_auc(reference: Rows, score: str) -> float | None:
    if reference.outcomes is None or np.isnan(np.asarray(reference.outcomes, dtype=float)).any():
        return None
    try:
        return auc(reference.outcomes, reference.columns[score])
    except ValueError:
        return None


def _sliced(reference: Rows, window: Rows, question: Question, attribute: str, kind: Kind) -> slices.Slice:
    assert question.score is not None
    assert question.cutoff is not None
    return slices.slice_by(
        attribute,
        window.columns[attribute],
        window.columns[question.score],
        cutoff=question.cutoff,
        labels=window.outcomes,
        bands=slices.bands_of(reference.columns[attribute]) if kind == "number" else None,
        limits=question.limits.fairness,
    )


def _drift(found: Drift, area: Area) -> Finding:
    numbers = {
        "psi": found.psi, "jensen_shannon": found.jensen_shannon, "ks": found.ks, "ks_p": found.ks_p,
        "chi_square": found.chi_square, "chi_square_p": found.chi_square_p,
    }  # fmt: skip
    largest = found.largest
    told = found.reason
    if found.verdict in ALARMS and largest is not None:
        told = f"{told}; {largest.label}: {largest.reference_share:.1%} → {largest.window_share:.1%}"
    return Finding(area, found.name, found.verdict, told, numbers)


def _quality(found: quality.Quality) -> Finding:
    told = (
        f"{found.reason}: {', '.join(found.examples)}" if found.verdict in ALARMS and found.examples else found.reason
    )
    numbers = {"reference_share": found.reference_share, "window_share": found.window_share}
    return Finding("quality", f"{found.column}: {found.check}", found.verdict, told, numbers)


def _performance(found: Performance) -> Finding:
    numbers = {
        "auc": found.auc, "auc_error": found.auc_error, "auc_drop": found.auc_drop, "mean_score": found.mean_score,
        "observed": found.observed, "calibration_gap": found.calibration_gap,
        "labelled_share": found.labelled / found.rows if found.rows else None,
    }  # fmt: skip
    return Finding("performance", "score against outcome", found.verdict, found.reason, numbers)


def _explanations(found: ExplanationDrift) -> Finding:
    return Finding("explanations", "order of importance", found.verdict, found.reason,
                   {"ndcg": found.ndcg, "change": found.change})  # fmt: skip


def _slice(found: slices.Slice) -> Finding:
    numbers = {"disparate_impact": found.disparate_impact, "opportunity_gap": found.opportunity_gap}
    groups = {f"favourable: {group.name or 'missing'}": group.favourable for group in found.groups}
    return Finding("fairness", found.attribute, found.verdict, found.reason, {**numbers, **groups})


def _told(question: Question) -> str:
    alpha = question.limits.drift.alpha
    if question.control == "holm":
        return f"of windows in which nothing has drifted, at most {alpha:g} alarm by drift (Holm over all tests)"
    return f"of the columns that alarm by drift, at most {alpha:g} on average have not drifted (Benjamini and Hochberg)"
