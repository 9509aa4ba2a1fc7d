"""Two described values side by side: every place where they differ, and by how much."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Runs that are further apart than this differ by more than the order in which numbers were added.
CLOSE = 1e-6
# Two runs show a part of how far runs may be apart.
ROOM = 100.0
# Where runs round differently in one place, they do in what is computed from it: so far, wherever it stands.
ROUNDED = 1e-9
LONGEST = 160
# The bars of one drawing vary together, though some stay where they are in a few runs.
_SERIES = re.compile(r"(?<=\.)(patches|lines|collections|texts)\[\d+\]")
_DAYS_S = 2 * 86400


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where a value is not what was expected; `by` is the greatest relative distance of two numbers."""

    at: str
    found: str
    expected: str
    by: float | None = None

    def __str__(self) -> str:
        return f"{self.at}: {_short(self.found)}, expected {_short(self.expected)}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def differences(expected: Any, found: Any, at: str) -> Iterator[Difference]:
    """Go through both, and tell where they part."""
    if hasattr(expected, "dtype") and hasattr(found, "dtype"):
        yield from _arrays(expected, found, at)
    elif isinstance(expected, Mapping) and isinstance(found, Mapping):
        yield from _mappings(expected, found, at)
    elif isinstance(expected, list) and isinstance(found, list):
        yield from _lists(expected, found, at)
    elif type(expected) is not type(found):
        yield Difference(at, _kind(found), _kind(expected))
    elif isinstance(expected, float):
        # Zero has two signs, and a test that divides by it sees which.
        if repr(expected) != repr(found):
            yield Difference(at, repr(found), repr(expected), _apart(expected, found))
    elif isinstance(expected, str) and expected != found and "\n" in expected + found:
        yield from _texts(expected, found, at)
    elif expected != found:
        yield Difference(at, repr(found), repr(expected))


def _apart(expected: float, found: float) -> float:
    return abs(expected - found) / max(abs(expected), abs(found), 1e-300)


def _kind(told: Any) -> str:
    if isinstance(told, Mapping):
        name = told.get("class") or told.get("is") or "mapping"
        return f"{name} {told['value']}" if "value" in told else f"a {name}"
    return f"{type(told).__name__} {told!r}"


def _mappings(expected: Mapping[str, Any], found: Mapping[str, Any], at: str) -> Iterator[Difference]:
    for name in ("is", "class", "dtype", "shape"):
        if expected.get(name) != found.get(name):
            label = at if name in ("is", "class") else f"{at}.{name}"
            yield Difference(
                label,
                _kind(found) if name in ("is", "class") else str(found.get(name)),
                _kind(expected) if name in ("is", "class") else str(expected.get(name)),
            )
            return
    if expected.get("is") == "frame":
        told = list(differences(expected["names"], found["names"], f"{at}.columns"))
        if told:
            yield from told
            return
    if expected.get("is") == "summary" and expected.get("hash") != found.get("hash"):
        yield from _summaries(expected, found, at)
        return
    labels = _columns(expected) if expected.get("is") == "frame" else []
    missing = [name for name in expected if name not in found]
    for name in missing:
        yield Difference(_inside(expected, at, name), "nothing", _kind(expected[name]))
    unexpected = [name for name in found if name not in expected]
    if unexpected:
        yield Difference(f"{at}.keys()", f"also {', '.join(map(repr, unexpected))}", "no more")
    if not missing and not unexpected and list(expected) != list(found):
        yield Difference(f"{at}.keys()", f"in the order {list(found)}", f"{list(expected)}")
    for name, part in expected.items():
        if name not in found:
            continue
        if name == "columns" and labels:
            for label, one, other in zip(labels, part, found[name], strict=True):
                yield from differences(one, other, f"{at}[{label}]")
        else:
            yield from differences(part, found[name], _inside(expected, at, name))


def _inside(told: Mapping[str, Any], at: str, name: str) -> str:
    """How a part of a value is called: as in Python, where that can be said."""
    if name in ("keys", "items", "data", "value", "values", "state", "arguments"):
        return at
    if "is" in told:
        return f"{at}.{name}"
    return f"{at}.{name}" if name.isidentifier() else f"{at}[{name!r}]"


def _columns(frame: Mapping[str, Any]) -> list[str]:
    values = frame["names"].get("values", {})
    names = values.get("items", values.get("data"))
    if names is None or len(names) != len(frame["columns"]):
        return [str(number) for number in range(len(frame["columns"]))]
    return [repr(name) if isinstance(name, str) else str(name) for name in list(names)]


def _lists(expected: list[Any], found: list[Any], at: str) -> Iterator[Difference]:
    if len(expected) != len(found):
        pairs = enumerate(zip(expected, found, strict=False))
        shorter = min(len(expected), len(found))
        at_first = next((number for number, pair in pairs if any(differences(*pair, ""))), shorter)
        yield Difference(at, f"{len(found)} items, the first other one at {at_first}", f"{len(expected)} items")
        return
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        yield from differences(one, other, f"{at}[{number}]")


def _texts(expected: str, found: str, at: str) -> Iterator[Difference]:
    pieces, others = _pieces(expected), _pieces(found)
    for (number, one), (_, other) in zip(pieces, others, strict=False):
        if one != other:
            yield Difference(f"{at} line {number}", repr(other), repr(one))
    if len(pieces) != len(others):
        yield Difference(at, f"{found.count(chr(10)) + 1} lines", f"{expected.count(chr(10)) + 1} lines")


def _pieces(text: str) -> list[tuple[int, str]]:
    """Tell the lines of a text by their numbers; those that stand within an open bracket are one.

    An array that is printed over several lines is one value: drawn anew, some of its lines may be as before.
    """
    pieces: list[tuple[int, str]] = []
    lines = text.split("\n")
    begun, depth = 0, 0
    for number, line in enumerate(lines):
        depth = max(0, depth + sum(map(line.count, "([{")) - sum(map(line.count, ")]}")))
        if not depth:
            pieces.append((begun + 1, "\n".join(lines[begun : number + 1])))
            begun = number + 1
    # A bracket that nobody closes is a word like others.
    return [*pieces, *((number + 1, lines[number]) for number in range(begun, len(lines)))]


def _arrays(expected: Any, found: Any, at: str) -> Iterator[Difference]:
    import numpy

    if expected.dtype != found.dtype and not expected.dtype.kind == found.dtype.kind == "U":
        yield Difference(f"{at}.dtype", str(found.dtype), str(expected.dtype))
        return
    if expected.shape != found.shape:
        yield Difference(at, f"{len(found)} values", f"{len(expected)} values")
        return
    if expected.dtype.kind == "f":
        # To the last bit: a zero's sign counts, and what is no number is like what is none.
        same = (expected == found) & (numpy.signbit(expected) == numpy.signbit(found))
        same |= numpy.isnan(expected) & numpy.isnan(found)
    elif expected.dtype.kind == "c":
        same = (expected == found) | (numpy.isnan(expected) & numpy.isnan(found))
    elif expected.dtype.kind in "mM":
        same = expected.view("i8") == found.view("i8")
    else:
        same = expected == found
    if numpy.all(same):
        return
    where = numpy.flatnonzero(~same)
    first = int(where[0])
    by = None
    if expected.dtype.kind in "fc":
        one, other = expected[where].astype("c16"), found[where].astype("c16")
        by = float(numpy.max(numpy.abs(one - other) / numpy.maximum(numpy.maximum(abs(one), abs(other)), 1e-300)))
        by = by if by == by else float("inf")
    more = f" (and {len(where) - 1} others of {expected.size})" if len(where) > 1 else ""
    yield Difference(f"{at}[{first}]", f"{found[first]!s}{more}", str(expected[first]), by)


def _summaries(expected: Mapping[str, Any], found: Mapping[str, Any], at: str) -> Iterator[Difference]:
    """Arrays of which some rows are kept: what shows that they are not the same."""
    if expected["size"] != found["size"]:
        yield Difference(at, f"{found['size']} values", f"{expected['size']} values")
        return
    by = 0.0
    told = []
    for row, one, other in zip(expected["rows"], expected["values"], found["values"], strict=True):
        if one != other:
            told.append(f"[{row}] is {other}, expected {one}")
            by = max(by, _apart(one, other) if isinstance(one, float) and isinstance(other, float) else float("inf"))
    for name in ("least", "most", "mean", "not finite"):
        if expected.get(name) != found.get(name):
            told.append(f"{name} is {found.get(name)}, expected {expected.get(name)}")
    # That only the hash differs says nothing of how far apart the others are.
    yield Difference(at, "; ".join(told) or "other values between the rows that are kept", "the same", by or None)


def loosened(first: Any, second: Any, at: str) -> dict[str, float | None]:
    """Tell what two runs disagree on: how far they may be apart, or None where nothing can be said."""
    return {
        each.at: each.by * ROOM if each.by is not None and each.by <= CLOSE and not _is_moment(each.found) else None
        for each in differences(first, second, at)
    }


def _is_moment(text: str) -> bool:
    """Whether a number is a time of these days, in seconds or in parts of them: later it will be further away."""
    try:
        value = float(text)
    except ValueError:
        return False
    return any(abs(value / unit - time.time()) < _DAYS_S for unit in (1, 1e3, 1e6, 1e9))


def counted(found: Iterator[Difference], loose: Mapping[str, float | None]) -> list[Difference]:
    """List the differences that count, given what runs disagree on by themselves."""
    return [each for each in found if not _is_allowed(each, loose)]


def _is_allowed(difference: Difference, loose: Mapping[str, float | None]) -> bool:
    for at, bound in loose.items():
        if bound is None and (difference.at == at or difference.at.startswith((f"{at}.", f"{at}[", f"{at} "))):
            return True
        if bound is None and ".axes[" in at and _series(difference.at) == _series(at):
            return True
        # Arrays are told by their first place that differs, which is another one each time.
        is_close = bound is not None and difference.by is not None and difference.by <= bound
        if is_close and _place(difference.at) == _place(at):
            return True
    rounded = max((bound for bound in loose.values() if bound is not None), default=0.0)
    return difference.by is not None and difference.by <= min(rounded, ROUNDED)


def _series(at: str) -> str:
    return _SERIES.sub(r"\1[]", at)


def _place(at: str) -> str:
    """Cut off the number at the end of a place."""
    head, bracket, tail = at.rpartition("[")
    return head if bracket and tail.rstrip("]").isdigit() else at
