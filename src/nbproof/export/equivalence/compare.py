"""Every value, every displayed value and every figure of a package beside those of its notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..watching.seen import Run, Value, steady

Verdict = Literal["equal", "differs", "missing", "not steady", "cannot be compared"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One thing of the notebook: its kind, its name or cell, the verdict, and both texts where they differ."""

    what: Literal["value", "displayed", "figure"]
    name: str
    verdict: Verdict
    notebook: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """The whole comparison. It holds if nothing differs and nothing is missing."""

    rows: tuple[Compared, ...]

    @property
    def holds(self) -> bool:
        return not any(row.verdict in ("differs", "missing") for row in self.rows)

    def count(self, verdict: Verdict) -> int:
        return sum(row.verdict == verdict for row in self.rows)


def compare(first: Run, second: Run, package: Mapping[str, Any], ids: Mapping[int, str]) -> Equivalence:
    """Compare what a package left with two runs of its notebook; what these two do not agree on proves nothing."""
    return Equivalence((*_values(first, second, package), *_shown(first, second, package, ids)))


def _values(first: Run, second: Run, package: Mapping[str, Any]) -> Iterator[Compared]:
    same = steady(first, second)
    for name, value in first.values.items():
        if name.startswith("_"):
            continue
        found = package["values"].get(name)
        if found is None:
            yield Compared("value", name, "missing", value.text)
        elif value.digest is None:
            yield Compared("value", name, "cannot be compared", value.text, found["text"])
        elif name not in same:
            yield Compared("value", name, "not steady", value.text, found["text"])
        else:
            yield _judged("value", name, value, found)


def _shown(first: Run, second: Run, package: Mapping[str, Any], ids: Mapping[int, str]) -> Iterator[Compared]:
    again = {cell.cell: cell for cell in second.cells}
    for cell in first.cells:
        other = again.get(cell.cell)
        name = ids[cell.cell]
        shown = package["shows"].get(name, [])
        for at, value in enumerate(cell.shows):
            label = f"{name}[{at}]"
            if at >= len(shown):
                yield Compared("displayed", label, "missing", value.text)
            elif value.digest is None:
                yield Compared("displayed", label, "cannot be compared", value.text, shown[at]["text"])
            elif other is None or at >= len(other.shows) or other.shows[at].digest != value.digest:
                yield Compared("displayed", label, "not steady", value.text, shown[at]["text"])
            else:
                yield _judged("displayed", label, value, shown[at])
        drawn = package["figures"].get(name, [])
        for at, figure in enumerate(cell.figures):
            label = f"{name}[{at}]"
            if at >= len(drawn):
                yield Compared("figure", label, "missing")
            elif other is None or at >= len(other.figures) or other.figures[at] != figure:
                yield Compared("figure", label, "not steady")
            else:
                yield Compared("figure", label, "equal" if drawn[at] == figure else "differs")


def _judged(what: Literal["value", "displayed"], name: str, value: Value, found: Mapping[str, Any]) -> Compared:
    if found["digest"] == value.digest:
        return Compared(what, name, "equal")
    return Compared(what, name, "differs", f"{value.kind} {value.text}", f"{found['kind']} {found['text']}")
