"""Scikit-learn's trees by shap's Tree SHAP, path-dependent and exact, in calls of milliseconds.

shap's C code holds the interpreter's lock while it runs. It adds tree after tree to the values of a row, in order, so
that cutting a call by rows and by trees changes no bit of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ExplanationRefused
from ..explanation import Explanation, Unit
from ..model import Model
from ..pacing import Pace
from ..progress import Watch
from ..question import Question
from .completeness import refuse_incomplete

# How long other threads may have to wait for the interpreter.
CALL_S = 0.004
# Losses whose answer is a function of the sum of the trees.
LINKED = ("poisson", "gamma")
HINT = "pass method='sampled' and background=TRAINING_ROWS: it asks the model itself"


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Trees as arrays (trees, nodes), as shap's C code takes them; `inputs` is the precision that they compare in."""

    arrays: tuple[NDArray[Any], ...]
    depth: int
    offset: NDArray[np.float64]
    inputs: Any

    def __len__(self) -> int:
        return len(self.arrays[0])

    @classmethod
    def of(cls, fitted: Any) -> Ensemble:
        """The trees of a fitted model. Raises `ExplanationRefused` where shap cannot read them."""
        import shap

        name = type(fitted).__name__
        try:
            read = shap.TreeExplainer(readable(fitted), feature_perturbation="tree_path_dependent").model
        except Exception as error:
            # shap raises whatever comes: assertions, its own errors, AttributeError.
            raise ExplanationRefused(
                f"the trees of {name}", f"that shap cannot read them: {error}", "trees that it can", hint=HINT
            ) from error
        if not read.fully_defined_weighting:
            raise ExplanationRefused(
                f"the trees of {name}", "leaves that no training row weighs on", "a weight in every leaf", hint=HINT
            )
        arrays = (
            read.children_left, read.children_right, read.children_default, read.features, read.thresholds,
            read.threshold_types, read.values, read.node_sample_weight,
        )  # fmt: skip
        return cls(arrays, int(read.max_depth), np.asarray(read.base_offset, dtype=np.float64), read.input_dtype)

    def add(self, rows: NDArray[np.float64], trees: slice, out: NDArray[np.float64]) -> None:
        """Add what these trees say of these rows to `out` (rows, features + 1, outputs), whose last is the base."""
        from shap import _cext

        count = len(range(*trees.indices(len(self))))
        none = np.zeros(out.shape[2])
        # The codes stand for path-dependent values and for no transformation of them.
        _cext.dense_tree_shap(
            *(each[trees] for each in self.arrays), self.depth, rows, np.isnan(rows), None, None, None, count, none,
            out, 1, 0, False,
        )  # fmt: skip


def reads(question: Question) -> bool:
    """Whether the question is about the sum or the mean of the trees, and shap knows such trees."""
    return is_sum_of_trees(question.model, question.answers.unit)


def is_sum_of_trees(model: Model, unit: Unit) -> bool:
    """Whether the answers of `model` in this unit are the sum or the mean of its trees, and shap knows such trees."""
    if model.family != "trees" or unit != model.answers[0].unit:
        return False
    if model.name == "IsolationForest" or getattr(model.fitted, "loss", None) in LINKED:
        # Its answer is no sum of leaves.
        return False
    # shap passes over splits by category.
    is_categorical = getattr(model.fitted, "is_categorical_", None)
    return is_categorical is None or not np.any(is_categorical)


def explain(question: Question, *, watch: Watch) -> Explanation:
    """The values by Tree SHAP (Lundberg et al., 2020); needs no background.

    Raises `ExplanationRefused` where shap cannot read the trees, or its values do not add up to the model's answer.
    """
    question.refuse_weights("Tree SHAP, which compares with no background")
    ensemble = Ensemble.of(question.model.fitted)
    rows = question.rows.astype(ensemble.inputs).astype(np.float64)
    found = np.zeros((len(rows), rows.shape[1] + 1, len(ensemble.offset)))
    _add_all(ensemble, rows, found, watch)
    found[:, -1] += ensemble.offset
    if question.answers.complement is not None and found.shape[2] == 2:
        found = found[:, :, 1:]
    values, base = found[:, :-1], found[:, -1]
    if base.shape != question.prediction.shape:
        raise ExplanationRefused(f"the trees of {question.model.name}", f"values for {base.shape[1]} outputs",
                                 f"{question.prediction.shape[1]}", hint=HINT)  # fmt: skip
    refuse_incomplete(question, values, base, "shap's reading", hint=HINT)
    return question.explained(values, base, method="trees", is_exact=True, uses_background=False)


def _add_all(ensemble: Ensemble, rows: NDArray[np.float64], out: NDArray[np.float64], watch: Watch) -> None:
    """Every tree's part for every row, in calls of some rows or, where one row takes long, of some trees."""
    watch.begin()
    pace, total = Pace(CALL_S), len(rows)
    at = tree = 0
    while at < total:
        watch.step(at, total)
        # Either whole rows, or the next trees of one row.
        whole = pace.size // len(ensemble) if tree == 0 else 0
        some = slice(at, min(at + max(whole, 1), total))
        trees = slice(tree, len(ensemble) if whole else min(tree + pace.size, len(ensemble)))
        began = time.perf_counter()
        ensemble.add(rows[some], trees, out[some])
        pace.took((some.stop - some.start) * (trees.stop - trees.start), time.perf_counter() - began)
        tree = trees.stop % len(ensemble)
        at = some.stop if tree == 0 else at
    watch.step(total, total)


def readable(fitted: Any) -> Any:
    """What shap can read: of a boosted classifier of many classes, which it does not know, the trees themselves."""
    if type(fitted).__name__ != "GradientBoostingClassifier" or fitted.estimators_.shape[1] == 1:
        return fitted
    from sklearn.dummy import DummyClassifier

    if not isinstance(fitted.init_, DummyClassifier):
        # Any other start depends on the row; shap refuses it, and says why.
        return fitted
    rounds, classes = fitted.estimators_.shape
    prior = np.log(fitted.init_.class_prior_)
    trees = [
        _leaves(fitted.estimators_[number, output].tree_, fitted.learning_rate, output, classes)
        for number in range(rounds)
        for output in range(classes)
    ]
    return {"trees": trees, "base_offset": prior - prior.mean(), "input_dtype": np.float32}


def _leaves(tree: Any, rate: float, output: int, outputs: int) -> dict[str, Any]:
    values = np.zeros((tree.node_count, outputs))
    values[:, output] = rate * tree.value[:, 0, 0]
    return {
        "children_left": tree.children_left,
        "children_right": tree.children_right,
        "children_default": np.where(tree.missing_go_to_left, tree.children_left, tree.children_right),
        "features": tree.feature,
        "thresholds": tree.threshold,
        "values": values,
        "node_sample_weight": tree.weighted_n_node_samples,
    }
