"""The prediction log of a service as a window: fields by the names that the reference has, scores, times."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..errors import DataUnusable

# What the log says of each row beside its fields, which are called `input.NAME` there.
ABOUT = frozenset({"request", "row", "at", "model", "version", "digest", "score"})
INPUT, SCORE = "input.", "score"


def is_log(names: Collection[str]) -> bool:
    """Whether columns of these names are those of a service's prediction log."""
    return set(names) >= ABOUT and all(name in ABOUT or name.startswith(INPUT) for name in names)


def fields(names: Collection[str]) -> tuple[str, ...]:
    """The fields of a log, as the signature of its model calls them."""
    return tuple(name.removeprefix(INPUT) for name in names if name.startswith(INPUT))


def as_window(columns: Mapping[str, Any], *, where: Path, version: str | None = None) -> dict[str, Any]:
    """The rows of a log that one model answered; `version` says which, where there are several.

    Raises `DataUnusable` for answers of several models, since what moved then may be the model, and for none.
    """
    rows = slice(None) if version is None else columns["version"] == version
    held = {name: values[rows] for name, values in columns.items()}
    answered = sorted({(str(each), str(digest)) for each, digest in zip(held["version"], held["digest"], strict=True)})
    versions = sorted({each for each, _ in answered})
    if len(answered) != 1:
        known = versions or sorted(set(map(str, columns["version"])))
        raise DataUnusable(
            f"`{where}`", f"answers of {len(answered)} models ({', '.join(known)[:200]})", "those of one",
            hint=f"choose one: --model-version {known[-1] if known else 'VERSION'}",
        )  # fmt: skip
    return {
        name.removeprefix(INPUT): values
        for name, values in held.items()
        if name.startswith(INPUT) or name in ("request", "row", "at", SCORE)
    }
