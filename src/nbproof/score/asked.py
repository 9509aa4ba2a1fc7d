"""What somebody asks for beside model, input and output: a value that is written down with the work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .columns import Missing
from .device import Asked as Device

# All columns that are numbers, in the order of the file; it must be asked for, since an order that nobody named is a
# guess.
ALL = "*"
BATCH_ROWS, PART_ROWS = 16_384, 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`features` go to the model, in this order (None: those that it knows itself); `keep` are copied beside `name`.

    `batch_rows` rows are scored at a time, and about `part_rows` make one part of the output, unless `partitions` says
    how many parts there are. `missing` None leaves it to the kind of model. `trust` names classes that a skops file may
    bring to life. `module` makes the torch module that weights belong to: a package and what to call, `PACKAGE:NAME`.
    Of an exported package `parameters` are its own, `rows` names the one that takes the file of rows, and `take` the
    value that it leaves as their scores.
    """

    features: tuple[str, ...] | None = None
    keep: tuple[str, ...] = ()
    name: str = "prediction"
    batch_rows: int = BATCH_ROWS
    part_rows: int = PART_ROWS
    partitions: int | None = None
    device: Device = "auto"
    missing: Missing | None = None
    trust: tuple[str, ...] = ()
    module: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    rows: str | None = None
    take: str | None = None
    accelerate: tuple[str, ...] = ()


def to_json(asked: Asked) -> dict[str, Any]:
    """What is asked, as JSON holds it."""
    return asdict(asked)


def from_json(found: Mapping[str, Any]) -> Asked:
    """Read what `to_json` made, after a way through JSON."""
    listed = {name: tuple(found[name]) for name in ("keep", "trust", "accelerate")}
    features = None if found["features"] is None else tuple(found["features"])
    return Asked(**{**found, **listed, "features": features})
