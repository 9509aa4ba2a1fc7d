"""Pictures of tables: each shows what its tables hold and nothing else; the numbers themselves stand in the tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

from ..explain.drawing.canvas import SMALL, TITLE, Canvas, Ink
from ..explain.drawing.scale import Scale, number, scale_for
from .document import Drawing, Scalar, Table

WIDTH = 820.0
MARGIN = 20.0
ROW = 24.0
BAR = 13.0
NAMES = 210.0
TOP = 62.0
TOLD = "The table below holds every number of this picture."
# More rows than anybody looks at in a picture; the table has them all.
MOST = 40
# What is larger has no place in a picture; nor has what is no number.
LARGEST = 1e15
INK_OF: Mapping[str, Ink] = {"red": "up", "failed": "up", "amber": "size", "undecided": "size"}

Draw = Callable[[Drawing], str]


def drawn(drawing: Drawing) -> str:
    """The picture as SVG without style, script or link; raises `KeyError` for a kind that nobody draws."""
    return KINDS[drawing.kind](drawing)


def _thresholds(drawing: Drawing) -> str:
    """Each measure with its interval; every row has a scale of its own, in whose middle the limit stands."""
    (table,) = drawing.tables
    canvas = _begun(
        drawing, "Every row has a scale of its own; the upright line is the limit, the shaded side keeps it"
    )
    wanted = ("Threshold", "Rule", "Limit", "Value", "Low", "High", "Verdict")
    left, right = MARGIN + NAMES + 130, WIDTH - MARGIN - 110
    y = TOP
    for name, rule, limit, value, low, high, verdict in _rows(table, wanted):
        canvas.text(MARGIN, y + 16, _words(name), within=NAMES)
        canvas.text(MARGIN + NAMES + 8, y + 16, _words(rule).replace("_", " "), ink="quiet", size=SMALL)
        numbers = [each for each in (limit, value, low, high) if _is_number(each)]
        if _is_number(limit) and _is_number(value):
            reach = max((abs(each - limit) for each in numbers), default=0.0) or 1.0
            scale = Scale(limit - 1.15 * reach, limit + 1.15 * reach, left, right)
            kept = (scale(limit), right) if rule == "at_least" else (left, scale(limit))
            canvas.bar(*kept, y + 4, ROW - 8, ink="line")
            canvas.line(scale(limit), y + 2, scale(limit), y + ROW - 2, ink="text", width=1.5)
            if _is_number(low) and _is_number(high):
                canvas.line(scale(low), y + ROW / 2, scale(high), y + ROW / 2, ink="text", width=2)
            canvas.line(scale(value), y + 5, scale(value), y + ROW - 5, ink="down", width=5)
        canvas.text(right + 12, y + 16, _words(verdict), ink="up-text" if verdict == "failed" else "text", size=SMALL)
        y += ROW
    return _ended(canvas, drawing, y)


def _importance(drawing: Drawing) -> str:
    (table,) = drawing.tables
    canvas = _begun(drawing, "Bars: the mean; whiskers: its interval")
    rows = sorted(_rows(table, ("Feature", "Value", "Low", "High")), key=lambda row: -_number(row[1]))
    scale = scale_for([_number(row[3]) for row in rows], MARGIN + NAMES, WIDTH - MARGIN - 10, with_zero=True, room=0.02)
    y = TOP
    for name, value, low, high in rows:
        canvas.text(MARGIN, y + 16, _words(name), within=NAMES - 12)
        if _is_number(value):
            canvas.bar(scale(0), scale(value), y + 5, BAR, ink="size")
        if _is_number(low) and _is_number(high):
            canvas.line(scale(low), y + ROW / 2, scale(high), y + ROW / 2, ink="text", width=1.5)
        y += ROW
    return _ended(canvas, drawing, _axis(canvas, scale, TOP, y))


def _beside(drawing: Drawing) -> str:
    """Both methods on one scale, the features in the order of SHAP."""
    (table,) = drawing.tables
    canvas = _begun(drawing, "One unit and one scale; striped bars speak against, plain ones for")
    rows = sorted(_rows(table, ("Feature", "SHAP", "LIME")), key=lambda row: -abs(_number(row[1])))
    half = (WIDTH - 2 * MARGIN - NAMES - 24) / 2
    every = [_number(each) for row in rows for each in row[1:]]
    bottom = TOP + 8 + ROW * len(rows)
    for place, method in enumerate(("SHAP", "LIME")):
        left = MARGIN + NAMES + place * (half + 24)
        scale = scale_for(every, left + 4, left + half - 4, with_zero=True, room=0.03)
        canvas.text(left, TOP, method, is_bold=True, size=SMALL)
        canvas.line(scale(0), TOP + 6, scale(0), bottom, ink="quiet")
        for at, row in enumerate(rows):
            y, share = TOP + 8 + ROW * at, row[1 + place]
            if not place:
                canvas.text(MARGIN, y + 16, _words(row[0]), within=NAMES - 12)
            if _is_number(share):
                canvas.bar(scale(0), scale(share), y + 5, BAR, ink="up" if share > 0 else "down")
        _axis(canvas, scale, TOP + 8, bottom)
    return _ended(canvas, drawing, bottom + 22)


def _groups(drawing: Drawing) -> str:
    (table,) = drawing.tables
    canvas = _begun(drawing, "Upright mark: mean probability; bar: what was observed")
    rows = _rows(table, ("Group", "Mean probability", "Observed"))
    every = [_number(each) for row in rows for each in row[1:]]
    scale = scale_for(every, MARGIN + NAMES, WIDTH - MARGIN - 10, with_zero=True, room=0.04)
    y = TOP
    for name, foretold, observed in rows:
        canvas.text(MARGIN, y + 16, _words(name), within=NAMES - 12)
        if _is_number(observed):
            canvas.bar(scale(0), scale(observed), y + 6, BAR - 2, ink="size")
        if _is_number(foretold):
            canvas.line(scale(foretold), y + 2, scale(foretold), y + ROW - 3, ink="text", width=3)
        y += ROW
    return _ended(canvas, drawing, _axis(canvas, scale, TOP, y))


def _dependence(drawing: Drawing) -> str:
    (table,) = drawing.tables
    canvas = _begun(drawing, "Mean share of the rows whose value lies in the range; striped bars lower the answer")
    rows = _rows(table, ("Above", "Up to", "Mean share"))
    scale = scale_for([_number(row[2]) for row in rows], MARGIN + NAMES, WIDTH - MARGIN - 10, with_zero=True, room=0.04)
    y = TOP
    for above, up_to, share in rows:
        canvas.text(MARGIN, y + 16, f"above {_short(above)}, up to {_short(up_to)}", within=NAMES - 12, is_tick=True)
        if _is_number(share):
            canvas.bar(scale(0), scale(share), y + 5, BAR, ink="up" if share > 0 else "down")
        y += ROW
    canvas.line(scale(0), TOP - 2, scale(0), y, ink="quiet")
    return _ended(canvas, drawing, _axis(canvas, scale, TOP, y))


def _performance(drawing: Drawing) -> str:
    """Months from left to right, each measure as a line with a name of its own."""
    (table,) = drawing.tables
    canvas = _begun(drawing, "Gaps are months whose outcome is not known yet")
    rows = _rows(table, ("Month", "AUC", "Mean score", "Observed"))
    left, right, bottom = MARGIN + 50, WIDTH - MARGIN - 130, TOP + 190
    up = Scale(0.0, 1.0, bottom, TOP)
    step = (right - left) / max(len(rows) - 1, 1)
    for tick, label in up.ticks(4):
        canvas.line(left, up(tick), right, up(tick), ink="line")
        canvas.text(left - 8, up(tick) + 4, label, ink="quiet", size=SMALL, anchor="end", is_tick=True)
    lines: tuple[tuple[str, Ink], ...] = (("AUC", "text"), ("Mean score", "down"), ("Observed", "up"))
    for at, (name, ink) in enumerate(lines):
        points = [
            (left + step * place, up(value))
            for place, row in enumerate(rows)
            if _is_number(value := row[1 + at]) and 0 <= value <= 1
        ]
        canvas.curve(points, ink=ink)
        for x, y in points:
            canvas.line(x, y - 3, x, y + 3, ink=ink, width=6)
        if points:
            canvas.text(right + 12, points[-1][1] + 4 + 8 * (at == 1) - 8 * (at == 2), name, size=SMALL)
    for place, row in enumerate(rows):
        canvas.text(left + step * place, bottom + 20, _words(row[0]), size=SMALL, anchor="middle", within=120)
    return _ended(canvas, drawing, bottom + 28)


def _drift(drawing: Drawing) -> str:
    """A panel a month, every column with its verdict as a word."""
    every = [_number(row[0]) for table in drawing.tables for row in _rows(table, ("PSI",))]
    panel = (WIDTH - 2 * MARGIN - 150 - 16 * (len(drawing.tables) - 1)) / max(len(drawing.tables), 1)
    canvas = _begun(drawing, "One scale for all months; beside each bar its verdict, unless it is green")
    bottom = TOP
    for at, table in enumerate(drawing.tables):
        left = MARGIN + 150 + at * (panel + 16)
        scale = scale_for(every, left, left + panel - 46, with_zero=True, room=0)
        canvas.text(left, TOP, table.caption, is_bold=True, size=SMALL, within=panel)
        y = TOP + 8
        for name, psi, verdict in _rows(table, ("Column", "PSI", "Verdict")):
            if not at:
                canvas.text(MARGIN, y + 15, _words(name), size=SMALL, within=140)
            if _is_number(psi):
                canvas.bar(scale(0), scale(psi), y + 5, BAR - 2, ink=INK_OF.get(_words(verdict), "down"))
                if verdict != "green":
                    canvas.text(scale(psi) + 5, y + 15, _words(verdict), size=SMALL, within=44)
            y += ROW - 3
        canvas.line(scale(0), TOP + 6, scale(0), y, ink="quiet")
        bottom = max(bottom, _axis(canvas, scale, TOP + 8, y, about=2))
    return _ended(canvas, drawing, bottom)


def _begun(drawing: Drawing, under: str) -> Canvas:
    canvas = Canvas(WIDTH)
    canvas.text(MARGIN, 26, drawing.caption, size=TITLE, is_bold=True, within=WIDTH - 2 * MARGIN)
    canvas.text(MARGIN, 45, under, ink="quiet", size=SMALL, within=WIDTH - 2 * MARGIN)
    return canvas


def _ended(canvas: Canvas, drawing: Drawing, y: float) -> str:
    return canvas.written(y + 12, title=drawing.caption, told=TOLD, is_styled=False).strip()


def _axis(canvas: Canvas, scale: Scale, top: float, bottom: float, about: int = 5) -> float:
    """Ticks below; returns where the picture goes on."""
    for tick, label in scale.ticks(about):
        canvas.line(scale(tick), top, scale(tick), bottom, ink="line", dashed=True)
        canvas.text(scale(tick), bottom + 15, label, ink="quiet", size=SMALL, anchor="middle", is_tick=True)
    return bottom + 22


def _rows(table: Table, columns: Sequence[str]) -> list[list[Scalar]]:
    """Some columns of the first rows."""
    places = [table.columns.index(name) for name in columns]
    return [[row[at] for at in places] for row in table.rows[:MOST]]


def _is_number(value: Scalar) -> TypeGuard[float]:
    """Whether a value has a place in a picture."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def _number(value: Scalar) -> float:
    return float(value) if _is_number(value) else math.nan


def _words(value: Scalar) -> str:
    return "" if value is None else str(value)[:200]


def _short(value: Scalar) -> str:
    return number(value, 4) if _is_number(value) else _words(value)


KINDS: Mapping[str, Draw] = {
    "beside": _beside,
    "dependence": _dependence,
    "drift": _drift,
    "groups": _groups,
    "importance": _importance,
    "performance": _performance,
    "thresholds": _thresholds,
}
