"""What scores rows, whatever library it comes from: it takes a batch, and answers columns of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelUnsteady, ModelUnusable, ScoreRefused
from ..explain.steadiness import apart as how_far
from .columns import Form, Missing

PROBE_ROWS = 64


@dataclass(frozen=True, slots=True)
class Pending:
    """Answers on their way: `wait` gives them once they have come, (rows, columns), or (rows,) of one column."""

    wait: Callable[[], NDArray[Any]]


class Scorer(Protocol):
    """A model, loaded.

    `features` are the columns that it takes, in its order, as one block (form `matrix`) or as a frame; it computes with
    numbers of `dtype`. `outputs` are what the columns of its answers are called, and `answer_dtype` what they hold.
    Where it `is_stateless`, several threads may ask it at once: an answer depends on nothing that another one changes.
    """

    features: tuple[str, ...]
    form: Form
    missing: Missing
    is_stateless: bool
    dtype: Any
    outputs: tuple[str, ...]
    answer_dtype: Any

    def block(self, rows: int) -> NDArray[Any]:
        """Memory for a batch that can be moved to the device at once; forms other than `matrix` need none."""
        ...

    def begin(self, rows: Any) -> Pending:
        """Start to score a block or a frame. Nothing that it was given may change until the answers have come."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Columns by name, as they are written."""

    columns: dict[str, NDArray[Any]] = field(default_factory=dict)


def answers(scorer: Scorer, found: NDArray[Any], rows: int, where: str, missing: Missing) -> Answers:
    """The answers for a batch as columns. Raises `ModelUnusable` for another shape, `ScoreRefused` for no number."""
    block = found[:, None] if found.ndim == 1 else found
    if block.shape != (rows, len(scorer.outputs)) or block.dtype != scorer.answer_dtype:
        raise ModelUnusable(
            where, f"answers of the shape {found.shape} and type {found.dtype}",
            f"{(rows, len(scorer.outputs))} and {scorer.answer_dtype}",
        )  # fmt: skip
    if missing == "refuse" and block.dtype.kind == "f" and block.size and not np.isfinite(block).all():
        row, _ = (int(each[0]) for each in np.nonzero(~np.isfinite(block)))
        raise ScoreRefused(
            f"{where}, row {row} of the batch", "an answer that is no number", "finite numbers",
            hint="look at that row; or write what the model says all the same: --missing pass",
        )  # fmt: skip
    return Answers({name: np.ascontiguousarray(block[:, at]) for at, name in enumerate(scorer.outputs)})


def refuse_unsteady(scorer: Scorer, rows: Any, name: str) -> None:
    """Raise unless the model answers the same rows twice alike, and each row whatever stands beside it.

    Dropout or batch statistics left on, or a step that looks at the whole table, would make scores depend on how the
    input is cut. Raises `ModelUnsteady` or `ScoreRefused`.
    """
    size = len(rows)
    whole = scorer.begin(rows).wait()
    apart = how_far(whole, scorer.begin(rows).wait())
    if apart:
        raise ModelUnsteady(name, apart)
    if size < 2:
        return
    cut = max(1, size // 3)
    pieces = np.concatenate([scorer.begin(rows[:cut]).wait(), scorer.begin(rows[cut:]).wait()])
    # Answers may be written wider than they were computed.
    kind = min(whole.dtype, np.dtype(scorer.dtype), key=lambda each: each.itemsize)
    narrow = whole.dtype.kind == "f" == kind.kind
    apart = how_far(whole.astype(kind), pieces.astype(kind)) if narrow else how_far(whole, pieces)
    if apart:
        raise ScoreRefused(
            name, f"answers that differ by {apart:.3g} when the same rows come in two batches",
            "each row scored by itself",
            hint="model.eval() before it is saved; a step that looks at the whole table belongs before the scoring",
        )  # fmt: skip


def named(outputs: Sequence[str], name: str) -> tuple[str, ...]:
    """The column of a single answer is called `name`; several get their own names behind it.

    >>> named(["1"], "score"), named(["red", "blue"], "score")
    (('score',), ('score_red', 'score_blue'))
    """
    return (name,) if len(outputs) == 1 else tuple(f"{name}_{each}" for each in outputs)
