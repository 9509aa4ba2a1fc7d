"""Why the model answered so for one row: bars of both methods on one scale, and the way from base to prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..explanation import Explanation
from .canvas import SMALL, TITLE, Canvas, lines_of, width_of
from .scale import Scale, counted, number, scale_for, signed
from .wording import answer_of, be, bin_of, method_of, output_of, place_of, row_of, unit_of, value_of

WIDTH = 820.0
MARGIN = 24.0
ROW = 27.0
BAR = 15.0
NAMES = 236.0
GAP = 26.0
LABEL = 58.0
# Notes that a picture has room for; all of them stand in its words.
NOTES = 4
BINS = 3
# Shares that are said in words.
SAID = 50
# A gap below this part of all the shares is rounding.
NOTABLE = 1e-4


def bars(*explanations: Explanation, row: int = 0, output: str | int | None = None, features: int = 10) -> str:
    """The largest shares of one row as bars, the given explanations side by side on one scale.

    They must speak of the same row, features, output and unit: raises `ValueError` where they do not. The order is
    that of the first explanation; what has no room is summed in a last line.
    """
    where = place_of(explanations[0], row)
    made = [row_of(each, row) for each in explanations]
    made = _of_one_output(made, output)
    _refuse_different(made)
    first = made[0]
    order = np.argsort(-np.abs(first.values[0, :, 0]), kind="stable")
    if len(made) > 1:
        # A feature that any of them ranks high is shown.
        strength = np.max(
            [np.abs(each.values[0, :, 0]) / (np.abs(each.values[0, :, 0]).max() or 1) for each in made], axis=0
        )
        kept = set(np.argsort(-strength, kind="stable")[:features].tolist())
        order = np.array([at for at in order if at in kept] + [at for at in order if at not in kept], dtype=np.int64)
    shown, rest = order[:features], order[features:]
    sums = [float(each.values[0, rest, 0].sum(dtype=np.float64)) for each in made]

    panel = (WIDTH - 2 * MARGIN - NAMES - GAP * (len(made) - 1)) / len(made)
    values = [float(each.values[0, at, 0]) for each in made for at in shown] + (sums if len(rest) else [])
    values += [
        float(each.values[0, at, 0]) + side * 1.96 * float(each.error[0, at, 0])
        for each in made
        if each.error is not None
        for at in shown
        for side in (-1, 1)
    ]
    spans = scale_for(values, 0, 1, with_zero=True, room=0)
    canvas = Canvas(WIDTH)
    title = f"Why {answer_of(first)} {be(first)} {number(float(first.prediction[0, 0]))}{where}"
    canvas.text(MARGIN, 34, title, size=TITLE, is_bold=True, within=WIDTH - 2 * MARGIN)
    canvas.text(MARGIN, 54, f"Shares in {unit_of(first)}; bars on one scale", ink="quiet", size=SMALL)

    top = 112.0
    lines = len(shown) + (1 if len(rest) else 0)
    bottom = top + ROW * lines
    for at, feature in enumerate(shown):
        y = top + ROW * at + ROW / 2
        _named(canvas, y, first.feature_names[feature], value_of(first, 0, int(feature)))
    if len(rest):
        _named(canvas, top + ROW * len(shown) + ROW / 2, f"{counted(len(rest), 'other feature')}", "")
    for place, each in enumerate(made):
        left = MARGIN + NAMES + place * (panel + GAP)
        scale = _with_labels(spans, left, left + panel)
        _headed(canvas, each, left, panel)
        canvas.line(scale(0), top - 4, scale(0), bottom + 4, ink="quiet")
        for at, feature in enumerate(shown):
            y = top + ROW * at + ROW / 2
            if each.surrogate is not None and feature not in each.surrogate.selected[0, 0]:
                canvas.text(scale(0) + 6, y + 4, "not selected", ink="quiet", size=SMALL)
                continue
            error = None if each.error is None else float(each.error[0, feature, 0])
            _bar(canvas, scale, float(each.values[0, feature, 0]), y, error)
        if len(rest) and (each.surrogate is None or sums[place]):
            _bar(canvas, scale, sums[place], top + ROW * len(shown) + ROW / 2, None)
    height = _noted(canvas, made, bottom + 14)
    return canvas.written(height, title=title, told=told(made, where))


def waterfall(made: Explanation, *, row: int = 0, output: str | int | None = None, features: int = 10) -> str:
    """The way from the base to the prediction of one row, the largest share first.

    Where base and shares do not add up to the prediction, the picture says by how much.
    """
    where = place_of(made, row)
    one = output_of(row_of(made, row), output)
    order = np.argsort(-np.abs(one.values[0, :, 0]), kind="stable")
    shown, rest = order[:features], order[features:]
    steps = [(one.feature_names[at], value_of(one, 0, int(at)), float(one.values[0, at, 0])) for at in shown]
    if len(rest):
        steps.append((counted(len(rest), "other feature"), "", float(one.values[0, rest, 0].sum(dtype=np.float64))))
    base, answer = float(one.base[0, 0]), float(one.prediction[0, 0])
    ends = base + np.cumsum([share for _, _, share in steps])
    starts = np.concatenate([[base], ends[:-1]]) if len(steps) else np.zeros(0)

    canvas = Canvas(WIDTH)
    title = f"The way to {answer_of(one)}: {number(answer)}{where}"
    canvas.text(MARGIN, 34, title, size=TITLE, is_bold=True, within=WIDTH - 2 * MARGIN)
    canvas.text(
        MARGIN, 54, f"{method_of(one)}; shares in {unit_of(one)}, added one after another", ink="quiet", size=SMALL
    )
    left = MARGIN + NAMES
    scale = _with_labels(scale_for([base, answer, *ends], 0, 1, with_zero=False, room=0.02), left, WIDTH - MARGIN)
    top = 92.0
    bottom = top + ROW * (len(steps) + 2)
    for tick, label in scale.ticks():
        canvas.line(scale(tick), top - 6, scale(tick), bottom, ink="line")
        canvas.text(scale(tick), bottom + 16, label, ink="quiet", size=SMALL, anchor="middle")
    _marked(canvas, scale, base, top + ROW / 2, "base", "before any feature is known")
    for at, (name, value, share) in enumerate(steps):
        y = top + ROW * (at + 1) + ROW / 2
        canvas.line(
            scale(float(starts[at])), y - ROW + 4, scale(float(starts[at])), y + BAR / 2, ink="quiet", dashed=True
        )
        _named(canvas, y, name, value)
        canvas.bar(
            scale(float(starts[at])), scale(float(ends[at])), y - BAR / 2, BAR, ink="up" if share >= 0 else "down"
        )
        right = max(scale(float(starts[at])), scale(float(ends[at])))
        canvas.text(right + 6, y + 4, signed(share), ink="up-text" if share >= 0 else "down-text", size=SMALL)
    y = top + ROW * (len(steps) + 1) + ROW / 2
    last = scale(float(ends[-1]) if len(steps) else base)
    canvas.line(last, y - ROW + 4, last, y + BAR / 2, ink="quiet", dashed=True)
    _marked(canvas, scale, answer, y, "prediction", "")
    height = _noted(canvas, [one], bottom + 34)
    return canvas.written(height, title=title, told=told([one], where))


def told(made: Sequence[Explanation], where: str) -> str:
    """One row in words: all its numbers, for those who do not see the picture."""
    said = [f"{(where or ' one row').removeprefix(' in ').strip().capitalize()}."]
    for each in made:
        values = each.values[0, :, 0]
        order = np.argsort(-np.abs(values), kind="stable")
        shares = [
            f"{each.feature_names[at]} = {value_of(each, 0, int(at))}: {signed(float(values[at]))}"
            for at in order
            if values[at] or each.surrogate is None
        ]
        if len(shares) > SAID:
            shares = [*shares[:SAID], f"{len(shares) - SAID} smaller ones"]
        said.append(
            f"{method_of(each)}, output {each.output_names[0]}, in {unit_of(each)}: "
            f"prediction {number(float(each.prediction[0, 0]))}, {_based(each)}. Shares: {'; '.join(shares) or 'none'}."
        )
        said += [note if note.endswith(".") else f"{note}." for note in each.notes]
    return " ".join(said)


def _of_one_output(made: Sequence[Explanation], output: str | int | None) -> list[Explanation]:
    """The same output of all, by name."""
    first = output_of(made[0], output)
    return [first, *(output_of(each, first.output_names[0]) for each in made[1:])]


def _refuse_different(made: Sequence[Explanation]) -> None:
    first = made[0]
    for each in made[1:]:
        if each.feature_names != first.feature_names:
            raise ValueError("explanations of different features cannot stand side by side")
        if each.unit != first.unit:
            raise ValueError(f"explanations in {first.unit} and in {each.unit} have no scale in common")
        if not np.allclose(each.prediction, first.prediction, rtol=1e-9, atol=1e-12):
            raise ValueError("explanations of different rows or models cannot stand side by side")


def _with_labels(spans: Scale, left: float, right: float) -> Scale:
    """The scale between `left` and `right` with room for a number beyond the bars on either side."""
    negative = LABEL if spans.low < 0 else 4
    return Scale(spans.low, spans.high, left + negative, right - LABEL)


def _headed(canvas: Canvas, each: Explanation, left: float, width: float) -> None:
    canvas.text(left, 80, method_of(each), is_bold=True, within=width)
    canvas.text(left, 97, _based(each), ink="quiet", size=SMALL, within=width)


def _based(each: Explanation) -> str:
    if each.surrogate is None:
        return f"base {number(float(each.base[0, 0]))}"
    fit = float(each.surrogate.r2[0, 0])
    local = number(float(each.surrogate.local[0, 0]))
    return f"R² {number(fit, 2)}, intercept {number(float(each.base[0, 0]))}, local {local}"


def _named(canvas: Canvas, y: float, name: str, value: str) -> None:
    """A feature and its value, in the column on the left."""
    room = NAMES - 16
    value_width = min(width_of(value, SMALL), room * 0.45) if value else 0
    canvas.text(MARGIN, y + 4, name, within=room - value_width - 8)
    if value:
        canvas.text(MARGIN + room, y + 4, value, ink="quiet", size=SMALL, anchor="end", within=room * 0.45 + 1)


def _bar(canvas: Canvas, scale: Scale, share: float, y: float, error: float | None) -> None:
    canvas.bar(scale(0), scale(share), y - BAR / 2, BAR, ink="up" if share >= 0 else "down")
    beyond = 0.0
    if error:
        low, high = scale(share - 1.96 * error), scale(share + 1.96 * error)
        canvas.line(low, y, high, y, ink="text")
        canvas.line(low, y - 3, low, y + 3, ink="text")
        canvas.line(high, y - 3, high, y + 3, ink="text")
        beyond = high - scale(share)
    if share >= 0:
        canvas.text(scale(share) + 6 + beyond, y + 4, signed(share), ink="up-text", size=SMALL)
    else:
        canvas.text(scale(share) - 6 - beyond, y + 4, signed(share), ink="down-text", size=SMALL, anchor="end")


def _marked(canvas: Canvas, scale: Scale, value: float, y: float, name: str, quiet: str) -> None:
    """A value of the whole: the base or the prediction."""
    canvas.text(MARGIN, y + 4, name, is_bold=True)
    if quiet:
        canvas.text(MARGIN + NAMES - 16, y + 4, quiet, ink="quiet", size=SMALL, anchor="end")
    canvas.line(scale(value), y - BAR / 2, scale(value), y + BAR / 2, ink="text", width=3)
    canvas.text(scale(value) + 7, y + 4, number(value), is_bold=True, size=SMALL)


def _noted(canvas: Canvas, made: Sequence[Explanation], y: float) -> float:
    """What a reader must know, below the picture; returns where the picture ends."""
    said = list(dict.fromkeys(note for each in made for note in each.notes))
    for each in made:
        gap = float(each.gap().max())
        if each.surrogate is None and gap > NOTABLE * float(np.abs(each.values).sum()):
            said.insert(0, f"Base and shares miss the prediction by {number(gap)}.")
        if each.error is not None:
            said.append("Whiskers: 95 % interval of the sampled shares.")
        if bins := [
            found for at in np.argsort(-np.abs(each.values[0, :, 0]), kind="stable") if (found := bin_of(each, at))
        ]:
            said.append(f"LIME speaks of being in a bin: {'; '.join(bins[:BINS])}{'; …' if len(bins) > BINS else '.'}")
    if len(said) > NOTES:
        said = [*said[: NOTES - 1], f"{counted(len(said) - NOTES + 1, 'more note')} in the explanation."]
    for note in said:
        for line in lines_of(note, WIDTH - 2 * MARGIN, SMALL):
            y += 16
            canvas.text(MARGIN, y, line, ink="quiet", size=SMALL)
        y += 3
    return y + (18 if said else 8)
