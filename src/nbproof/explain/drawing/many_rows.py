"""What counts over many rows: the mean size of each feature's shares, and every share as a dot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..explanation import Explanation
from .canvas import MISSING, RAMP, SMALL, TITLE, Canvas
from .scale import counted, number, scale_for, signed
from .wording import answer_of, method_of, output_of, unit_of

WIDTH = 820.0
MARGIN = 24.0
NAMES = 190.0
GAP = 26.0
ROW = 27.0
BAR = 15.0
LABEL = 62.0
# Dots a feature: more are no longer told apart, and a notebook has to carry them.
MOST_DOTS = 300
SWARM = 34.0
DOT = 4.4
# Below this rank correlation between value and share a feature is called mixed.
CLEAR = 0.3


def importance(*explanations: Explanation, output: str | int | None = None, features: int = 15) -> str:
    """The mean absolute share of each feature with its 95 % interval; several explanations side by side on one scale.

    Raises `ValueError` where they speak of different features or units.
    """
    first = output_of(explanations[0], output)
    made = [first, *(output_of(each, first.output_names[0]) for each in explanations[1:])]
    for each in made[1:]:
        if each.feature_names != first.feature_names or each.unit != first.unit:
            raise ValueError("explanations of different features or units cannot stand side by side")
    means = [each.importance()[:, 0] for each in made]
    spread = [_interval(each) for each in made]
    order = np.argsort(-means[0], kind="stable")[:features]

    canvas = Canvas(WIDTH)
    title = f"What moves {answer_of(first)}, over {counted(len(first), 'row')}"
    canvas.text(MARGIN, 34, title, size=TITLE, is_bold=True, within=WIDTH - 2 * MARGIN)
    under = f"Mean size of the shares, in {unit_of(first)}; whiskers: 95 % interval of the mean"
    canvas.text(MARGIN, 54, under, ink="quiet", size=SMALL)
    panel = (WIDTH - 2 * MARGIN - NAMES - GAP * (len(made) - 1)) / len(made)
    top = 94.0
    for at, feature in enumerate(order):
        canvas.text(MARGIN, top + ROW * at + ROW / 2 + 4, first.feature_names[feature], within=NAMES - 12)
    highest = max(
        (float((mean + more)[order].max(initial=0)) for mean, more in zip(means, spread, strict=True)), default=1
    )
    for place, (each, mean, more) in enumerate(zip(made, means, spread, strict=True)):
        left = MARGIN + NAMES + place * (panel + GAP)
        scale = scale_for([highest], left, left + panel - LABEL, with_zero=True, room=0)
        canvas.text(left, 80, method_of(each), is_bold=True, within=panel)
        for at, feature in enumerate(order):
            y, value, error = top + ROW * at + ROW / 2, float(mean[feature]), float(more[feature])
            canvas.bar(scale(0), scale(value), y - BAR / 2, BAR, ink="size")
            if error:
                canvas.line(scale(max(value - error, 0)), y, scale(value + error), y, ink="text")
                canvas.line(scale(value + error), y - 3, scale(value + error), y + 3, ink="text")
            canvas.text(scale(value + error) + 6, y + 4, number(value), size=SMALL)
        canvas.line(scale(0), top - 4, scale(0), top + ROW * len(order) + 4, ink="quiet")
    y = top + ROW * len(order) + 22
    if more_features := first.shape[1] - len(order):
        canvas.text(MARGIN, y, f"{counted(more_features, 'further feature')} not drawn", ink="quiet", size=SMALL)
        y += 16
    said = [f"{title}."]
    for each, mean, more in zip(made, means, spread, strict=True):
        listed = [
            f"{each.feature_names[at]}: {number(float(mean[at]))} ± {number(float(more[at]), 2)}"
            for at in np.argsort(-mean, kind="stable")
        ]
        said.append(f"{method_of(each)}, mean size of the shares in {unit_of(each)}: {'; '.join(listed)}.")
    return canvas.written(y, title=title, told=" ".join([*said, *_notes(made)]))


def beeswarm(made: Explanation, *, output: str | int | None = None, features: int = 12) -> str:
    """Every share as a dot, a line a feature, coloured from a low value (blue) to a high one (orange).

    Words on the right say the same without colour: whether a higher value raises or lowers the answer. Of many rows
    a fixed part is drawn, evenly spread, and the picture says so.
    """
    one = output_of(made, output)
    order = np.argsort(-one.importance()[:, 0], kind="stable")[:features]
    drawn = spread_over(len(one))
    shares = one.values[:, :, 0].astype(np.float64)

    canvas = Canvas(WIDTH)
    title = f"How each feature moves {answer_of(one)}, over {counted(len(one), 'row')}"
    canvas.text(MARGIN, 34, title, size=TITLE, is_bold=True, within=WIDTH - 2 * MARGIN)
    part = f"; {len(drawn)} rows drawn" if len(drawn) < len(one) else ""
    canvas.text(
        MARGIN, 54, f"{method_of(one)}; a dot is one row's share, in {unit_of(one)}{part}", ink="quiet", size=SMALL
    )
    canvas.text(WIDTH - MARGIN - 118, 54, "value", ink="quiet", size=SMALL, anchor="end")
    canvas.text(WIDTH - MARGIN - 92, 54, "low", ink="quiet", size=SMALL, anchor="end")
    canvas.ramp(WIDTH - MARGIN - 86, 46, 56, 9)
    canvas.text(WIDTH - MARGIN, 54, "high", ink="quiet", size=SMALL, anchor="end")
    left, right = MARGIN + NAMES, WIDTH - MARGIN - 112
    scale = scale_for(shares[np.ix_(drawn, order)].ravel().tolist(), left, right, with_zero=True, room=0.03)
    top = 78.0
    bottom = top + SWARM * len(order)
    for tick, label in scale.ticks():
        canvas.line(scale(tick), top, scale(tick), bottom, ink="line")
        canvas.text(scale(tick), bottom + 16, label, ink="quiet", size=SMALL, anchor="middle")
    canvas.line(scale(0), top, scale(0), bottom, ink="quiet")
    said = []
    for at, feature in enumerate(order):
        y = top + SWARM * at + SWARM / 2
        canvas.text(MARGIN, y + 4, one.feature_names[feature], within=NAMES - 12)
        levels = _levels(one.data[:, feature])
        xs = [scale(float(shares[row, feature])) for row in drawn]
        points = list(zip(xs, _stacked(xs, y), strict=True))
        for level in range(-1, len(RAMP)):
            colour = MISSING if level < 0 else RAMP[level]
            canvas.dots([points[i] for i, row in enumerate(drawn) if levels[row] == level], colour, size=DOT)
        direction = _direction(one.data[:, feature], shares[:, feature])
        canvas.text(right + 14, y + 4, direction, ink="quiet", size=SMALL, within=WIDTH - MARGIN - right - 14)
        low, high = float(shares[:, feature].min()), float(shares[:, feature].max())
        said.append(f"{one.feature_names[feature]}: from {signed(low)} to {signed(high)}, {direction}")
    canvas.text(left, bottom + 34, "← lowers the answer", ink="down-text", size=SMALL)
    canvas.text(right, bottom + 34, "raises the answer →", ink="up-text", size=SMALL, anchor="end")
    more = one.shape[1] - len(order)
    if more:
        canvas.text(
            MARGIN, bottom + 34, f"{counted(more, 'further feature')} not drawn", ink="quiet", size=SMALL, within=NAMES
        )
    return canvas.written(bottom + 50, title=title, told=" ".join([f"{title}. {'; '.join(said)}.", *_notes([one])]))


def _interval(made: Explanation) -> NDArray[np.float64]:
    """Half of the 95 % interval of each feature's mean absolute share, by the rows alone."""
    if len(made) < 2:
        return np.zeros(made.shape[1])
    sizes = np.abs(made.values[:, :, 0].astype(np.float64))
    return np.asarray(1.96 * sizes.std(axis=0, ddof=1) / np.sqrt(len(made)))


def spread_over(rows: int) -> NDArray[np.int64]:
    """The rows that are drawn: all, or evenly spread ones."""
    if rows <= MOST_DOTS:
        return np.arange(rows)
    return np.linspace(0, rows - 1, MOST_DOTS).round().astype(np.int64)


def _levels(column: NDArray[np.generic]) -> list[int]:
    """Into which of the colours each value falls by its rank; −1 for text and for what is missing."""
    values = numbers_in(column)
    if values is None:
        return [-1] * len(column)
    known = np.sort(np.unique(values[~np.isnan(values)]))
    if not len(known):
        return [-1] * len(column)
    rank = np.searchsorted(known, values) / max(len(known) - 1, 1)
    levels = np.minimum(np.nan_to_num(rank) * len(RAMP), len(RAMP) - 1).astype(int)
    return [-1 if np.isnan(value) else int(level) for value, level in zip(values, levels, strict=True)]


def numbers_in(column: NDArray[np.generic]) -> NDArray[np.float64] | None:
    """A column's values as numbers, where none of them is text."""
    if any(isinstance(each, str) for each in column):
        return None
    return np.array([np.nan if each is None else float(each) for each in column])


def _direction(column: NDArray[np.generic], shares: NDArray[np.float64]) -> str:
    """In words what colour says: whether higher values have higher shares, by Spearman's rank correlation."""
    values = numbers_in(column)
    if values is None:
        return "by category"
    known = ~np.isnan(values)
    if np.ptp(values[known]) == 0 if known.any() else True:
        return "one value"
    from scipy.stats import rankdata

    ranks = np.corrcoef(rankdata(values[known]), rankdata(shares[known])) if np.ptp(shares[known]) else np.zeros((2, 2))
    together = float(ranks[0, 1])
    if abs(together) < CLEAR:
        return "mixed"
    return "higher ▲ raises" if together > 0 else "higher ▼ lowers"


def _stacked(xs: Sequence[float], middle: float) -> list[float]:
    """Places beside the line for dots that would lie upon one another, alternately above and below it."""
    step = DOT * 0.82
    taken: dict[int, int] = {}
    places = []
    for x in xs:
        column = round(x / DOT)
        count = taken.get(column, 0)
        taken[column] = count + 1
        away = (count + 1) // 2 * step * (1 if count % 2 else -1)
        # A crowd that is taller than its line is folded into it.
        limit = SWARM / 2 - DOT / 2
        if abs(away) > limit:
            away = (abs(away) % limit) * (1 if away > 0 else -1)
        places.append(middle + away)
    return places


def _notes(made: Sequence[Explanation]) -> list[str]:
    notes = dict.fromkeys(note for each in made for note in each.notes)
    return [note if note.endswith(".") else f"{note}." for note in notes]
