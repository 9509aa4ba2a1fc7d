"""Models asked about texts or pictures: a list of whole things in place of the rows of a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelUnsteady, ModelUnusable
from ...records import ContentHash
from .. import model as models
from ..explanation import Cost, Explanation, Origins, Surrogate, Unit
from ..model import Answers, Model
from .solving import Fitted


@dataclass(slots=True)
class Listener:
    """A model and one way to ask it; counts what it was asked, and knows since when."""

    model: Model
    answers: Answers
    hash: ContentHash | None
    asked: int = 0
    began: tuple[float, float] = (0.0, 0.0)

    def __call__(self, things: Any) -> NDArray[np.float64]:
        """The answers (things, outputs). Raises `ModelUnusable` for an odd one."""
        try:
            given = np.asarray(self.answers.ask(things), dtype=np.float64)
        except (TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelUnusable(self.model.name, f"that it cannot answer: {said}", "an answer") from error
        given = given[:, None] if given.ndim == 1 else given
        width = len(self.answers.outputs) or (given.shape[1] if given.ndim == 2 else 1)
        if given.shape != (len(things), width):
            raise ModelUnusable(self.model.name, f"answers of the shape {given.shape}", f"{(len(things), width)}")
        if not np.isfinite(given).all():
            raise ModelUnusable(self.model.name, "an answer that is not finite", "finite numbers")
        self.asked += len(things)
        return given


def listen(model: Any, first: Any, unit: Unit | None, output_names: Sequence[str] | None) -> Listener:
    """Read a model and ask it twice about the `first` thing, a list of one.

    Raises `ModelUnusable` for what cannot be asked, `ModelUnsteady` where the two answers differ.
    """
    began = time.process_time(), time.perf_counter()
    read = models.read(model, unit=unit, output_names=output_names)
    found = Listener(read, read.answering(unit), models.hash_of(read), began=began)
    one, other = found(first), found(first)
    apart = float(np.abs(one - other).max(initial=0.0))
    if apart > 0.0:
        raise ModelUnsteady(read.name, apart)
    if not found.answers.outputs:
        width = one.shape[1]
        named = ("prediction",) if width == 1 else tuple(f"output {at}" for at in range(width))
        found.answers = replace(found.answers, outputs=named)
    return found


def explained(
    listener: Listener,
    fits: Sequence[Fitted],
    *,
    prediction: NDArray[np.float64],
    data: NDArray[Any],
    feature_names: Sequence[str],
    method: str,
    seed: int,
    settings: dict[str, Any],
    content: bytes,
) -> Explanation:
    """The explanation of one thing by the fits of its outputs; `content` is what its hash is taken of."""
    features, outputs = len(feature_names), len(fits)
    coefficients = np.zeros((1, features, outputs))
    selected = np.full((1, outputs, max(each.selected.shape[1] for each in fits)), -1, dtype=np.int64)
    scalars = np.empty((3, 1, outputs))
    for output, each in enumerate(fits):
        chosen = each.selected[0][each.selected[0] >= 0]
        coefficients[0, chosen, output] = each.coefficients[0, : len(chosen)]
        selected[0, output, : len(chosen)] = chosen
        scalars[:, 0, output] = each.intercept[0], each.r2[0], each.local[0]
    surrogate = Surrogate(
        coefficients=coefficients,
        intercept=scalars[0],
        r2=scalars[1],
        local=scalars[2],
        predicted=prediction,
        selected=selected,
        bins=np.full((1, features), -1, dtype=np.int64),
    )
    cpu, wall = listener.began
    return Explanation(
        values=coefficients.astype(np.float32),
        base=surrogate.intercept,
        prediction=prediction,
        data=data,
        feature_names=tuple(feature_names),
        output_names=listener.answers.outputs,
        unit=listener.answers.unit,
        method=method,
        complement=listener.answers.complement,
        seed=seed,
        surrogate=surrogate,
        settings=settings,
        cost=Cost(listener.asked, time.process_time() - cpu, time.perf_counter() - wall),
        origins=Origins(model=listener.hash, data=ContentHash.of(content)),
    )
