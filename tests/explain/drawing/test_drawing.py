"""Pictures that stand alone: well formed, accessible, the same twice, and true to their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import UnknownName
from nbproof.explain.drawing import bars, beeswarm, dependence, importance, waterfall
from nbproof.explain.drawing.canvas import DARK, LIGHT, Canvas, cut, lines_of, tidy, width_of
from nbproof.explain.drawing.scale import number, scale_for
from nbproof.explain.explanation import Explanation, Surrogate

SVG = "{http://www.w3.org/2000/svg}"
QUICK = settings(deadline=None, max_examples=25)


def shapley(rows: int = 6, features: int = 4, **change: Any) -> Explanation:
    """Shares of a linear model, one of them zero in the first row."""
    draw = np.random.default_rng(0)
    data = draw.normal(size=(rows, features))
    values = (data * np.arange(features))[:, :, None].astype(np.float32)
    base = np.full((rows, 1), 0.5)
    made = Explanation(
        values=values,
        base=base,
        prediction=base + values.sum(axis=1, dtype=np.float64),
        data=data,
        feature_names=tuple(f"feature {at}" for at in range(features)),
        output_names=("default",),
        unit="log-odds",
        method="linear",
        is_exact=True,
        complement="repaid",
    )
    return replace(made, **change)


def local(beside: Explanation) -> Explanation:
    """A surrogate of the same rows that selected two features."""
    rows, features, _ = beside.shape
    coefficients = beside.values.astype(np.float64) / 2
    coefficients[:, 2:] = 0
    return replace(
        beside,
        values=coefficients.astype(np.float32),
        method="LIME",
        is_exact=False,
        seed=0,
        surrogate=Surrogate(
            coefficients=coefficients,
            intercept=beside.base,
            r2=np.full((rows, 1), 0.42),
            local=beside.base + coefficients.sum(axis=1),
            predicted=beside.prediction,
            selected=np.tile(np.array([0, 1]), (rows, 1, 1)),
            bins=np.zeros((rows, features), dtype=np.int64),
            bin_names=tuple((f"{name} <= 0.00",) for name in beside.feature_names),
        ),
    )


DRAWN: dict[str, Callable[[Explanation], str]] = {
    "bars": bars,
    "side by side": lambda made: bars(made, local(made)),
    "waterfall": waterfall,
    "importance": importance,
    "beeswarm": beeswarm,
    "dependence": lambda made: dependence(made, 1),
}
kinds = pytest.mark.parametrize("kind", DRAWN)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words(svg: str) -> str:
    found = parsed(svg).find(f"{SVG}desc")
    assert found is not None
    assert found.text
    return found.text


@kinds
def test_a_picture_is_accessible(kind: str) -> None:
    """It is an image with a name, and its numbers stand in words in its description."""
    root = parsed(DRAWN[kind](shapley()))

    title, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert title is not None
    assert told is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
    assert "log-odds of default" in (title.text or "")
    assert re.search(r"feature 1|[−+]\d", told.text or "")


@kinds
def test_a_picture_needs_nothing_from_elsewhere(kind: str) -> None:
    """Neither script, nor font, nor picture, nor address is loaded; ids point into the picture itself."""
    svg = DRAWN[kind](shapley())

    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<image|<use|<foreignObject|@import|@font-face|href|\bon\w+=", svg)
    for target in re.findall(r"url\(#([^)]+)\)", svg):
        assert f'id="{target}"' in svg


@kinds
def test_a_picture_is_the_same_twice(kind: str) -> None:
    """The same explanation is drawn by the same bytes."""
    assert DRAWN[kind](shapley()) == DRAWN[kind](shapley())


@kinds
def test_two_pictures_on_one_page_do_not_share_ids(kind: str) -> None:
    """Ids follow from the content, so that each picture is read with its own words."""
    one, other = DRAWN[kind](shapley()), DRAWN[kind](shapley(base=np.full((6, 1), 9.0)))

    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    if one != other:
        assert ids[0] & ids[1] == set()


@given(st.lists(st.text(min_size=1, max_size=30), min_size=4, max_size=4, unique=True), st.text(min_size=1, max_size=9))
@QUICK
def test_any_name_can_be_drawn(names: list[str], output: str) -> None:
    """Markup, control characters, marks of direction and lone surrogates in names never break a picture."""
    made = shapley(feature_names=tuple(names), output_names=(output,), complement=None, feature_units=tuple(names))

    for draw in DRAWN.values():
        parsed(draw(made))
        draw(made).encode()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=8, max_size=8))
@QUICK
def test_any_share_can_be_drawn(shares: list[float]) -> None:
    """Shares of any size, all zero or all the same, have places that are finite numbers."""
    values = np.array(shares, dtype=np.float32).reshape(2, 4, 1)
    base = np.zeros((2, 1))
    made = shapley(2, values=values, base=base, prediction=base + values.sum(axis=1, dtype=np.float64))

    for draw in DRAWN.values():
        assert not re.search(r'="[^"]*(nan|inf)[^"]*"', draw(made))
        parsed(draw(made))


def test_markup_in_a_name_is_text() -> None:
    """A name cannot bring a script into the page."""
    made = shapley(feature_names=("<script>alert(1)</script>", '" onload="x', "&amp;", "d"))

    svg = bars(made)

    assert "<script" not in svg
    assert 'onload="' not in svg
    assert '" onload="x' in words(svg)
    assert "&amp;amp;" in svg


def bars_in(svg: str) -> list[tuple[float, float, str]]:
    """Left end, width and colour of each bar, from the top; stripes are no bars."""
    return [
        (float(each.get("x", 0)), float(each.get("width", 0)), each.get("fill", ""))
        for each in parsed(svg).findall(f"{SVG}rect")
        if each.get("rx") == "2" and not each.get("fill", "").startswith("url")
    ]


def test_bars_are_as_long_as_their_shares_on_one_scale() -> None:
    """Beside one another both methods are measured by the same rule, to the hundredth of a point."""
    made = shapley()
    beside = local(made)
    order = np.argsort(-np.abs(made.values[0, :, 0]), kind="stable")

    drawn = bars_in(bars(made, beside))

    shares = [float(made.values[0, at, 0]) for at in order if made.values[0, at, 0]]
    halves = [float(beside.values[0, at, 0]) for at in order if at < 2 and beside.values[0, at, 0]]
    wide = [width for _, width, _ in drawn if width > 0.75]
    ruler = wide[0] / abs(shares[0])
    np.testing.assert_allclose(wide, [abs(each) * ruler for each in (*shares, *halves)], atol=0.02)


def test_a_sign_is_seen_without_colour() -> None:
    """What lowers the answer is striped, points to the left and has a minus; what raises it has a plus."""
    values = np.array([[[2.0], [-1.0]]], np.float32)
    made = shapley(1, 2, values=values, base=np.zeros((1, 1)), prediction=np.ones((1, 1)))

    svg = bars(made)

    (up_left, _, up), (down_left, down_width, down) = bars_in(svg)
    assert (up, down) == (LIGHT["up"], LIGHT["down"])
    assert down_left + down_width == pytest.approx(up_left, abs=0.02)
    assert svg.count('fill="url(#stripes-') == 1
    assert ">+2<" in svg
    assert ">−1<" in svg


@kinds
def test_one_class_is_never_taken_for_the_other(kind: str) -> None:
    """The output is named in the title; asked for by name, the first class of two is drawn with its own sign."""
    made = shapley()

    assert "default" in DRAWN[kind](made)
    assert "log-odds of repaid" in bars(made, output="repaid")
    assert bars_in(bars(made, output="repaid"))[0][2] != bars_in(bars(made))[0][2]


def test_words_hold_all_the_numbers() -> None:
    """Whoever does not see the picture is told prediction, base and each share with its value."""
    values = np.array([[[0.25], [-0.125]]], np.float32)
    made = shapley(1, 2, values=values, base=np.full((1, 1), 0.5), prediction=np.full((1, 1), 0.625),
                   data=np.array([[31.0, "b"]], dtype=object), feature_units=("years", ""))  # fmt: skip

    assert words(bars(made)) == (
        "One row. SHAP, exact, output default, in log-odds: prediction 0.625, base 0.500. "
        "Shares: feature 0 = 31 years: +0.250; feature 1 = b: −0.125."
    )


def test_what_does_not_add_up_is_told() -> None:
    """A picture whose shares miss the prediction says by how much; LIME's never promised to."""
    made = shapley(prediction=shapley().prediction + 0.25)

    assert "Base and shares miss the prediction by 0.250." in waterfall(made)
    assert "miss the prediction" not in waterfall(shapley())
    assert "miss the prediction" not in bars(local(made))


def test_what_has_no_room_is_summed() -> None:
    """Features that are not drawn stand in one line with their sum, so that nothing is lost."""
    made = shapley(features=9)

    svg = bars(made, features=3)

    order = np.argsort(-np.abs(made.values[0, :, 0]), kind="stable")
    assert "6 other features" in svg
    rest = float(made.values[0, order[3:], 0].sum(dtype=np.float64))
    assert number(abs(rest)) in svg


def test_a_row_that_was_cut_out_has_no_number() -> None:
    """Of many rows the picture says which; of one alone it does not claim to know which it was."""
    assert "in row 3 of 6" in bars(shapley(), row=3)
    assert words(bars(shapley(), row=3)).startswith("Row 3 of 6. ")
    assert "row 0" not in bars(shapley()[3]).lower()
    assert words(waterfall(shapley()[3])).startswith("One row. ")


def test_long_notes_go_on_in_the_next_line() -> None:
    """No note is cut; of more than there is room for the picture says how many there are."""
    long = "what a reader must know " * 12
    made = shapley(notes=(long, "b", "c", "d", "e"))

    svg = bars(made)

    assert "…" not in svg
    assert svg.count(">what a reader") + svg.count("must know</text>") >= 2
    assert "2 more notes in the explanation." in svg
    assert lines_of("aa bb cc", width_of("aa bb")) == ["aa bb", "cc"]


def test_notes_and_errors_are_shown() -> None:
    """What a reader must know stands below; sampled shares have whiskers."""
    made = shapley(notes=("the background holds the row",), error=np.full((6, 4, 1), 0.1, np.float32), is_exact=False)

    svg = bars(made)

    assert ">the background holds the row<" in svg
    assert "95 % interval" in svg
    assert words(svg).endswith("the background holds the row.")
    assert "SHAP, exact" not in svg


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unit": "probability"}, "explanations in log-odds and in probability have no scale in common"),
        ({"feature_names": ("a", "b", "c", "d")}, "explanations of different features"),
        ({"prediction": np.zeros((6, 1))}, "explanations of different rows or models"),
    ],
)
def test_what_cannot_be_compared_is_not_drawn_side_by_side(change: dict[str, Any], said: str) -> None:
    """Two units, two sets of features or two models have no scale in common."""
    with pytest.raises(ValueError, match=said):
        bars(shapley(), replace(shapley(), **change))


def test_what_there_is_not_cannot_be_drawn() -> None:
    """A row, a feature and an output that there are not are named."""
    with pytest.raises(UnknownName, match="no row is called `6`; known: 0 … 5"):
        bars(shapley(), row=6)
    with pytest.raises(UnknownName, match="no feature is called `age`"):
        dependence(shapley(), "age")
    with pytest.raises(UnknownName, match="no output is called `maybe`; known: default, repaid"):
        waterfall(shapley(), output="maybe")


def test_many_rows_are_drawn_in_part_and_say_so() -> None:
    """Of a thousand rows three hundred are dots, and the picture says that; its words are of all of them."""
    made = shapley(1000)

    svg = beeswarm(made)

    assert "300 rows drawn" in svg
    assert svg.count("h0") == 4 * 300
    assert len(svg) < 40_000
    assert number(float(made.values[:, 3].max())) in words(svg)


def test_direction_is_said_without_colour() -> None:
    """A rising feature raises, a falling one lowers, a bent one is mixed, text has categories."""
    data = np.array([[float(at), float(at), float(at), "ab"[at % 2]] for at in range(21)], dtype=object)
    rising = np.arange(21) - 10.0
    values = np.stack([rising, -rising, rising**2, rising], axis=1)[:, :, None].astype(np.float32)
    base = np.zeros((21, 1))

    told = words(beeswarm(shapley(21, values=values, data=data, base=base, prediction=values.sum(axis=1) + base)))

    assert "feature 0: from −10 to +10, higher ▲ raises" in told
    assert "feature 1: from −10 to +10, higher ▼ lowers" in told
    assert "feature 2: from 0 to +100, mixed" in told
    assert "feature 3: from −10 to +10, by category" in told


def test_dependence_says_the_mean_along_the_way() -> None:
    """Of categories each has its mean, of numbers ten parts have theirs, and what is missing has its own."""
    data = np.array([["a", 1.0], ["b", np.nan], ["a", 3.0]], dtype=object)
    values = np.array([[[1.0], [1.0]], [[2.0], [7.0]], [[2.0], [3.0]]], np.float32)
    base = np.zeros((3, 1))
    made = shapley(3, 2, values=values, data=data, base=base, prediction=values.sum(axis=1) + base)

    assert words(dependence(made, 0)).endswith("Mean share: a: +1.50; b: +2.")
    assert words(dependence(made, 1)).endswith("Mean share: at 1: +1; at 3: +3; where it is missing: +7.")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_can_be_read_on_both_cards(theme: dict[Any, str]) -> None:
    """Text has a contrast of at least 4.5 to its card, and bars of at least 3 (WCAG 2.2, AA)."""
    for ink in ("text", "quiet", "up-text", "down-text"):
        assert contrast(theme[ink], theme["card"]) >= 4.5, ink
    for ink in ("up", "down", "size"):
        assert contrast(theme[ink], theme["card"]) >= 3, ink


def test_the_dark_theme_changes_every_colour() -> None:
    """The style for dark readers reaches each mark: card, lines, bars and words."""
    svg = bars(shapley())

    for kind, ink in set(re.findall(r'class="nbproof-(fill|stroke)-([\w-]+)"', svg)):
        assert f".nbproof-{kind}-{ink}{{{kind}:{DARK[ink]}}}" in svg  # type: ignore[index]


def test_ticks_are_round_and_within() -> None:
    """An axis is labelled at round values with as many decimals as they need."""
    assert scale_for([-0.12, 0.31], 0, 100, with_zero=True).ticks() == [
        (-0.1, "−0.1"), (0.0, "0"), (0.1, "0.1"), (0.2, "0.2"), (pytest.approx(0.3), "0.3"),
    ]  # fmt: skip
    assert [label for _, label in scale_for([0, 52_000], 0, 1, with_zero=True).ticks()] == [
        "0", "20\u202f000", "40\u202f000",
    ]  # fmt: skip


def test_long_names_end_in_an_ellipsis_and_stay_whole_in_words() -> None:
    """A name is cut to its room, by its characters' widths, and given whole where there is room for words."""
    assert cut("short", 100) == "short"
    assert cut("a name that is much too long", 60).endswith("…")
    assert width_of(cut("信用" * 20, 60)) <= 60
    assert tidy("a\nb\x00\u202ec") == "a b\ufffdc"
    canvas = Canvas(100)
    canvas.text(0, 0, "a name that is much too long", within=60)
    assert "<title>a name that is much too long</title>" in canvas.written(10, title="t", told="d")
