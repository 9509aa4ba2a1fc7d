"""Contributions that XGBoost, LightGBM and CatBoost compute themselves: exact Tree SHAP, path-dependent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation
from ..model import Family
from ..pacing import Pace, paced
from ..progress import Watch
from ..question import Question
from .completeness import refuse_incomplete

# The libraries let other threads run meanwhile; a call must only be short enough for a cancel to be heard.
CALL_S = 0.25
FIRST_ROWS = 256
# CatBoost prepares tables of its trees in every call, which takes as long as some thousand rows; for fewer than
# these it does without.
CATBOOST_CALL_S, CATBOOST_ROWS, CATBOOST_FEW_ROWS = 0.8, 2048, 64
FAMILIES: tuple[Family, ...] = ("xgboost", "lightgbm", "catboost")
# Objectives of regressions whose answer is a function of the sum of the trees.
LINKED = (
    "count:poisson", "reg:gamma", "reg:tweedie", "reg:logistic", "survival:", "binary:",
    "poisson", "gamma", "tweedie", "cross_entropy", "xentropy", "Poisson", "Tweedie",
)  # fmt: skip

# The model's own input in; out come (rows, outputs, features + 1), of which the last is the base value.
Contributions = Callable[[Any], NDArray[Any]]


def reads(question: Question) -> bool:
    """Whether the question is about the sum of the trees: log-odds, scores or a plain regression."""
    if question.model.family not in FAMILIES or question.answers.unit == "probability":
        return False
    return hasattr(question.model.fitted, "classes_") or not _objective(question.model.fitted).startswith(LINKED)


def explain(question: Question, *, watch: Watch) -> Explanation:
    """The library's own contributions; needs no background, and takes what is missing as the model does.

    Raises `ExplanationRefused` where they do not add up to the model's answer, as for a link that is not the identity
    (Poisson, Gamma, Tweedie).
    """
    question.refuse_weights("the library's own contributions")
    hint = "pass method='sampled' and background=TRAINING_ROWS: it asks the model itself"
    contributions = _OF[question.model.family](question.model.fitted, len(question.rows))
    shape = (len(question.rows), len(question.answers.outputs), question.rows.shape[1] + 1)
    found = np.empty(shape, dtype=np.float64)
    for part in _parts(question, watch):
        given = np.asarray(contributions(question.schema.decoded(question.rows[part])))
        if given.size != found[part].size:
            raise ExplanationRefused(
                f"the contributions of {question.model.name}", f"the shape {given.shape}", f"{shape[1:]} for each row",
                hint=hint,
            )  # fmt: skip
        found[part] = given.reshape(found[part].shape)
    values, base = found[:, :, :-1].transpose(0, 2, 1), found[:, :, -1]
    refuse_incomplete(question, values, base, "the library's own contributions", hint=hint)
    return question.explained(values, base, method="native", is_exact=True, uses_background=False)


def _objective(fitted: Any) -> str:
    """What a booster was fitted for, as its library calls it."""
    if hasattr(fitted, "get_all_params"):
        return str(fitted.get_all_params().get("loss_function", ""))
    return str(getattr(fitted, "objective_", None) or getattr(fitted, "objective", None) or "")


def _parts(question: Question, watch: Watch) -> Iterator[slice]:
    if question.model.family == "catboost":
        return paced(len(question.rows), watch, Pace(CATBOOST_CALL_S, CATBOOST_ROWS, CATBOOST_ROWS))
    return paced(len(question.rows), watch, Pace(CALL_S, FIRST_ROWS))


def contributions_of_xgboost(fitted: Any) -> Contributions:
    """What gives XGBoost's own contributions of rows, in float32."""
    return _xgboost(fitted, 0)


def _xgboost(fitted: Any, rows_in_all: int) -> Contributions:
    import xgboost

    booster = fitted.get_booster()
    last = getattr(fitted, "best_iteration", None) if fitted.early_stopping_rounds is not None else None
    trees = (0, 0 if last is None else int(last) + 1)

    def contributions(rows: Any) -> NDArray[Any]:
        held = xgboost.DMatrix(
            rows, missing=fitted.missing, nthread=fitted.n_jobs, enable_categorical=bool(fitted.enable_categorical)
        )
        # The names were checked when the question was asked.
        return np.asarray(
            booster.predict(held, pred_contribs=True, strict_shape=True, validate_features=False, iteration_range=trees)
        )

    return contributions


def _lightgbm(fitted: Any, rows_in_all: int) -> Contributions:
    def contributions(rows: Any) -> NDArray[Any]:
        given = fitted.predict(rows, pred_contrib=True)
        return np.asarray(given.toarray() if hasattr(given, "toarray") else given)

    return contributions


def _catboost(fitted: Any, rows_in_all: int) -> Contributions:
    import catboost

    categorical = list(fitted.get_cat_feature_indices())
    # One way for all the rows, however they are cut.
    mode = "NoPreCalc" if rows_in_all < CATBOOST_FEW_ROWS else "UsePreCalc"

    def contributions(rows: Any) -> NDArray[Any]:
        pool = catboost.Pool(rows, cat_features=categorical or None)
        return np.asarray(fitted.get_feature_importance(data=pool, type="ShapValues", shap_mode=mode))

    return contributions


_OF: Mapping[str, Callable[[Any, int], Contributions]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}
