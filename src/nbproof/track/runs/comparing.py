"""Runs side by side: what was asked, measured and noted, and in which environment; plain values in and out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import RequestInvalid

FEWEST, MOST = 2, 8
# What an attempt at a notebook leaves to the run of its pipeline to say.
ENVIRONMENT = {
    "mlflow.source.git.commit": "git commit",
    "nbproof.git_dirty": "changed since that commit",
    "nbproof.environment": "environment",
    "nbproof.python": "Python",
    "nbproof.version": "nbproof",
    "mlflow.user": "user",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One name with its value in each run, None where the run has none."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether two of the runs do not say the same; not having it is not the same as having it."""
        return any(not _is_same(value, self.values[0]) for value in self.values[1:])


@dataclass(frozen=True, slots=True)
class Side:
    """What one run brings to a comparison; `environment` is under the names of `ENVIRONMENT`."""

    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    environment: Mapping[str, str]
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tables of what differs and what does not. Of packages, only those that differ are listed.

    `packages` is None where the packages of some run are not known: then nothing can be said about them.
    """

    parameters: tuple[Row, ...]
    metrics: tuple[Row, ...]
    tags: tuple[Row, ...]
    environment: tuple[Row, ...]
    packages: tuple[Row, ...] | None


def check_count(runs: Sequence[str]) -> None:
    """Raise `RequestInvalid` unless these are two to eight different runs."""
    if not FEWEST <= len(set(runs)) == len(runs) <= MOST:
        raise RequestInvalid("the runs to compare", f"{len(runs)} runs", f"{FEWEST} to {MOST} different ones")


def compare(sides: Sequence[Side]) -> Comparison:
    """The runs side by side, in the order given."""
    packages = tuple(row for row in _rows([side.packages for side in sides]) if row.differs)
    return Comparison(
        parameters=tuple(_rows([side.parameters for side in sides])),
        metrics=tuple(_rows([side.metrics for side in sides])),
        tags=tuple(_rows([side.tags for side in sides])),
        environment=tuple(_rows([side.environment for side in sides])),
        packages=packages if all(side.packages for side in sides) else None,
    )


def environment_of(tags: Mapping[str, str]) -> dict[str, str]:
    """What a run, by its tags, says about where it ran."""
    return {name: tags[tag] for tag, name in ENVIRONMENT.items() if tag in tags}


def _rows(columns: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for name in sorted({name for column in columns for name in column}):
        yield Row(name, tuple(column.get(name) for column in columns))


def _is_same(one: Any, other: Any) -> bool:
    """Equal, or both no number: two runs that both ended in NaN do not differ."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return bool(one == other)
