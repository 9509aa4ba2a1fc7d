"""Shapley values of the parts of one thing, of a text's words or an image's patches: a part is shown, or hidden."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records import ContentHash
from .. import model as models
from ..explanation import Explanation, Origins, Unit
from ..model import Model
from ..progress import Watch
from ..question import ask
from . import dispatch


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A thing of named parts. `shown(masks)` is what the model takes where only these parts (n, parts) are shown.

    `data` are the parts themselves, `digest` the hash of the whole, `at_once` how many can be shown in one call.
    """

    names: tuple[str, ...]
    data: NDArray[Any]
    shown: Callable[[NDArray[np.bool_]], Any]
    digest: ContentHash
    at_once: int


def explain(
    model: Any,
    parts: Parts,
    *,
    unit: Unit | None,
    output_names: Sequence[str] | None,
    method: str | None,
    seed: int,
    samples: int | None,
    watch: Watch | None,
    settings: Mapping[str, Any],
) -> Explanation:
    """The explanation of one thing: a row whose features are its parts, compared with all of them hidden."""
    read = models.read(model, unit=unit, output_names=output_names)
    answers = read.answering(unit)

    def asked(masks: NDArray[np.float64]) -> NDArray[Any]:
        kept = masks > 0.5
        given = [
            np.asarray(answers.ask(parts.shown(kept[start : start + parts.at_once])), dtype=np.float64)
            for start in range(0, len(kept), parts.at_once)
        ]
        return np.concatenate(given)

    by_parts = Model(read.name, "function", read.fitted, (replace(answers, ask=asked),))
    every = np.ones((1, len(parts.names)))
    question = ask(by_parts, every, background=np.zeros_like(every), feature_names=parts.names)
    found = dispatch.explain(question, method=method, seed=seed, samples=samples, watch=watch)
    return replace(
        found,
        data=parts.data[None],
        settings={**found.settings, **settings},
        origins=Origins(found.origins.model, parts.digest, None),
    )
