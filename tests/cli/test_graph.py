"""A pipeline drawn as SVG."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from nbproof.cli.graph import layered, reduced, svg
from nbproof.records import Pipeline, Task

SVG = "{http://www.w3.org/2000/svg}"
Upstream = dict[str, tuple[str, ...]]


def pipeline(upstream: Upstream, name: str = "credit") -> Pipeline:
    tasks = tuple(
        Task(task, Path(f"/p/{task}.ipynb"), {}, above, {"nb": Path(f"/p/build/{task}.ipynb")})
        for task, above in upstream.items()
    )
    return Pipeline(name, Path("/p/pipeline.yaml"), Path("/p"), Path("/p"), tasks)


@st.composite
def dags(draw: st.DrawFn) -> Upstream:
    """Any DAG of up to twelve tasks, in topological order."""
    names = [f"task_{number}" for number in range(draw(st.integers(1, 12)))]
    return {
        name: tuple(sorted(draw(st.sets(st.sampled_from(names[:position]))))) if position else ()
        for position, name in enumerate(names)
    }


def above(upstream: Upstream) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task, direct in upstream.items():
        found[task] = set(direct).union(*(found[name] for name in direct))
    return found


@given(dags())
def test_fewer_arrows_say_the_same(upstream: Upstream) -> None:
    """The reduced DAG orders the tasks as the whole one does, and no arrow of it can be spared."""
    fewer = reduced(upstream)

    assert above(fewer) == above(upstream)
    for task, direct in fewer.items():
        for name in direct:
            spared = {**fewer, task: tuple(other for other in direct if other != name)}
            assert above(spared) != above(upstream)


@given(dags())
def test_every_arrow_points_to_a_later_layer(upstream: Upstream) -> None:
    """A task stands behind everything it reads."""
    layers = layered(upstream)

    assert all(layers[name] < layers[task] for task, direct in upstream.items() for name in direct)


@given(dags())
def test_boxes_do_not_overlap_and_stay_on_the_page(upstream: Upstream) -> None:
    """Each task has one box, no two boxes share a point, and the page holds them all."""
    root = ElementTree.fromstring(svg(pipeline(upstream)))
    boxes = [[float(box.attrib[side]) for side in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect")]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])

    assert len(boxes) == len(upstream)
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for other_x, other_y, other_w, other_h in boxes[:number]:
            assert x >= other_x + other_w or other_x >= x + w or y >= other_y + other_h or other_y >= y + h


def test_names_are_text_and_never_markup() -> None:
    """A task called like a tag is shown, not obeyed."""
    drawing = svg(pipeline({"<script>&\"'": ()}, name="</title>"))

    root = ElementTree.fromstring(drawing)
    assert [text.text for text in root.iter(f"{SVG}text")] == ["<script>&\"'"]
    assert root.findtext(f"{SVG}title") == "Pipeline </title>"


def test_the_drawing_says_itself_in_words() -> None:
    """Who cannot see the drawing reads the order and the states in its description."""
    root = ElementTree.fromstring(
        svg(pipeline({"load": (), "report": ("load",)}), {"load": "fresh", "report": "stale"})
    )

    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}desc") == "2 tasks: load first (fresh); report after load (stale)."
    assert [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")] == ["load: fresh", "report: stale"]


def test_a_long_pipeline_is_folded() -> None:
    """Eleven tasks in a row do not make a strip that nobody can read."""
    names = [f"{number:02d}_phase" for number in range(1, 12)]
    chain = {name: tuple(names[:position][-1:]) for position, name in enumerate(names)}

    root = ElementTree.fromstring(svg(pipeline(chain)))

    assert float(root.attrib["width"]) < 900
    assert len({box.attrib["y"] for box in root.iter(f"{SVG}rect")}) == 3
