"""A pipeline that ends in trees or a linear model: explained on its last step's columns, summed back to the raw ones.

That is done where it is known which raw column every column comes from; otherwise the pipeline is a black box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ExplanationRefused, NbproofError
from .. import model as models
from ..explanation import Explanation
from ..progress import Watch
from ..question import Question, ask
from . import linear, native, trees
from .completeness import refuse_incomplete

# Each of their columns comes from the input column at the same place.
ONE_TO_ONE = {
    "Binarizer", "MaxAbsScaler", "MinMaxScaler", "OrdinalEncoder", "PowerTransformer", "QuantileTransformer",
    "RobustScaler", "StandardScaler",
}  # fmt: skip
HINT = "pass method='sampled' and background=TRAINING_ROWS: it asks the pipeline itself"


def reads(question: Question) -> bool:
    """Whether the last step can be explained in the unit asked for, and every column's origin is known."""
    if question.model.name != "Pipeline" or not hasattr(question.model.fitted, "steps"):
        return False
    *before, (_, last) = question.model.fitted.steps
    if not before or origins(question.model.fitted[:-1], question.rows.shape[1]) is None:
        return False
    try:
        read = models.read(last)
    except NbproofError:
        return False
    return read.family not in ("network", "function") and read.answers[0].unit == question.answers.unit


def explain(question: Question, *, watch: Watch) -> Explanation:
    """The values of the last step's columns, added up for each raw column.

    Of a linear model they are exact Shapley values of the raw columns, since each column depends on one of them. Of
    trees they are sums of Tree SHAP's values, and a note says so. Raises `ExplanationRefused` where the last step
    cannot be explained, or the sums do not add up to the pipeline's answer.
    """
    before, (_, last) = question.model.fitted[:-1], question.model.fitted.steps[-1]
    comes_from = origins(before, question.rows.shape[1])
    assert comes_from is not None

    def transformed(rows: Any) -> Any:
        found = before.transform(question.schema.decoded(rows))
        return found.toarray() if hasattr(found, "toarray") else found

    inner = ask(
        last,
        transformed(question.rows),
        background=None if question.background is None else transformed(question.background),
        background_weights=question.weights,
        unit=question.answers.unit,
    )
    if len(comes_from) != inner.rows.shape[1]:
        raise ExplanationRefused("the columns of the pipeline", f"{inner.rows.shape[1]} of them",
                                 f"{len(comes_from)}, as its steps say", hint=HINT)  # fmt: skip
    found = _of_last(inner, watch)
    values = np.zeros((*question.rows.shape, found.shape[2]))
    for column, raw in enumerate(comes_from):
        values[:, raw] += found.values[:, column]
    refuse_incomplete(question, values, found.base, "the sums over the columns", hint=HINT)
    question.asked.rows += inner.asked.rows
    note = (
        f"Each share is the sum of those of the columns that the pipeline makes of a feature, {len(comes_from)} in all."
    )
    return question.explained(
        values,
        found.base,
        method="pipeline",
        is_exact=True,
        settings={"columns": len(comes_from), "by": found.method, **found.settings},
        notes=() if found.method == "linear" else (note,),
        uses_background=found.origins.background is not None,
    )


def _of_last(inner: Question, watch: Watch) -> Explanation:
    if native.reads(inner):
        return native.explain(inner, watch=watch)
    if trees.reads(inner):
        return trees.explain(inner, watch=watch)
    if linear.reads(inner):
        return linear.explain(inner, watch=watch)
    raise ExplanationRefused(
        f"the last step, {inner.model.name}", "a model that only answers", "trees or a linear model", hint=HINT
    )


def origins(step: Any, width: int) -> list[int] | None:
    """The input column of every column that a fitted transformer makes; None where that is not known."""
    name = type(step).__name__
    if isinstance(step, str):
        return list(range(width)) if step == "passthrough" else []
    if name in ONE_TO_ONE or (name == "FunctionTransformer" and _keeps_columns(step)):
        return list(range(width))
    if name == "Pipeline":
        return _through([each for _, each in step.steps], width)
    if name == "ColumnTransformer":
        return _side_by_side(step)
    if name == "SimpleImputer":
        kept = [at for at, value in enumerate(step.statistics_) if value == value or step.keep_empty_features]
        return kept + ([int(at) for at in step.indicator_.features_] if step.add_indicator else [])
    if name == "OneHotEncoder":
        counts = _columns_made(step)
        return None if counts is None else [at for at, count in enumerate(counts) for _ in range(count)]
    return None


def _keeps_columns(step: Any) -> bool:
    """Whether a function says of itself that its columns are those that it is given."""
    return step.func is None or step.feature_names_out == "one-to-one"


def _columns_made(encoder: Any) -> Sequence[int] | None:
    """How many columns a one-hot encoder makes of each input column; None where that cannot be told."""
    names = [f"{at}/" for at in range(len(encoder.categories_))]
    if hasattr(encoder, "feature_names_in_"):
        names = list(encoder.feature_names_in_)
    made = encoder.get_feature_names_out(names)
    counts = [len(each) for each in encoder.categories_]
    infrequent = list(getattr(encoder, "infrequent_categories_", [None] * len(counts)))
    for at, rare in enumerate(infrequent):
        if rare is not None and len(rare):
            counts[at] += 1 - len(rare)
        if encoder.drop_idx_ is not None and encoder.drop_idx_[at] is not None:
            counts[at] -= 1
    # Were the count wrong, shares would be added to the wrong column.
    return counts if sum(counts) == len(made) else None


def _through(steps: Sequence[Any], width: int) -> list[int] | None:
    """The origins of the last of several steps' columns."""
    found = list(range(width))
    for step in steps:
        made = origins(step, len(found))
        if made is None:
            return None
        found = [found[at] for at in made]
    return found


def _side_by_side(transformer: Any) -> list[int] | None:
    """The origins of columns that several transformers make, each of its own input columns."""
    found: dict[int, int] = {}
    names = list(getattr(transformer, "feature_names_in_", []))
    for name, step, given in transformer.transformers_:
        place = transformer.output_indices_[name]
        columns = _positions(given, names, transformer.n_features_in_)
        made = origins(step, len(columns))
        if made is None or len(made) != place.stop - place.start:
            return None
        found.update({place.start + at: columns[source] for at, source in enumerate(made)})
    return [found[at] for at in range(len(found))]


def _positions(given: Any, names: list[str], width: int) -> list[int]:
    """The positions of columns given by name, position, slice or mask."""
    if isinstance(given, slice):
        if isinstance(given.start, str) or isinstance(given.stop, str):
            # By name, both ends are meant.
            start = names.index(given.start) if given.start is not None else 0
            stop = names.index(given.stop) + 1 if given.stop is not None else width
            return list(range(start, stop))
        return list(range(width))[given]
    if isinstance(given, str | int):
        given = [given]
    if len(given) == width and all(isinstance(each, bool | np.bool_) for each in given):
        return [int(at) for at in np.flatnonzero(given)]
    return [names.index(each) if isinstance(each, str) else int(each) % width for each in given]
