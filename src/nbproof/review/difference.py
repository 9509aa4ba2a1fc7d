"""What is different between two states of a notebook as a reviewer sees it.

Cells and their lines, parameters, data, environment, outputs, figures, metrics, and what explains the model.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..notebook import digest as digests
from ..notebook.document import Document
from ..records import ContentHash
from .binding import shown

# Below this two cells have nothing to do with one another.
ALIKE = 0.5
LONGEST = 200_000
MOST_PAIRS = 40_000

# The MIME type of a picture and its content: base64, or the text of an SVG.
Picture = tuple[str, str]
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
    """One of two states: its cells, what each shows, parameters and metrics; None is what nobody knows of it.

    `data` and `modules` map names to hashes, `environment` packages to versions (or a lock to its hash), `figures` ids
    of cells to pictures, `importance` features to their mean absolute shares. `title` says which state.
    """

    digest: ContentHash
    parts: tuple[Part, ...]
    outputs: Mapping[str, str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] | None = field(default_factory=dict)
    data: Mapping[str, str] | None = None
    modules: Mapping[str, str] | None = None
    environment: Mapping[str, str] | None = None
    figures: Mapping[str, Picture] | None = field(default=None, repr=False)
    importance: Mapping[str, float] | None = None
    title: str = ""


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
class FigureChange:
    """The picture of a cell (its place on the later side, or else on the earlier), before and after."""

    cell: int
    before: Picture | None
    after: Picture | None


@dataclass(frozen=True, slots=True)
class Explained:
    """How far two explanations agree: `ndcg` of the order of importance, and each feature's share before and after."""

    ndcg: float
    shares: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that differs; empty when a reviewer would see the same. `unknown` names what could not be compared."""

    before: ContentHash
    after: ContentHash
    cells: tuple[CellChange, ...] = ()
    parameters: tuple[tuple[str, str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str, str], ...] = ()
    things: tuple[str, ...] = ()
    data: tuple[tuple[str, str, str], ...] = ()
    environment: tuple[tuple[str, str, str], ...] = ()
    figures: tuple[FigureChange, ...] = field(default=(), repr=False)
    explained: Explained | None = None
    unknown: tuple[str, ...] = ()
    titles: tuple[str, str] = ("", "")

    @property
    def is_empty(self) -> bool:
        return not (
            self.cells or self.parameters or self.outputs or self.metrics or self.things or self.data
            or self.environment or self.figures or (self.explained is not None and self.explained.shares)
        )  # fmt: skip


def of_document(document: Document, parameters: Mapping[str, Any] | None = None) -> Side:
    """A notebook as it lies there."""
    attached = {cell["id"]: cell.get("attachments") for cell in document.content.get("cells", ())}
    parts = tuple(
        Part(cell.id, cell.kind, cell.source, tuple(sorted(set(cell.tags))), _spelled(attached.get(cell.id)))
        for cell in digests.counted(document)
    )
    return Side(digests.digest(document), parts, shown(document), parameters or {}, figures=_figures(document))


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
    if before.environment and after.environment and not {*before.environment} & {*after.environment}:
        # A lock on one side and packages on the other say the same in two languages.
        before, after = replace(before, environment=None), replace(after, environment=None)
    return Difference(
        before.digest,
        after.digest,
        cells,
        _values(before.parameters, after.parameters),
        tuple(_outputs(before, after, pairs, changed)),
        _known(before.metrics, after.metrics),
        data=(*_known(before.data, after.data), *_known(before.modules, after.modules)),
        environment=_known(before.environment, after.environment),
        figures=tuple(_pictures(before, after, pairs)),
        explained=explained(before.importance, after.importance),
        unknown=tuple(name for name in _COMPARED if None in (getattr(before, name), getattr(after, name))),
        titles=(before.title, after.title),
    )


_COMPARED = ("data", "modules", "environment", "metrics", "figures", "importance")


def explained(before: Mapping[str, float] | None, after: Mapping[str, float] | None) -> Explained | None:
    """How far the order of importance agrees: the lower of both nDCGs. None where a side is not known or all zero."""
    if not before or not after or not any(before.values()) or not any(after.values()):
        return None
    import numpy as np

    from ..explain.metrics.drift import ndcg

    names = sorted({*before, *after})
    was, now = (np.array([abs(side.get(name, 0.0)) for name in names]) for side in (before, after))
    changed = [(name, float(was[n] / was.sum()), float(now[n] / now.sum())) for n, name in enumerate(names)
               if was[n] != now[n]]  # fmt: skip
    changed.sort(key=lambda one: -abs(one[2] - one[1]))
    return Explained(min(float(ndcg(now, was)), float(ndcg(was, now))), tuple(changed))


def text(found: Difference) -> str:
    """The difference in lines, for a terminal or a mail."""
    if found.is_empty:
        return "no difference"
    titles = " → ".join(filter(None, found.titles))
    lines = [f"{found.before.short} → {found.after.short}" + (f" ({titles})" if titles else "")]
    lines += [f"* {thing}" for thing in found.things]
    lines += [f"data {name}: {before[:12]} → {after[:12]}" for name, before, after in found.data]
    lines += [f"environment {name}: {before[:20]} → {after[:20]}" for name, before, after in found.environment]
    lines += [f"parameter {name}: {before} → {after}" for name, before, after in found.parameters]
    lines += [f"metric {name}: {before} → {after}" for name, before, after in found.metrics]
    for change in found.cells:
        place = change.after or change.before
        lines.append(f"cell {place} ({change.kind}) {change.fate}{': ' + change.words if change.words else ''}")
        lines += [f"    {line}" for line in change.lines]
    lines += [f"cell {cell}: its output differs" for cell in found.outputs]
    lines += [f"cell {figure.cell}: its figure {_fate(figure)}" for figure in found.figures]
    if found.explained is not None and found.explained.shares:
        lines.append(f"explanation: nDCG {found.explained.ndcg:.3f}")
        lines += [f"    {name}: {before:.1%} → {after:.1%} of all importance"
                  for name, before, after in found.explained.shares[:10]]  # fmt: skip
    lines += [f"not compared, since one side does not know it: {name}" for name in found.unknown]
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
        "data": [{"name": name, "before": before, "after": after} for name, before, after in found.data],
        "environment": [{"name": name, "before": before, "after": after} for name, before, after in found.environment],
        "figures": [{"cell": figure.cell, "fate": _fate(figure)} for figure in found.figures],
        "explanation": None if found.explained is None else {
            "ndcg": found.explained.ndcg,
            "shares": [{"name": name, "before": old, "after": new} for name, old, new in found.explained.shares],
        },
        "unknown": list(found.unknown),
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


def _known(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[tuple[str, str, str], ...]:
    """The values that differ; none where a side is not known."""
    if before is None or after is None:
        return ()
    return tuple((name, old.strip('"'), new.strip('"')) for name, old, new in _values(before, after))


def _figures(document: Document) -> dict[str, Picture]:
    """The last picture that each cell shows, by the cell's id."""
    found: dict[str, Picture] = {}
    for cell in document.content.get("cells", ()):
        for output in cell.get("outputs", ()):
            for mime, content in output.get("data", {}).items():
                if mime in ("image/png", "image/svg+xml", "image/jpeg"):
                    text = content if isinstance(content, str) else "".join(map(str, content))
                    found[str(cell["id"])] = (mime, text.strip())
    return found


def _pictures(before: Side, after: Side, pairs: Mapping[int, int]) -> list[FigureChange]:
    if before.figures is None or after.figures is None:
        return []
    found = []
    for new, part in enumerate(after.parts):
        was = before.figures.get(before.parts[pairs[new]].id) if new in pairs else None
        now = after.figures.get(part.id)
        if was != now:
            found.append(FigureChange(new + 1, was, now))
    gone = sorted(set(range(len(before.parts))) - set(pairs.values()))
    lost = ((old, before.figures.get(before.parts[old].id)) for old in gone)
    return [*found, *(FigureChange(old + 1, was, None) for old, was in lost if was is not None)]


def _fate(figure: FigureChange) -> str:
    return "is new" if figure.before is None else "is gone" if figure.after is None else "differs"


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
