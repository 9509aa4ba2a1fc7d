"""What is to be explained: a model, rows of a table, perhaps a background, checked before anything is computed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataUnusable, ModelUnusable
from ..records import ContentHash
from . import model as models
from . import schema as schemas
from .explanation import Cost, Explanation, Origins, Surrogate, Unit
from .model import Answers, Asked, Model, refuse_unsteady
from .schema import Schema


@dataclass(frozen=True, slots=True)
class Question:
    """Rows (n, features) of a model, as codes, with its answers (n, outputs) and the background (m, features), if any.

    `weights` (m,), all above zero, say how often each row of the background counts (None: once).
    It knows since when it is worked on, so that an explanation can say what it cost.
    """

    asked: Asked
    schema: Schema
    rows: NDArray[np.float64]
    prediction: NDArray[np.float64]
    background: NDArray[np.float64] | None
    origins: Origins
    notes: tuple[str, ...] = ()
    feature_units: tuple[str, ...] = ()
    weights: NDArray[np.float64] | None = None
    _began: tuple[float, float] = field(default_factory=lambda: (time.process_time(), time.perf_counter()))

    @property
    def model(self) -> Model:
        return self.asked.model

    @property
    def answers(self) -> Answers:
        return self.asked.answers

    def again(self) -> Question:
        """The same question, what it costs counted from now."""
        now = time.process_time(), time.perf_counter()
        return replace(self, asked=replace(self.asked, rows=0), _began=now)

    def needs_background(self, method: str, *, takes_weights: bool = False) -> NDArray[np.float64]:
        """The background. Raises `DataUnusable` where none was given to a method that compares with one.

        So it does where its rows have weights, unless the method says that it takes them.
        """
        if self.background is None:
            raise DataUnusable(
                "the background", "none", f"rows to compare with, for {method}", hint="pass background=TRAINING_ROWS"
            )
        if not takes_weights:
            self.refuse_weights(method)
        return self.background

    def refuse_weights(self, method: str) -> None:
        """Raise `DataUnusable` where rows of the background have weights: `method` would pass over them."""
        if self.weights is not None:
            raise DataUnusable(
                "the weights of the background", f"weights, for {method}, which cannot take them",
                "rows without weights", hint="leave them out, repeat the rows instead, or pass method='sampled'",
            )  # fmt: skip

    @property
    def shares(self) -> NDArray[np.float64] | None:
        """The weights of the background as parts of one; None where no row has one."""
        return None if self.weights is None else self.weights / self.weights.sum()

    def explained(
        self,
        values: NDArray[Any],
        base: NDArray[Any],
        *,
        method: str,
        is_exact: bool = False,
        seed: int | None = None,
        error: NDArray[Any] | None = None,
        surrogate: Surrogate | None = None,
        settings: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        uses_background: bool = True,
    ) -> Explanation:
        """The explanation with these `values` (n, features, outputs) and `base` (n, outputs) or (outputs,)."""
        cpu, wall = self._began
        is_weighted = {"background_is_weighted": True} if uses_background and self.weights is not None else {}
        return Explanation(
            values=np.ascontiguousarray(values, dtype=np.float32),
            base=np.ascontiguousarray(np.broadcast_to(np.asarray(base, dtype=np.float64), self.prediction.shape)),
            prediction=self.prediction,
            data=self.schema.shown(self.rows),
            feature_names=self.schema.names,
            output_names=self.answers.outputs,
            unit=self.answers.unit,
            method=method,
            is_exact=is_exact,
            complement=self.answers.complement,
            feature_units=self.feature_units,
            seed=seed,
            error=None if error is None else np.ascontiguousarray(error, dtype=np.float32),
            surrogate=surrogate,
            settings={**(settings or {}), **is_weighted},
            notes=(*self.notes, *notes),
            cost=Cost(self.asked.rows, time.process_time() - cpu, time.perf_counter() - wall),
            origins=self.origins if uses_background else replace(self.origins, background=None),
        )


def ask(
    model: Any,
    rows: Any,
    *,
    background: Any = None,
    background_weights: Any = None,
    unit: Unit | None = None,
    output_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    feature_units: Mapping[str, str] | None = None,
    schema: Schema | None = None,
) -> Question:
    """Check `model`, `rows` and `background` against one another, and ask the model about the rows.

    `background_weights` says of each row of the background how much it counts; one that counts nothing is left out.
    `schema` says what the columns are where more is known of them than these tables show (None: as they show).

    Raises `ModelUnusable` (not fitted, cannot answer), `ModelUnsteady` (answers twice differently) and
    `DataUnusable` (no rows, another width, text among numbers, an unknown category).
    """
    began = time.process_time(), time.perf_counter()
    read = models.read(model, unit=unit, output_names=output_names)
    tables = (rows,) if background is None else (rows, background)
    schema = schema or Schema.of(*tables, names=feature_names)
    if schema.form != "frame" and feature_names is None and read.feature_names is not None:
        read.fits(schema)
        schema = replace(
            schema,
            columns=tuple(
                replace(each, name=name) for each, name in zip(schema.columns, read.feature_names, strict=True)
            ),
        )
    read.fits(schema)
    coded = schema.coded(rows)
    if not len(coded):
        raise DataUnusable("the data", "no rows", "at least one row to explain")
    against = None if background is None else schema.coded(background)
    if against is not None and not len(against):
        raise DataUnusable("the background", "no rows", "at least one row to compare with")
    weights = _weights(background_weights, against)
    if weights is not None and against is not None:
        against, weights = against[weights > 0], weights[weights > 0]
    answers = read.answering(unit)
    if not answers.outputs:
        answers = _named(read, answers, schema, coded)
    asked = Asked(read, schema, answers)
    refuse_unsteady(asked, coded)
    origins = Origins(
        model=models.hash_of(read),
        data=schemas.hash_of(coded, schema),
        background=None if against is None else _hash_of_background(against, weights, schema),
    )
    for name in feature_units or {}:
        if name not in schema.names:
            raise DataUnusable("the units", f"`{name}`", f"a column: {', '.join(schema.names)}")
    units = tuple((feature_units or {}).get(name, "") for name in schema.names)
    return Question(asked, schema, coded, asked(coded), against, origins, (), units, weights, began)


def _weights(given: Any, background: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The weights of the background's rows, checked. Raises `DataUnusable`."""
    if given is None:
        return None
    what = "the weights of the background"
    if background is None:
        raise DataUnusable(what, "weights of no background", "rows that they weigh", hint="pass the background, too")
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataUnusable(what, str(error), "a number for each row") from error
    if found.shape != (len(background),):
        raise DataUnusable(what, f"the shape {found.shape}", f"({len(background)},), a number for each row")
    if not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        raise DataUnusable(what, "a negative or infinite number, or nothing but zeros", "numbers from zero on")
    return found


def _hash_of_background(
    rows: NDArray[np.float64], weights: NDArray[np.float64] | None, schema: Schema
) -> ContentHash:  # fmt: skip
    of_rows = schemas.hash_of(rows, schema)
    return of_rows if weights is None else ContentHash.of(of_rows.hex.encode() + weights.tobytes())


def _named(model: Model, answers: Answers, schema: Schema, rows: NDArray[np.float64]) -> Answers:
    """The answers of a function with names for as many outputs as it has, by asking it about the first row."""
    try:
        given = np.asarray(answers.ask(schema.decoded(rows[:1])), dtype=np.float64)
    except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise ModelUnusable(model.name, f"that it cannot answer these rows: {error}", "an answer") from error
    width = given.shape[1] if given.ndim == 2 else 1
    return replace(answers, outputs=("prediction",) if width == 1 else tuple(f"output {at}" for at in range(width)))
