"""What is different between two notebooks as a reviewer sees it: cells, lines, parameters, outputs, metrics."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..notebook import digest as digests
from ..notebook.document import Document
from ..records import ContentHash
from .binding import shown

# Below this two cells have nothing to do with one another.
ALIKE = 0.5
LONGEST = 200_000
MOST_PAIRS = 40_000

Fate = Literal["added", "removed", "changed", "moved", "moved and changed"]


@dataclass(frozen=True, slots=True)
class Part:
    """A cell as it counts: its kind, its text, its tags; `id` may be "" where nobody kept it."""

    id: str
    kind: str
    source: str
    tags: tuple[str, ...] = ()
    attached: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two notebooks: its cells, the hash of what each shows (None: not known), its parameters and metrics."""

    digest: ContentHash
    parts: tuple[Part, ...]
    outputs: Mapping[str, str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellChange:
    """What became of one cell. Places count from 1; each of `lines` has `+`, `-` or a blank in front."""

    fate: Fate
    id: str
    kind: str
    before: int | None
    after: int | None
    lines: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs; empty when a reviewer would see the same."""

    before: ContentHash
    after: ContentHash
    cells: tuple[CellChange, ...] = ()
    parameters: tuple[tuple[str, str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str, str], ...] = ()
    things: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.cells or self.parameters or self.outputs or self.metrics or self.things)


def of_document(document: Document, parameters: Mapping[str, Any] | None = None) -> Side:
    """A notebook as it lies there."""
    attached = {cell["id"]: cell.get("attachments") for cell in document.content.get("cells", ())}
    parts = tuple(
        Part(cell.id, cell.kind, cell.source, tuple(sorted(set(cell.tags))), _spelled(attached.get(cell.id)))
        for cell in digests.counted(document)
    )
    return Side(digests.digest(document), parts, shown(document), parameters or {})


def of_content(
    content: bytes,
    *,
    ids: Sequence[str] = (),
    outputs: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Side:
    """A notebook as its canonical content was kept; its cells' ids come from the decision about it."""
    # What a file holds of half characters, the digest counts.
    cells = json.loads(content.decode("utf-8", "surrogatepass"))["cells"]
    named = [*ids, *[""] * len(cells)]
    parts = tuple(
        Part(id_, cell["kind"], cell["source"], tuple(cell["tags"]), _spelled(cell.get("attachments")))
        for id_, cell in zip(named, cells, strict=False)
    )
    return Side(ContentHash.of(content), parts, outputs, parameters or {}, metrics or {})


def compare(before: Side, after: Side) -> Difference:
    """Return what differs: each cell is followed by its id, then by its text, then by likeness."""
    pairs = _paired(before.parts, after.parts)
    cells = tuple(_cells(before.parts, after.parts, pairs))
    changed = {change.after for change in cells if change.lines}
    return Difference(
        before.digest,
        after.digest,
        cells,
        _values(before.parameters, after.parameters),
        tuple(_outputs(before, after, pairs, changed)),
        _values(before.metrics, after.metrics),
    )


def text(found: Difference) -> str:
    """The difference in lines, for a terminal or a mail."""
    if found.is_empty:
        return "no difference"
    lines: list[str] = [f"{before} → {after}" for before, after in [(found.before.short, found.after.short)]]
    lines += [f"* {thing}" for thing in found.things]
    lines += [f"parameter {name}: {before} → {after}" for name, before, after in found.parameters]
    lines += [f"metric {name}: {before} → {after}" for name, before, after in found.metrics]
    for change in found.cells:
        place = change.after or change.before
        lines.append(f"cell {place} ({change.kind}) {change.fate}{': ' + change.words if change.words else ''}")
        lines += [f"    {line}" for line in change.lines]
    lines += [f"cell {cell}: its output differs" for cell in found.outputs]
    return "\n".join(lines)


def to_json(found: Difference) -> dict[str, Any]:
    """The difference for machines."""
    return {
        "before": str(found.before),
        "after": str(found.after),
        "same": found.is_empty,
        "cells": [
            {"fate": c.fate, "id": c.id, "kind": c.kind, "before": c.before, "after": c.after, "lines": list(c.lines),
             "words": c.words}
            for c in found.cells
        ],
        "parameters": [{"name": name, "before": before, "after": after} for name, before, after in found.parameters],
        "metrics": [{"name": name, "before": before, "after": after} for name, before, after in found.metrics],
        "outputs": list(found.outputs),
        "things": list(found.things),
    }  # fmt: skip


def _paired(before: Sequence[Part], after: Sequence[Part]) -> dict[int, int]:
    """For each cell of `after` that has one, its cell of `before`."""
    pairs: dict[int, int] = {}
    _pair_equal(before, after, pairs, key=lambda part: part.id or None, fits=_fits)
    _pair_equal(before, after, pairs, key=lambda part: (part.kind, part.source, part.tags), fits=lambda *_: True)
    free = sorted(set(range(len(before))) - set(pairs.values()))
    scored = []
    # Likeness is found pair by pair; of notebooks with nothing in common nobody wants to wait for it.
    if len(free) * (len(after) - len(pairs)) > MOST_PAIRS:
        return pairs
    for new in (place for place in range(len(after)) if place not in pairs):
        for old in free:
            score = _likeness(before[old], after[new])
            if score >= ALIKE:
                scored.append((-score, abs(old - new), new, old))
    # The best pairs first; each cell once.
    for _, _, new, old in sorted(scored):
        if new not in pairs and old not in pairs.values():
            pairs[new] = old
    return pairs


def _pair_equal(before: Sequence[Part], after: Sequence[Part], pairs: dict[int, int], *, key: Any, fits: Any) -> None:
    taken = set(pairs.values())
    known: dict[Any, list[int]] = {}
    for place, part in enumerate(before):
        if place not in taken and key(part) is not None:
            known.setdefault(key(part), []).append(place)
    for place, part in enumerate(after):
        if place not in pairs and known.get(key(part)) and fits(before[known[key(part)][0]], part):
            pairs[place] = known[key(part)].pop(0)


def _fits(old: Part, new: Part) -> bool:
    # An id made from a cell's position is that of another cell as soon as one is added above.
    return not new.id.startswith("cell-") or old.source == new.source or _likeness(old, new) >= ALIKE


def _likeness(old: Part, new: Part) -> float:
    if old.kind != new.kind or not (old.source.strip() and new.source.strip()):
        return 0.0
    matcher = difflib.SequenceMatcher(None, old.source[:4000], new.source[:4000], autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE else 0.0


def _cells(before: Sequence[Part], after: Sequence[Part], pairs: Mapping[int, int]) -> list[CellChange]:
    stayed = _in_order([pairs[new] for new in sorted(pairs)])
    found = []
    for new, part in enumerate(after):
        if new not in pairs:
            found.append(CellChange("added", part.id, part.kind, None, new + 1, _marked("+", part.source)))
            continue
        old = pairs[new]
        words, lines = _words(before[old], part), _lines(before[old].source, part.source)
        is_changed, is_moved = bool(words or lines), old not in stayed
        if is_changed or is_moved:
            fate: Fate = ("moved and changed" if is_moved else "changed") if is_changed else "moved"
            found.append(CellChange(fate, part.id, part.kind, old + 1, new + 1, lines, words))
    for old in sorted(set(range(len(before))) - set(pairs.values())):
        part = before[old]
        found.append(CellChange("removed", part.id, part.kind, old + 1, None, _marked("-", part.source)))
    return found


def _in_order(places: Sequence[int]) -> set[int]:
    """The most places that kept their order among one another: all others have moved."""
    best: list[list[int]] = []
    for place in places:
        before: list[int] = max((run for run in best if run[-1] < place), key=_length, default=[])
        best.append([*before, place])
    longest: list[int] = max(best, key=_length, default=[])
    return set(longest)


def _length(run: list[int]) -> int:
    return len(run)


def _words(old: Part, new: Part) -> str:
    said = []
    if old.kind != new.kind:
        said.append(f"{old.kind} became {new.kind}")
    if old.tags != new.tags:
        said.append(f"tags {', '.join(old.tags) or 'none'} became {', '.join(new.tags) or 'none'}")
    if old.attached != new.attached:
        said.append("its attached pictures changed")
    return "; ".join(said)


def _lines(old: str, new: str) -> tuple[str, ...]:
    if old == new:
        return ()
    if len(old) + len(new) > LONGEST:
        return ("- (too long to be compared line by line)", "+ (too long to be compared line by line)")
    unified = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
    lines = tuple(f"{line[:1]} {line[1:]}" for line in unified if not line.startswith(("---", "+++", "@@")))
    # Ends of lines alone make no line of a difference, and still are another content.
    return lines or ("- (other ends of lines)", "+ (other ends of lines)")


def _marked(mark: str, source: str) -> tuple[str, ...]:
    return tuple(f"{mark} {line}" for line in source[:LONGEST].splitlines())


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    names = dict.fromkeys([*before, *after])
    sides = ((name, *(_value(side, name) for side in (before, after))) for name in names)
    return tuple((name, old, new) for name, old, new in sides if old != new)


def _value(side: Mapping[str, Any], name: str) -> str:
    return json.dumps(side[name], ensure_ascii=False, sort_keys=True, default=str) if name in side else "—"


def _outputs(before: Side, after: Side, pairs: Mapping[int, int], changed: set[int | None]) -> list[str]:
    """The cells that say something else although their code is the same; where nobody kept that, none."""
    if before.outputs is None or after.outputs is None:
        return []
    found = []
    for new, old in sorted(pairs.items()):
        was, now = before.outputs.get(before.parts[old].id), after.outputs.get(after.parts[new].id)
        if was != now and new + 1 not in changed:
            found.append(f"{new + 1}")
    return found


def _spelled(attachments: Any) -> str:
    return json.dumps(attachments, sort_keys=True) if attachments else ""
