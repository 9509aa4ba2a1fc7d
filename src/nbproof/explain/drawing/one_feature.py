"""How the share of one feature follows its value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..explanation import Explanation
from .canvas import LIGHT, MISSING, SMALL, TITLE, Canvas
from .many_rows import numbers_in, spread_over
from .scale import Scale, counted, number, scale_for, signed
from .wording import answer_of, method_of, output_of, unit_of

WIDTH = 620.0
HEIGHT = 390.0
LEFT = 74.0
RIGHT = 28.0
TOP = 76.0
BOTTOM = 62.0
# Parts of equal numbers of rows, of which the mean is drawn and said.
PARTS = 10
CATEGORIES = 12


def dependence(made: Explanation, feature: str | int, *, output: str | int | None = None) -> str:
    """Share against value for each row, with the mean along the way; a categorical feature has a place a category.

    Raises `UnknownName` for a feature that there is not.
    """
    one = output_of(made[:, feature], output)
    name, unit = one.feature_names[0], one.feature_units[0]
    shares = one.values[:, 0, 0].astype(np.float64)
    column = one.data[:, 0]
    canvas = Canvas(WIDTH)
    title = f"How {name} moves {answer_of(one)}"
    canvas.text(24, 34, title, size=TITLE, is_bold=True, within=WIDTH - 48)
    drawn = spread_over(len(one))
    part = f"; {len(drawn)} of them drawn" if len(drawn) < len(one) else ""
    under = f"{method_of(one)}; share in {unit_of(one)}, {counted(len(one), 'row')}{part}"
    canvas.text(24, 54, under, ink="quiet", size=SMALL, within=WIDTH - 48)
    up = scale_for(shares[drawn].tolist(), HEIGHT - BOTTOM, TOP, with_zero=True)
    for tick, label in up.ticks():
        canvas.line(LEFT, up(tick), WIDTH - RIGHT, up(tick), ink="quiet" if tick == 0 else "line")
        canvas.text(LEFT - 8, up(tick) + 4, f"+{label}" if tick > 0 else label, ink="quiet", size=SMALL, anchor="end")
    values = numbers_in(column)
    if values is None:
        said = _by_category(canvas, up, [str(each) for each in column], shares, drawn)
    else:
        said = _by_value(canvas, up, values, shares, drawn)
    label = f"{name} ({unit})" if unit else name
    canvas.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, label, anchor="middle", within=WIDTH - LEFT - RIGHT)
    return canvas.written(HEIGHT, title=title, told=f"{title}. {under}. Mean share: {said}.")


def _by_value(
    canvas: Canvas, up: Scale, values: NDArray[np.float64], shares: NDArray[np.float64], drawn: NDArray[np.int64]
) -> str:
    known = ~np.isnan(values)
    across = scale_for(values[known].tolist(), LEFT + 8, WIDTH - RIGHT - 8, with_zero=False, room=0.02)
    for tick, label in across.ticks():
        canvas.line(across(tick), HEIGHT - BOTTOM, across(tick), HEIGHT - BOTTOM + 4, ink="quiet")
        canvas.text(across(tick), HEIGHT - BOTTOM + 18, label, ink="quiet", size=SMALL, anchor="middle")
    spots = [(across(float(values[row])), up(float(shares[row]))) for row in drawn if known[row]]
    canvas.dots(spots, LIGHT["down"], faint=True)
    # What is missing has no place on the axis; it stands at its left end.
    canvas.dots([(LEFT + 2, up(float(shares[row]))) for row in drawn if not known[row]], MISSING, faint=True)
    order = np.argsort(values[known], kind="stable")
    parts = [each for each in np.array_split(order, PARTS) if len(each)]
    means = [(float(values[known][each].mean()), float(shares[known][each].mean())) for each in parts]
    distinct = dict(means)
    canvas.curve([(across(value), up(share)) for value, share in sorted(distinct.items())], ink="up", width=2.5)
    said = [f"at {number(value, 4)}: {signed(share)}" for value, share in sorted(distinct.items())]
    if not known.all():
        said.append(f"where it is missing: {signed(float(shares[~known].mean()))}")
    return "; ".join(said)


def _by_category(
    canvas: Canvas, up: Scale, texts: list[str], shares: NDArray[np.float64], drawn: NDArray[np.int64]
) -> str:
    names, counts = np.unique(np.array(texts, dtype=object), return_counts=True)
    frequent = [str(names[at]) for at in np.argsort(-counts, kind="stable")]
    shown = sorted(frequent[:CATEGORIES])
    room = (WIDTH - RIGHT - LEFT) / len(shown)
    places = {name: LEFT + room * (at + 0.5) for at, name in enumerate(shown)}
    spots = []
    for at, row in enumerate(drawn):
        if texts[row] in places:
            # Beside one another, so that dots of the same share can be told apart.
            aside = (at * 0.618034 % 1 - 0.5) * room * 0.6
            spots.append((places[texts[row]] + aside, up(float(shares[row]))))
    canvas.dots(spots, LIGHT["down"], faint=True)
    said = []
    held = np.array(texts, dtype=object)
    for name, x in places.items():
        mean = float(shares[held == name].mean())
        canvas.line(x - room * 0.3, up(mean), x + room * 0.3, up(mean), ink="up", width=3)
        canvas.text(
            x, HEIGHT - BOTTOM + 18, name or "missing", ink="quiet", size=SMALL, anchor="middle", within=room - 4
        )
        said.append(f"{name or 'missing'}: {signed(mean)}")
    if len(frequent) > len(shown):
        said.append(f"{counted(len(frequent) - len(shown), 'rarer category')} not drawn")
    return "; ".join(said)
