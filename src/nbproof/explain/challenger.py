"""A glass box beside the model: how much accuracy does the black box buy?

Source: explainable boosting machines, Lou et al. (2013); Nori et al. (2019), InterpretML, arXiv 1909.09223. The
interval is a paired bootstrap over test rows (Efron and Tibshirani, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import extras
from ..errors import DataUnusable
from .slices import area_under_curve, interval

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """Model and glass box on the same test rows; `gap` is the model's `measure` less the glass box's.

    `low` and `high` bound it at 95 %. `glass_box` is the fitted machine, whose parts are the explanation.
    """

    measure: str
    model: float
    glass: float
    gap: float
    low: float | None
    high: float | None
    train_rows: int
    test_rows: int
    glass_box: Any

    @property
    def sentence(self) -> str:
        """What a reviewer should conclude."""
        if self.low is None or self.high is None:
            return f"Too few test rows to tell the model ({self.model:.3f}) from a glass box ({self.glass:.3f})."
        told = f"{self.measure} {self.model:.3f} against {self.glass:.3f}, interval {self.low:+.3f} to {self.high:+.3f}"
        if self.low > 0:
            return f"The model is better than a glass box by {self.gap:.3f} ({told})."
        if self.high < 0:
            return f"A glass box is better than the model by {-self.gap:.3f} ({told}): nothing is bought by opacity."
        return f"The model cannot be told from a glass box on {self.test_rows} test rows ({told})."


def challenge(
    train: NDArray[np.float64],
    train_truth: Sequence[float] | NDArray[Any],
    test: NDArray[np.float64],
    test_truth: Sequence[float] | NDArray[Any],
    answers: NDArray[np.float64],
    *,
    task: Task,
    feature_names: Sequence[str] | None = None,
    seed: int = 0,
    resamples: int = 500,
    bags: int = 8,
) -> Challenge:
    """Train an explainable boosting machine on `train` and compare it with the model's `answers` (rows,) to `test`.

    Classification is of two classes, 0 and 1, measured by the area under the ROC curve; regression is measured by R².
    Rows that are in both tables make the test too kind; they are the caller's to keep apart.

    Raises `ExtraMissing` without interpret, `DataUnusable` where tables, truth and answers do not fit.
    """
    extras.require("interpret")
    told, happened = np.asarray(train_truth, dtype=np.float64), np.asarray(test_truth, dtype=np.float64)
    _refuse_misfits(train, told, test, happened, answers, task)
    from interpret import glassbox

    kind = glassbox.ExplainableBoostingClassifier if task == "classification" else glassbox.ExplainableBoostingRegressor
    machine = kind(
        feature_names=None if feature_names is None else list(feature_names),
        random_state=seed,
        n_jobs=1,
        outer_bags=bags,
    )
    machine.fit(train, told.astype(np.int64) if task == "classification" else told)
    glass = machine.predict_proba(test)[:, 1] if task == "classification" else machine.predict(test)
    measure = area_under_curve if task == "classification" else _r2

    def gap(at: NDArray[np.int64]) -> float:
        return measure(answers[at], happened[at]) - measure(glass[at], happened[at])

    low, high = interval(gap, len(test), seed, resamples=resamples)
    model, opened = measure(answers, happened), measure(glass, happened)
    return Challenge(
        "area under the ROC curve" if task == "classification" else "R²",
        model, opened, model - opened, low, high, len(train), len(test), machine,
    )  # fmt: skip


def _refuse_misfits(
    train: NDArray[np.float64],
    told: NDArray[np.float64],
    test: NDArray[np.float64],
    happened: NDArray[np.float64],
    answers: NDArray[np.float64],
    task: Task,
) -> None:
    if train.shape[1] != test.shape[1]:
        raise DataUnusable("the test rows", f"{test.shape[1]} columns", f"{train.shape[1]}, as in the training rows")
    for what, held, rows in (
        ("training", told, len(train)),
        ("test", happened, len(test)),
        ("model", answers, len(test)),
    ):
        if held.shape != (rows,):
            raise DataUnusable(f"the {what} values", f"the shape {held.shape}", f"{(rows,)}, one for each row")
        if not np.isfinite(held).all():
            raise DataUnusable(f"the {what} values", "a value that is missing or infinite", "finite numbers")
    if task == "classification":
        for what, held in (("training", told), ("test", happened)):
            if set(np.unique(held)) != {0.0, 1.0}:
                shown = ", ".join(f"{each:g}" for each in np.unique(held)[:5])
                raise DataUnusable(f"the {what} values", f"the classes {shown}", "the two classes 0 and 1")


def _r2(answers: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - answers) ** 2).sum()) / spread if spread else float("nan")
