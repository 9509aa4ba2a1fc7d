"""From values to places, and from numbers to words."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values between `low` and `high` to places between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[tuple[float, str]]:
        """Round values within the scale, some `about` of them, each with its label."""
        step = _round_step((self.high - self.low) / max(about, 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(at * step, _label(at * step, places)) for at in range(first, last + 1)]


def scale_for(values: Iterable[float], start: float, end: float, *, with_zero: bool, room: float = 0.04) -> Scale:
    """A scale on which all the values have a place, with some room on both sides."""
    held = [value for value in values if math.isfinite(value)]
    if with_zero:
        held.append(0.0)
    low, high = (min(held), max(held)) if held else (0.0, 1.0)
    # What is all the same, or differs by what float64 cannot tell apart, still needs a width.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        around = abs(low) * 0.1 or 1.0
        low, high = low - around, high + around
    more = (high - low) * room
    below = more if low < 0 or not with_zero else 0.0
    above = more if high > 0 or not with_zero else 0.0
    return Scale(low - below, high + above, start, end)


def number(value: float, digits: int = 3) -> str:
    """A number as people read it: `digits` of them count, thousands are apart, a minus is a minus.

    >>> number(0.73051), number(0.9996), number(1.0), number(-1234567.0), number(-0.000123), number(float("nan"))
    ('0.731', '1.000', '1', '−1\u202f234\u202f567', '−0.000123', 'missing')
    """
    if math.isnan(value):
        return "missing"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(size))
    if size >= 1e15 or places > 7:
        shown = f"{size:.{digits - 1}e}"
    elif places <= 0:
        shown = f"{size:,.0f}".replace(",", "\u202f")
    else:
        shown = f"{size:.{places}f}"
        # Only what is whole is shown so: 0.9996 is 1.000, and not certain.
        if size.is_integer():
            shown = shown.split(".")[0]
    return f"−{shown}" if value < 0 and shown.strip("0.") else shown


def signed(value: float, digits: int = 3) -> str:
    """A share with its sign, which is said where colour cannot be seen.

    >>> signed(0.21), signed(-0.05), signed(0.0)
    ('+0.210', '−0.0500', '0')
    """
    return f"+{number(value, digits)}" if value > 0 else number(value, digits)


def counted(count: int, noun: str) -> str:
    """How many of something there are.

    >>> counted(1, "row"), counted(12000, "row")
    ('1 row', '12\u202f000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", "\u202f")


def _label(value: float, places: int) -> str:
    """A tick's value with as many decimals as its neighbours."""
    if abs(value) < 10.0 ** -(places + 2):
        return "0"
    if places > 6 or abs(value) >= 1e9:
        return number(value, 2)
    shown = f"{abs(value):,.{places}f}".replace(",", "\u202f")
    return f"−{shown}" if value < 0 and shown.strip("0.") else shown


def _round_step(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= step * (1 - 1e-9))
