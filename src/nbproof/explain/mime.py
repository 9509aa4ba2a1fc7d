"""What a notebook keeps of an explanation: its numbers as JSON, a picture as SVG, and text, always all three."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import drawing
from .drawing.scale import counted, number, signed
from .drawing.wording import answer_of, method_of, output_of, unit_of, value_of
from .explanation import Cost, Explanation, Origins

MIME = "application/vnd.nbproof.explanation.v1+json"
# A notebook carries every output with it: of more numbers than this it keeps the first rows.
MOST_NUMBERS = 10_000
TEXT_FEATURES = 10


def bundle(explanations: Sequence[Explanation], audit: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The MIME bundle of explanations of the same rows, SHAP before LIME; `audit` is one as JSON data.

    The picture is of one row when there is one, else of all of them.
    """
    return {
        MIME: {"version": 1, "explanations": [_payload(each) for each in explanations], "audit": audit},
        "image/svg+xml": picture(explanations),
        "text/plain": text(explanations),
    }


def picture(explanations: Sequence[Explanation]) -> str:
    """The one picture that says most: the way of one row, bars of both methods, or what moves many rows."""
    first = explanations[0]
    alike = all(each.unit == first.unit and each.feature_names == first.feature_names for each in explanations)
    shown = list(explanations) if alike else [first]
    if len(first) == 1:
        is_one_way = len(shown) == 1 and first.surrogate is None and first.error is None
        return drawing.waterfall(first) if is_one_way else drawing.bars(*shown)
    if len(first) == 0 or len(shown) > 1 or first.surrogate is not None:
        return drawing.importance(*shown)
    return drawing.beeswarm(first)


def text(explanations: Sequence[Explanation]) -> str:
    """Explanations as lines of text, the largest shares first."""
    return "\n\n".join(_lines(each) for each in explanations)


def _lines(made: Explanation) -> str:
    one = output_of(made, None)
    sure = f", seed {made.seed}" if made.seed is not None else ""
    head = f"{method_of(made)} ({made.method}{sure}): {counted(len(made), 'row')}, in {unit_of(made)}"
    if len(made) == 1:
        order = np.argsort(-np.abs(one.values[0, :, 0]), kind="stable")[:TEXT_FEATURES]
        rows = [(one.feature_names[at], value_of(one, 0, int(at)), signed(float(one.values[0, at, 0]))) for at in order]
        start = "intercept" if one.surrogate is not None else "base"
        head += f"\n{answer_of(one)}: {number(float(one.prediction[0, 0]))}"
        head += f"; {start} {number(float(one.base[0, 0]))}"
        if one.surrogate is not None:
            head += f", R² {number(float(one.surrogate.r2[0, 0]))}"
    else:
        sizes = one.importance()[:, 0]
        order = np.argsort(-sizes, kind="stable")[:TEXT_FEATURES]
        rows = [(one.feature_names[at], "mean size", number(float(sizes[at]))) for at in order]
        head += f"\n{answer_of(one)}, mean sizes of the shares"
    if one.shape[1] > len(rows):
        rows.append((f"… {one.shape[1] - len(rows)} more", "", ""))
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(3)]
    listed = [
        f"  {name.ljust(widths[0])}  {value.rjust(widths[1])}  {share.rjust(widths[2])}".rstrip()
        for name, value, share in rows
    ]
    return "\n".join([head, *listed, *(f"note: {note}" for note in made.notes)])


def _payload(made: Explanation) -> dict[str, Any]:
    """An explanation as JSON data; `rows` tells how many there are, `rows_held` how many of them are here."""
    held = min(len(made), max(MOST_NUMBERS // max(made.shape[1] * made.shape[2], 1), 1))
    part = made[:held]
    surrogate = part.surrogate
    return {
        "kind": "surrogate" if made.surrogate is not None else "shares",
        "method": made.method,
        "unit": made.unit,
        "is_exact": made.is_exact,
        "seed": made.seed,
        "rows": len(made),
        "rows_held": held,
        "feature_names": list(made.feature_names),
        "feature_units": list(made.feature_units),
        "output_names": list(made.output_names),
        "complement": made.complement,
        "values": _plain(part.values),
        "base": _plain(part.base),
        "prediction": _plain(part.prediction),
        "data": _plain(part.data),
        "error": None if part.error is None else _plain(part.error),
        "surrogate": None
        if surrogate is None
        else {
            "r2": _plain(surrogate.r2),
            "local": _plain(surrogate.local),
            "selected": surrogate.selected.tolist(),
            "bins": surrogate.bins.tolist(),
            "bin_names": [list(names) for names in surrogate.bin_names],
        },
        "importance": _plain(made.importance()) if len(made) else None,
        "gap": float(made.gap().max()) if len(made) else None,
        "settings": dict(made.settings),
        "notes": list(made.notes),
        "cost": {each.name: getattr(made.cost, each.name) for each in fields(Cost)},
        "origins": {
            each.name: None if (found := getattr(made.origins, each.name)) is None else found.hex
            for each in fields(Origins)
        },
    }


def _plain(values: NDArray[Any]) -> Any:
    """An array as nested lists; what is missing becomes null, for JSON knows no NaN."""
    if values.ndim > 1:
        return [_plain(each) for each in values]
    return [_cell(each) for each in values]


def _cell(value: Any) -> Any:
    if isinstance(value, np.float32):
        # As short as it can be and still the same float32.
        value = float(str(value))
    elif isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
