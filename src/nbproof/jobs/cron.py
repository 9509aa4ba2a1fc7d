"""Cron expressions as Kubernetes reads them; its schemas take any text for one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Of each field its name, its least and its greatest value, and the words that stand for values.
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 6, {word: number for number, word in enumerate(_DAYS)}),
)
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_PART = re.compile(r"(?P<all>[*?])|(?P<from>\w+)(?:-(?P<to>\w+))?")
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def problem(text: str) -> str | None:
    """Why a text is no cron expression of five fields, or one that never comes; None: it is one.

    >>> problem("30 2 * * mon-fri") is None
    True
    >>> problem("0 0 30 2 *")
    'no month that is named has such a day'
    """
    if text in _WORDS:
        return None
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return f"{len(parts)} fields, expected five: minute, hour, day of the month, month, day of the week"
    found = []
    for part, (name, least, most, words) in zip(parts, _FIELDS, strict=True):
        try:
            found.append(set(_values(part, least, most, words)))
        except ValueError as error:
            return f"the {name} `{part}`: {error}"
    _, _, days, months, _ = found
    # With a day of the week as well, either of both is enough.
    if parts[4][0] in "*?" and not any(min(days) <= _LENGTHS[month - 1] for month in months):
        return "no month that is named has such a day"
    return None


def _values(text: str, least: int, most: int, words: dict[str, int]) -> Iterator[int]:
    for item in text.split(","):
        span, slash, step = item.partition("/")
        match = _PART.fullmatch(span)
        if match is None or (slash and not step.isdecimal()) or (slash and int(step) == 0):
            raise ValueError("expected a number, a range, a list or a step")
        if match["all"]:
            first, last = least, most
        else:
            first = _number(match["from"], words)
            last = _number(match["to"], words) if match["to"] else most if slash else first
        if not least <= first <= last <= most:
            raise ValueError(f"expected {least} to {most}, in this order")
        yield from range(first, last + 1, int(step or 1))


def _number(text: str, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not text.isascii() or not text.isdecimal():
        raise ValueError("expected a number" + (f", or one of {', '.join(words)}" if words else ""))
    return int(text)
