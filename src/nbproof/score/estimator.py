"""Estimators of scikit-learn, XGBoost, LightGBM and CatBoost as scorers: they take a frame, and answer at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnusable
from ..explain.model import read
from .columns import Form, Missing
from .device import Device
from .scorer import Pending, named


class Estimator:
    """A fitted estimator: probabilities of a classifier, else what it predicts.

    It is given NaN where a value is missing, and refuses that by itself when it was not made for it.
    """

    form: Form = "frame"
    missing: Missing = "pass"
    is_stateless = False
    dtype = np.dtype("float64")

    def __init__(
        self, fitted: Any, features: Sequence[str] | None, device: Device, *, name: str, model: str, hint: str = ""
    ) -> None:
        known = read(fitted)
        answering = known.answering("probability") if "probability" in known.units else known.answers[0]
        self.features = _features(known.feature_names, features, known.features, model, hint)
        self.is_named = known.feature_names is not None
        # Of these libraries only XGBoost's answers come from a GPU by a setting of the fitted model.
        self.is_on_device = device.kind == "cuda" and known.family == "xgboost"
        if self.is_on_device:
            fitted.set_params(device="cuda")
        self._ask, self._model = answering.ask, model
        if not answering.outputs:
            raise ModelUnusable(model, "answers whose number nobody knows", "a model with named outputs", hint=hint)
        self.outputs = named(answering.outputs, name)
        # Text tells a score's type no more than its class does: every answer is written in double precision.
        self.answer_dtype = np.dtype("float64")

    def block(self, rows: int) -> NDArray[Any]:
        return np.empty((rows, 0))

    def begin(self, rows: Any) -> Pending:
        given = rows if self.is_named else rows.to_numpy()
        try:
            found = np.asarray(self._ask(given), dtype=np.float64)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelUnusable(
                self._model, f"that it cannot answer these rows: {said[0][:300]}", "an answer",
                hint="look at the columns that it takes, and at what is missing in them",
            ) from error  # fmt: skip
        return Pending(lambda: found)


def _features(
    known: Sequence[str] | None, asked: Sequence[str] | None, width: int | None, model: str, hint: str
) -> tuple[str, ...]:
    """The columns in the model's own order; where it does not know them, as they were asked for."""
    if known is not None:
        if asked is not None and tuple(asked) != tuple(known):
            raise ModelUnusable(model, f"the features {', '.join(known)[:200]}", "those of --features", hint=hint)
        return tuple(known)
    if asked is None:
        raise ModelUnusable(
            model, "a model that does not know its features by name", "their names",
            hint=hint or "--features a,b,c in the order in which it was fitted",
        )  # fmt: skip
    if width is not None and width != len(asked):
        raise ModelUnusable(model, f"{width} features", f"the {len(asked)} of --features")
    return tuple(asked)
