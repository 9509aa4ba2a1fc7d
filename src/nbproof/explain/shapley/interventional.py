"""Shapley values of trees against a whole reference population, of many thousand rows, by Woodelf.

Nadel and Wettenstein (2025): the cost grows with rows plus background, not with their product. Before its numbers are
shown, some of them are compared with shap's own interventional values, and all of them with the model's answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ...extras import require
from ..explanation import Explanation
from ..progress import Watch
from ..question import Question
from . import native, trees
from .completeness import refuse_incomplete

# What is compared with shap: so few that it takes a moment, and the interpreter's lock no longer than that.
CHECKED_ROWS, CHECKED_BACKGROUND = 4, 32
AGREEMENT = 1e-5
# The tables of a tree double with every level of it.
DEEPEST = 14
# Numbers looked at in one call, so that other threads and a cancel get their turn.
AT_ONCE = 200_000
HINT = "leave method out, or pass method='sampled'"
METHOD = "the interventional method"
# Rows that a background may have once each row stands in it as often as its weight says.
MOST_REPEATED = 200_000


def reads(question: Question) -> bool:
    """Whether the question is about the sum or the mean of trees that Woodelf can read."""
    if question.model.family == "catboost":
        return False
    return native.reads(question) or trees.reads(question)


def explain(question: Question, *, watch: Watch) -> Explanation:
    """The values against the whole background.

    Raises `ExtraMissing` without Woodelf, `DataUnusable` without a background, and `ExplanationRefused` where the
    trees are too deep, rows cannot be repeated as often as their weights say, or Woodelf disagrees with shap or with
    the model.
    """
    background = _repeated(question)
    require("woodelf")
    # Trees compare in single precision, Woodelf in double.
    rows, against = (_as_compared(question, each) for each in (question.rows, background))
    base = _mean_answer(question, background)
    values = np.empty((*rows.shape, len(base)))
    watch.begin()
    for output in range(len(base)):
        ensemble = _read(question, output)
        _refuse_disagreement(question, ensemble, output)
        values[:, :, output] = _values(ensemble, rows, against, watch, output, len(base))
    watch.step(len(rows), len(rows))
    everywhere = np.broadcast_to(base, question.prediction.shape)
    refuse_incomplete(question, values, everywhere, "Woodelf's values", hint=HINT)
    return question.explained(
        values, base, method="interventional", is_exact=True, settings={"background_rows": len(background)}
    )


def _repeated(question: Question) -> NDArray[np.float64]:
    """The background, each row as often as its weight says. Raises `ExplanationRefused` for others."""
    background, weights = question.needs_background(METHOD, takes_weights=True), question.weights
    if weights is None:
        return background
    if not np.array_equal(weights, np.rint(weights)) or weights.sum() > MOST_REPEATED:
        raise ExplanationRefused(
            "the weights of the background", f"weights that are not whole or add up to {weights.sum():.6g}",
            f"whole numbers that add up to at most {MOST_REPEATED}, as rows can be repeated", hint=HINT,
        )  # fmt: skip
    return np.repeat(background, weights.astype(np.int64), axis=0)


def _as_compared(question: Question, values: NDArray[np.float64]) -> NDArray[np.float64]:
    in_double = question.model.family == "lightgbm" or question.model.name.startswith("HistGradient")
    return values if in_double else values.astype(np.float32).astype(np.float64)


def _mean_answer(question: Question, background: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(question.asked(background).mean(axis=0))


def _class_index(question: Question, output: int) -> int:
    """Which of a leaf's values an output is: a forest's leaf holds both classes of two, the first before."""
    of_two = question.answers.complement is not None and question.answers.unit == "probability"
    return output + 1 if of_two else output


def _read(question: Question, output: int) -> Any:
    from woodelf.core.trees.parse_models import load_decision_tree_ensemble_model

    try:
        found = load_decision_tree_ensemble_model(
            question.model.fitted, _columns(question.rows.shape[1]), _class_index(question, output)
        )
    except Exception as error:
        # Its readers raise whatever comes, for splits that they do not know as for libraries.
        raise ExplanationRefused(
            f"the trees of {question.model.name}", f"that Woodelf cannot read them: {error}", "trees that it can",
            hint=HINT,
        ) from error  # fmt: skip
    depth = min(found.max_depth, question.rows.shape[1])
    if depth > DEEPEST:
        raise ExplanationRefused(
            f"the trees of {question.model.name}", f"{depth} features on one path", f"at most {DEEPEST}", hint=HINT
        )
    return found


def _columns(features: int) -> list[str]:
    return [f"column {at}" for at in range(features)]


def _values(
    ensemble: Any,
    rows: NDArray[np.float64],
    against: NDArray[np.float64],
    watch: Watch,
    output: int = 0,
    outputs: int = 1,
) -> NDArray[np.float64]:
    """Woodelf's values, some trees at a time: their parts add up."""
    import pandas as pd
    from woodelf import WoodelfExplainer
    from woodelf.core.trees.decision_trees_ensemble import DecisionTreesEnsemble

    columns = _columns(rows.shape[1])
    asked, background = pd.DataFrame(rows, columns=columns), pd.DataFrame(against, columns=columns)
    out = np.zeros(rows.shape)
    count = len(ensemble.trees)
    at_once = max(1, AT_ONCE // (len(rows) + len(against)))
    for start in range(0, count, at_once):
        watch.step(int(len(rows) * (output + start / count) / outputs), len(rows))
        some = DecisionTreesEnsemble(ensemble.trees[start : start + at_once])
        out += WoodelfExplainer(some, background).shap_values(asked, verbose=False)
    return out


def _refuse_disagreement(question: Question, ensemble: Any, output: int) -> None:
    """Raise `ExplanationRefused` where Woodelf's values of a few rows are not shap's."""
    import shap

    rows = _coarse(question.rows[:CHECKED_ROWS])
    against = _coarse(question.needs_background(METHOD, takes_weights=True)[:CHECKED_BACKGROUND])
    fitted = trees.readable(question.model.fitted)
    explainer = shap.TreeExplainer(fitted, data=against, feature_perturbation="interventional")
    expected = np.asarray(explainer.shap_values(rows, check_additivity=False))
    if expected.ndim == 3:
        expected = expected[:, :, _class_index(question, output)]
    found = _values(ensemble, rows, against, Watch())
    apart = float(np.abs(found - expected).max())
    if not apart <= AGREEMENT * max(1.0, float(np.abs(expected).max())):
        raise ExplanationRefused(
            f"the interventional values of {question.model.name}",
            f"Woodelf's {apart:.3g} away from shap's",
            "the same values by both",
            hint=HINT,
        )


def _coarse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values to three digits: shap holds thresholds in single precision, and a value that is one may fall aside."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(mantissa * 1024) / 1024, exponent))
