"""A pipeline drawn as SVG: layers from left to right, folded into bands when there are many."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ..records import Pipeline

BOX_HEIGHT = 44
ROW_GAP = 22
LAYER_GAP = 44
BAND_GAP = 46
MARGIN = 18
CHARACTER_WIDTH = 8.2
LAYERS_IN_A_BAND = 4

# The colours are chosen for contrast 4.5:1 on both backgrounds; the state is also told by the border and the title.
STYLE = """\
text{font:14px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
rect{fill:#f6f8fa;stroke:#6e7781;stroke-width:1.5}
.fresh rect{fill:#dafbe1;stroke:#1a7f37}
.stale rect,.waits rect{fill:#fff8c5;stroke:#9a6700;stroke-dasharray:5 3}
.waits rect{stroke-dasharray:1 3}
path{fill:none;stroke:#6e7781;stroke-width:1.5}
marker path{fill:#6e7781;stroke:none}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#161b22;stroke:#8b949e}
.fresh rect{fill:#0f2d18;stroke:#3fb950}.stale rect,.waits rect{fill:#332a0c;stroke:#d29922}
path{stroke:#8b949e}marker path{fill:#8b949e}}"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: `x` and `y` are its left top; its `band`, a row of layers, starts at `band_top`."""

    band: int
    band_top: float
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.y + BOX_HEIGHT / 2

    @property
    def right(self) -> float:
        return self.x + self.width


# A point of an edge's way through a layer that it only crosses: (source, target, layer).
Waypoint = tuple[str, str, int]
Node = str | Waypoint


def svg(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """The pipeline as one self-contained SVG document.

    `states` maps task names to "fresh", "stale" or "waits"; a task without a state is drawn neutral. An arrow
    that a longer way of arrows already implies is left out.
    """
    edges = reduced({task.name: task.upstream for task in pipeline.tasks})
    layers = layered(edges)
    routes = _routes(edges, layers)
    places, width, height = _placed(_ordered(layers, routes))
    states = states or {}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-labelledby="title desc">',
        f'<title id="title">Pipeline {escape(pipeline.name, quote=False)}</title>',
        f'<desc id="desc">{escape(_described(pipeline, states), quote=False)}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        *(_arrow(route, places) for route in routes),
        *(_box(task.name, places[task.name], states.get(task.name, "")) for task in pipeline.tasks),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def reduced(upstream: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The same order with the fewest arrows (the transitive reduction); keys come in topological order.

    >>> reduced({"a": (), "b": ("a",), "c": ("a", "b")})
    {'a': (), 'b': ('a',), 'c': ('b',)}
    """
    above: dict[str, set[str]] = {}
    for task, direct in upstream.items():
        above[task] = set(direct).union(*(above[name] for name in direct))
    return {
        task: tuple(name for name in direct if not any(name in above[other] for other in direct))
        for task, direct in upstream.items()
    }


def layered(upstream: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The layer of each task: 0 without upstream, else one behind the last of its upstream."""
    layers: dict[str, int] = {}
    for task, direct in upstream.items():
        layers[task] = max((layers[name] + 1 for name in direct), default=0)
    return layers


def _routes(upstream: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> list[tuple[Node, ...]]:
    """Each arrow as the nodes that it passes, one a layer."""
    return [
        (source, *((source, task, layer) for layer in range(layers[source] + 1, layers[task])), task)
        for task, direct in upstream.items()
        for source in direct
    ]


def _ordered(layers: Mapping[str, int], routes: Sequence[tuple[Node, ...]]) -> list[list[Node]]:
    """The nodes of each layer, those with neighbours high up first, so that few arrows cross."""
    rows: list[list[Node]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for task, layer in layers.items():
        rows[layer].append(task)
    for route in routes:
        for node in route[1:-1]:
            rows[node[2] if isinstance(node, tuple) else layers[node]].append(node)
    before: dict[Node, list[Node]] = {}
    for route in routes:
        for left, right in itertools.pairwise(route):
            before.setdefault(right, []).append(left)
    for left_row, row in itertools.pairwise(rows):
        rank = {node: position for position, node in enumerate(left_row)}
        row.sort(key=lambda node: sum(rank[near] for near in before[node]) / len(before[node]))
    return rows


def _placed(rows: Sequence[Sequence[Node]]) -> tuple[dict[Node, Place], float, float]:
    """Where each node stands, and the width and height of the whole."""
    places: dict[Node, Place] = {}
    total_width, y = 0.0, float(MARGIN)
    for band, start in enumerate(range(0, len(rows), LAYERS_IN_A_BAND)):
        columns = rows[start : start + LAYERS_IN_A_BAND]
        tallest = max(map(len, columns))
        x = float(MARGIN + (LAYER_GAP if band else 0))
        for column in columns:
            width = max(_width(node) for node in column)
            top = y + (tallest - len(column)) * (BOX_HEIGHT + ROW_GAP) / 2
            for position, node in enumerate(column):
                places[node] = Place(band, y, x, top + position * (BOX_HEIGHT + ROW_GAP), width)
            x += width + LAYER_GAP
        total_width = max(total_width, x)
        y += tallest * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + BAND_GAP
    return places, total_width + MARGIN, max(y - BAND_GAP, 0) + MARGIN


def _width(node: Node) -> float:
    return round(len(node) * CHARACTER_WIDTH) + 28 if isinstance(node, str) else 0


def _arrow(route: Sequence[Node], places: Mapping[Node, Place]) -> str:
    stops = [places[node] for node in route]
    way = f"M{stops[0].right:g},{stops[0].middle:g}"
    for left, right in itertools.pairwise(stops):
        way += _straight(left, right) if left.band == right.band else _folded(left, right)
        # A node that is only crossed may be wider than the point where the arrow enters it.
        way += f" L{right.right:g},{right.middle:g}" if right is not stops[-1] else ""
    return f'<path d="{way}" marker-end="url(#arrow)"/>'


def _straight(left: Place, right: Place) -> str:
    half = (left.right + right.x) / 2
    return f" C{half:g},{left.middle:g} {half:g},{right.middle:g} {right.x:g},{right.middle:g}"


def _folded(left: Place, right: Place) -> str:
    """The way from the end of one band to the start of the next, through the gap between them."""
    corner = 10
    out, back = left.right + LAYER_GAP / 2, right.x - LAYER_GAP / 2
    lane = right.band_top - BAND_GAP / 2
    return (
        f" H{out - corner:g} q{corner},0 {corner},{corner} V{lane - corner:g} q0,{corner} -{corner},{corner}"
        f" H{back + corner:g} q-{corner},0 -{corner},{corner} V{right.middle - corner:g} q0,{corner} {corner},{corner}"
        f" H{right.x:g}"
    )


def _box(task: str, place: Place, state: str) -> str:
    label = f"{task}: {state}" if state else task
    group = f'<g class="{escape(state)}">' if state else "<g>"
    return (
        f"{group}<title>{escape(label, quote=False)}</title>"
        f'<rect x="{place.x:g}" y="{place.y:g}" width="{place.width:g}" height="{BOX_HEIGHT}" rx="8"/>'
        f'<text x="{place.x + place.width / 2:g}" y="{place.middle + 5:g}" text-anchor="middle">'
        f"{escape(task, quote=False)}</text>"
        "</g>"
    )


def _described(pipeline: Pipeline, states: Mapping[str, str]) -> str:
    """The drawing in words, for those who cannot see it."""
    told = []
    for task in pipeline.tasks:
        after = f" after {', '.join(task.upstream)}" if task.upstream else " first"
        told.append(f"{task.name}{after}" + (f" ({states[task.name]})" if task.name in states else ""))
    return f"{len(pipeline.tasks)} tasks: {'; '.join(told)}."
