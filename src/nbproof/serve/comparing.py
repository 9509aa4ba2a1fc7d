"""Shares of a model that is no sum of trees: against rows that its package brings, and is approved with.

A model of numbers is asked what it says when some fields of a row have the values of other rows. Which rows these are
decides what the shares mean, so they are part of what reviewers sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelRefused
from ..explain import question as questions
from ..explain.explanation import Explanation, Unit
from ..explain.progress import Watch
from ..explain.shapley import linear, sampled
from ..records import ContentHash
from .package import Package
from .rows import Reader, RowsRefused

BACKGROUND = "background.json"
MOST_ROWS = 1000
# The same draw for every row and every request: two answers never differ by chance alone.
SEED = 0
# Points that one request may have a model asked about.
MOST_POINTS = 4_000_000
HOW = f"put rows like those of its training into `{BACKGROUND}` of the package, and have it approved"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The rows of a package that its model is compared with, and the hash of their file."""

    rows: Floats
    digest: ContentHash


@dataclass(frozen=True, slots=True)
class Against:
    """What must be said beside such shares: with how many rows they compare, of which file, and what is uncertain.

    `is_exact` are those that another seed would not change; estimates have standard errors. A request may have
    `most_rows` (None: any).
    """

    rows: int
    digest: ContentHash
    is_exact: bool
    is_estimate: bool
    seed: int | None
    notes: tuple[str, ...]
    most_rows: int | None


def background_of(package: Package) -> Background | None:
    """The background that a package brings, if any. Raises `ModelRefused` for one that its signature does not admit."""
    content = package.contents.files.get(BACKGROUND)
    if content is None:
        return None
    try:
        table = Reader(package.signature, MOST_ROWS).read(content, "application/json")
    except RowsRefused as refused:
        where, what = refused.problems[0]
        raise ModelRefused(
            package.folder, f"`{BACKGROUND}` with something else at {where} ({what})",
            f'{{"rows": […]}} with 1 to {MOST_ROWS} rows that its signature admits',
        ) from refused  # fmt: skip
    return None if table.block is None else Background(table.block, ContentHash.of(content))


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Explains a model that takes plain numbers, against a background; `unit` is that of a plain function."""

    model: Any
    background: Background
    features: tuple[str, ...]
    unit: Unit | None = None

    def explained(self, block: Floats) -> Explanation:
        """Shapley values: in closed form, of all coalitions, or of drawn ones with their standard errors."""
        question = questions.ask(
            self.model, block, background=self.background.rows, feature_names=self.features, unit=self.unit
        )  # fmt: skip
        if linear.reads(question):
            return linear.explain(question, watch=Watch())
        return sampled.explain(question, seed=SEED, samples=None, watch=Watch())

    def told_by(self, found: Explanation) -> Against:
        """What is true of every explanation of this model, by one of them."""
        compared = int(found.settings["background_rows"])
        coalitions = found.settings.get("coalitions")
        most = None if coalitions is None else max(1, MOST_POINTS // (int(coalitions) * compared))
        notes = found.notes
        if found.error is not None:
            notes = (*notes, "Shares are estimates; 95 of 100 are within 1.96 of their standard errors.")
        return Against(
            compared, self.background.digest, found.is_exact, found.error is not None, found.seed, notes, most
        )
