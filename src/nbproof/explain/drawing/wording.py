"""What pictures say of an explanation: its method, its unit, its values, which output it speaks of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import UnknownName
from ..explanation import Explanation
from .scale import number

UNIT_WORDS = {"probability": "probability", "log-odds": "log-odds", "raw": "units of the model's answer"}


def output_of(made: Explanation, output: str | int | None) -> Explanation:
    """The explanation of one output: the one asked for, or that with the largest mean prediction.

    Every picture names it, so that nobody takes one class for another.
    """
    if isinstance(output, str):
        return made.of(output)
    if output is None:
        output = int(np.argmax(made.prediction.mean(axis=0))) if made.shape[2] > 1 and len(made) else 0
    return made[:, :, output]


def row_of(made: Explanation, row: int) -> Explanation:
    """One row. Raises `UnknownName` where there is no such row."""
    if not -len(made) <= row < len(made):
        raise UnknownName("row", str(row), [f"0 … {len(made) - 1}"])
    return made[row]


def place_of(made: Explanation, row: int) -> str:
    """` in row 3 of 30`; nothing of a single row, which may have had another number before it was cut out."""
    return "" if len(made) == 1 else f" in row {row} of {len(made)}"


def method_of(made: Explanation) -> str:
    """`SHAP, exact` or `LIME`: the method's name, and whether anything was sampled."""
    kind = "LIME" if made.surrogate is not None else "SHAP"
    return f"{kind}, exact" if made.is_exact and kind == "SHAP" else kind


def value_of(made: Explanation, row: int, feature: int) -> str:
    """A feature's value with its unit, as text."""
    value: Any = made.data[row, feature]
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        shown = number(float(value), 4)
        if "." in shown and "e" not in shown and float(f"{float(value):.4g}") == float(value):
            shown = shown.rstrip("0").rstrip(".")
    else:
        shown = "missing" if value in ("", None) else str(value)
    unit = made.feature_units[feature]
    return f"{shown} {unit}" if unit and shown != "missing" else shown


def bin_of(made: Explanation, feature: int) -> str:
    """Into which bin the value of a one-row surrogate fell; empty where it has none."""
    found = made.surrogate
    if found is None or not found.bin_names:
        return ""
    at = int(found.bins[0, feature])
    names = found.bin_names[feature]
    return names[at] if 0 <= at < len(names) else ""


def unit_of(made: Explanation) -> str:
    return UNIT_WORDS[made.unit]


def answer_of(made: Explanation) -> str:
    """What is explained: `the probability of default`, `price` for an output that is called prediction."""
    name = made.output_names[0]
    if made.unit == "raw":
        return "the prediction" if name == "prediction" else name
    return f"the {unit_of(made)} of {name}"


def be(made: Explanation) -> str:
    return "are" if made.unit == "log-odds" else "is"
