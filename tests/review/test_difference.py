"""The difference of two notebooks: cells are followed, and nothing that counts is passed over."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.digest import canonical
from nbproof.notebook.document import Cell, Document
from nbproof.records import ContentHash
from nbproof.review.difference import Part, Side, compare, of_content, of_document, text, to_json


def side(*parts: Part, **facts: object) -> Side:
    return Side(ContentHash.of(repr(parts).encode()), parts, **facts)  # type: ignore[arg-type]


A, B, C = (Part(name, "code", f"{name} = 1\nprint({name})") for name in "abc")
CHANGED = Part("b", "code", "b = 2\nprint(b)")


def fates(before: Side, after: Side) -> list[tuple[str, str, int | None, int | None]]:
    return [(change.fate, change.id, change.before, change.after) for change in compare(before, after).cells]


def test_the_same_is_no_difference() -> None:
    """Equal cells in the same order differ in nothing."""
    assert compare(side(A, B), side(A, B)).is_empty
    assert text(compare(side(A), side(A))) == "no difference"


def test_a_changed_cell_shows_its_lines() -> None:
    """Lines that went and came are marked by a sign in front."""
    (change,) = compare(side(A, B), side(A, CHANGED)).cells

    assert (change.fate, change.lines) == ("changed", ("- b = 1", "+ b = 2", "  print(b)"))


def test_cells_that_come_and_go() -> None:
    """What is new is added, what is gone is removed, and the others stay what they are."""
    assert fates(side(A, B), side(A, C, B)) == [("added", "c", None, 2)]
    assert fates(side(A, B, C), side(A, C)) == [("removed", "b", 2, None)]


def test_a_cell_that_moved_is_followed() -> None:
    """The cell that left its place has moved; the others have not."""
    assert fates(side(A, B, C), side(C, A, B)) == [("moved", "c", 3, 1)]
    assert fates(side(A, C, B), side(CHANGED, A, C)) == [("moved and changed", "b", 3, 1)]


def test_cells_without_ids_are_followed_by_likeness() -> None:
    """Where nobody kept ids, the text tells which cell it is."""
    bare = [Part("", part.kind, part.source) for part in (A, B, CHANGED)]

    assert fates(side(bare[0], bare[1]), side(bare[0], bare[2])) == [("changed", "", 2, 2)]


def test_tags_and_kinds_count() -> None:
    """What changes how a cell is run, or what it is, is said in words."""
    (tagged,) = compare(side(A), side(Part("a", "code", A.source, ("skip-execution",)))).cells
    (became,) = compare(side(A), side(Part("a", "markdown", A.source))).cells

    assert tagged.words == "tags none became skip-execution"
    assert became.words == "code became markdown"


def test_ends_of_lines_are_a_difference() -> None:
    """Another digest is never shown as no difference."""
    (change,) = compare(side(Part("a", "code", "x\n")), side(Part("a", "code", "x"))).cells

    assert change.lines == ("- (other ends of lines)", "+ (other ends of lines)")


def test_parameters_metrics_and_outputs() -> None:
    """Values are shown before and after; an output is told of only where the code is the same."""
    before = side(A, B, parameters={"rows": 1, "old": 2}, metrics={"auc": 0.8}, outputs={"a": "1", "b": "1"})
    after = side(A, CHANGED, parameters={"rows": 2}, metrics={"auc": 0.9}, outputs={"a": "2", "b": "2"})

    found = compare(before, after)

    assert found.parameters == (("rows", "1", "2"), ("old", "2", "—"))
    assert found.metrics == (("auc", "0.8", "0.9"),)
    assert found.outputs == ("1",)
    assert to_json(found)["same"] is False


CELLS = st.lists(
    st.builds(
        lambda kind, source, tags: (kind, source, tuple(tags)),
        st.sampled_from(["code", "markdown"]),
        st.text("ab =\n", max_size=12),
        st.lists(st.sampled_from(["x", "y"]), max_size=2),
    ),
    max_size=5,
)


def document(cells: list[tuple[str, str, tuple[str, ...]]]) -> Document:
    made = tuple(Cell(f"id-{n}", kind, source, tags) for n, (kind, source, tags) in enumerate(cells))  # type: ignore[arg-type]
    return Document(Path("x.ipynb"), made)


@given(CELLS, CELLS)
def test_another_digest_is_a_difference_and_the_same_is_none(one: list, other: list) -> None:  # type: ignore[type-arg]
    """The difference is empty exactly when the digests are equal, also against content that was kept."""
    before, after = document(one), document(other)
    kept = of_content(canonical(before), ids=[cell.id for cell in before.cells])

    for found in (compare(of_document(before), of_document(after)), compare(kept, of_document(after))):
        assert (found.cells == ()) == (found.before == found.after)
