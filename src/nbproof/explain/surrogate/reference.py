"""The `lime` package itself, row by row: what batched LIME is measured against, and an explainer of its own right."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...extras import require
from ..explanation import Explanation, Surrogate
from ..progress import Watch, chunks
from ..question import Question
from .plan import Mode, categorical_columns, generator, training_of

METHOD = "lime package"


def explain(
    question: Question,
    *,
    seed: int = 0,
    features: int | None = 10,
    samples: int = 5000,
    mode: Mode = "row",
    discretizer: str | None = "quartile",
    selection: str = "auto",
    categorical: Sequence[int | str] = (),
    labels: Sequence[Any] | NDArray[Any] | None = None,
    around_row: bool = False,
    kernel_width: float | None = None,
    watch: Watch | None = None,
) -> Explanation:
    """The explanations of the `lime` package; options as those of `tabular.explain`.

    Each output of a row is explained from one state of the random numbers, as if it were a regressor's: a classifier's
    label has the same numbers, and lime keeps the R² of one label only.

    Raises `ExtraMissing` where lime is not installed, and what `tabular.explain` raises.
    """
    require("lime")
    training = training_of(question)
    names = question.schema.names
    discrete = categorical_columns(question, categorical)
    rows, background = _as_taken(question, question.rows), _as_taken(question, training)
    outputs = question.prediction.shape[1]
    chosen = len(names) if features is None else features
    surrogate = _blank(question, chosen)
    with warnings.catch_warnings():
        # Whatever lime's own dependencies say to it is no news to who asks for its numbers.
        warnings.simplefilter("ignore")
        from lime.lime_tabular import LimeTabularExplainer

        explainer = LimeTabularExplainer(
            background, mode="regression", training_labels=None if labels is None else np.asarray(labels),
            feature_names=list(names), categorical_features=discrete, kernel_width=kernel_width,
            feature_selection=selection, discretize_continuous=discretizer is not None,
            discretizer=discretizer or "quartile", sample_around_instance=around_row, random_state=generator(seed),
        )  # fmt: skip
        for part in chunks(len(question.rows), 1, watch or Watch()):
            if mode == "row":
                explainer.random_state.seed(seed)
            state = explainer.random_state.get_state()
            for output in range(outputs):
                explainer.random_state.set_state(state)
                explained = explainer.explain_instance(
                    rows[part.start],
                    lambda points, at=output: question.asked(_dense(points))[:, at],
                    num_features=chosen,
                    num_samples=samples,
                )
                _write(surrogate, part.start, output, explained)
    return question.explained(
        surrogate.coefficients,
        surrogate.intercept,
        method=METHOD,
        seed=seed,
        surrogate=surrogate,
        settings={
            "samples": samples,
            "features": chosen,
            "mode": mode,
            "discretizer": discretizer,
            "selection": selection,
            "categorical": [names[at] for at in discrete],
            "around_row": around_row,
        },
    )


def _as_taken(question: Question, values: NDArray[np.float64]) -> Any:
    if question.schema.form != "sparse":
        return values
    from scipy.sparse import csr_matrix

    return csr_matrix(values)


def _dense(points: Any) -> NDArray[np.float64]:
    return np.asarray(points.toarray() if hasattr(points, "toarray") else points)


def _blank(question: Question, chosen: int) -> Surrogate:
    rows, features = question.rows.shape
    outputs = question.prediction.shape[1]
    return Surrogate(
        coefficients=np.zeros((rows, features, outputs)),
        intercept=np.zeros((rows, outputs)),
        r2=np.zeros((rows, outputs)),
        local=np.zeros((rows, outputs)),
        predicted=question.prediction,
        selected=np.full((rows, outputs, max(chosen, features)), -1, dtype=np.int64),
        bins=np.full((rows, features), -1, dtype=np.int64),
    )


def _write(surrogate: Surrogate, row: int, output: int, explained: Any) -> None:
    for place, (feature, weight) in enumerate(explained.local_exp[1]):
        surrogate.coefficients[row, feature, output] = weight
        surrogate.selected[row, output, place] = feature
    surrogate.intercept[row, output] = explained.intercept[1]
    surrogate.r2[row, output] = explained.score
    surrogate.local[row, output] = np.ravel(explained.local_pred)[0]
