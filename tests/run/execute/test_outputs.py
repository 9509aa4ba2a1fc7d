"""Streams folded to what a terminal shows, masked and bounded: laws that hold however the text was cut."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.notebook.secrets import MASK, mask, spellings
from nbproof.run.execute.outputs import PAGE_COLUMNS, PAGE_LINES, Fold, Tail, Veil, cut, fold, size_of

SEQUENCES = [
    "\r", "\b", "\n", "\r\n", "\x1b[A", "\x1b[2A", "\x1b[B", "\x1b[3C", "\x1b[2D", "\x1b[E", "\x1b[F", "\x1b[4G",
    "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[31m", "\x1b[1m", "\x1b[0m", "\x1b[m", "\x1b[0;32m", "\x1b[?25l",
    "\x1b[38;5;0m", "\x1b[38;2;9;8;0m",
    "\x1b[31;0;1m", "\x1b]8;;http://a\x1b\\", "\x1b]0;title\x07", "\x1b", "\x1b[", "\x1b]x", "\x1bM", "\x1b(B",
]  # fmt: skip
texts = st.lists(st.sampled_from(SEQUENCES) | st.text("ab c█é\t", max_size=5), max_size=30).map("".join)


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    places = sorted({0, len(text), *(place % (len(text) + 1) for place in cuts)})
    return [text[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("10 %\r20 %\r100 %\n", "100 %\n"),
        ("a long line\rshort", "shortg line"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("abc\b\bX", "aXc"),
        ("\b\ba", "a"),
        ("50 %\r\x1b[Kdone\n", "done\n"),
        ("50 %\x1b[2K\rdone\n", "done\n"),
        ("ab\x1b[1Kc", "  c"),
        ("outer 0\n inner 0\x1b[A\router 1\n\r inner 1\x1b[A\router 2\n\r inner 2", "outer 2\n inner 2"),
        ("\x1b[31mred\x1b[0m plain", "\x1b[31mred\x1b[0m plain"),
        ("\x1b[31mred\rb", "\x1b[31mbed\x1b[0m"),
        ("\x1b[31mred\r\x1b[0mb", "b\x1b[31med\x1b[0m"),
        ("\x1b[38;2;9;8;0mx", "\x1b[38;2;9;8;0mx\x1b[0m"),
        ("\x1b[?25lx\x1b]0;title\x07y\x1b[?25h", "xy"),
        ("a\x1b[3Cb", "a   b"),
        ("first\nsecond\x1b[10Atop", "first top\nsecond"),
        ("left\x1b", "left"),
    ],
)
def test_what_a_terminal_shows(printed: str, shown: str) -> None:
    """The controls of ECMA-48 that progress bars use do what they do on a terminal."""
    assert fold(printed) == shown


@given(texts, st.lists(st.integers(0, 200), max_size=8))
def test_the_pieces_do_not_matter(text: str, cuts: list[int]) -> None:
    """Fed in any pieces, a text folds to the same."""
    folding = Fold()

    shown = "".join([folding.feed(piece) for piece in in_pieces(text, cuts)]) + folding.rest()

    assert shown == fold(text)


@given(texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    """What is folded holds no control that could fold it further."""
    assert fold(fold(text)) == fold(text)


@given(st.text(st.characters(exclude_characters="\r\b\x1b")))
def test_a_text_without_controls_stays_as_it_is(text: str) -> None:
    """Folding invents nothing and loses nothing."""
    assert fold(text) == text


@given(texts, st.lists(st.integers(0, 200), max_size=8))
def test_an_eager_fold_shows_the_same_without_upward_moves(text: str, cuts: list[int]) -> None:
    """Lines may be shown as soon as they end, as long as nothing goes back to them."""
    text = re.sub("\x1b\\[[0-9]*[AF]", "", text)
    folding = Fold(is_eager=True)

    shown = "".join([folding.feed(piece) for piece in in_pieces(text, cuts)]) + folding.rest()

    assert shown == fold(text)


def test_an_eager_fold_returns_a_line_when_it_ends() -> None:
    """Whoever follows sees a line at once, and an unfinished one as it stands."""
    folding = Fold(is_eager=True)

    assert folding.feed("one\ntw") == "one\n"
    assert folding.line == "tw"


def test_a_line_that_scrolled_away_stays() -> None:
    """The page is a terminal's: a cursor that goes up ends at its first line."""
    lines = [f"{number}\n" for number in range(PAGE_LINES + 10)]

    shown = fold("".join(lines) + "\x1b[1000Ax")

    assert shown.splitlines()[10] == "10"
    assert shown.splitlines()[11] == "x1"


def test_a_line_without_end_is_not_kept_in_cells() -> None:
    """A line longer than the page is wide goes on in the next row, without a line feed in the text."""
    text = "ab" * PAGE_COLUMNS

    assert fold(text) == text
    assert len(Fold(is_eager=True).feed(text)) == PAGE_COLUMNS


@pytest.mark.parametrize("piece", ["x" * 80 + "\n", ".", "\r" + "x" * 80, "x\b", "\x1b[31mx\x1b[0m\n", "a\n\x1b[Ab"])
def test_folding_takes_time_in_proportion_to_the_text(piece: str) -> None:
    """A million small pieces do not take a million times the time of the whole."""

    def took_s(times: int) -> float:
        folding = Fold()
        began = time.process_time()
        for _ in range(times):
            folding.feed(piece)
        return time.process_time() - began

    took_s(100)
    few, many = min(took_s(2000) for _ in range(3)), took_s(20_000)

    assert many < 40 * few + 0.1


SECRETS = ("tok-en1", "tok-en1-longer", 'qu"ote\nd-secret-lines')


@given(
    st.lists(st.sampled_from([*SECRETS, "tok-", "en1", "-longer", "abc", "\n"]) | st.text("tokn1-e", max_size=4)),
    st.lists(st.integers(0, 300), max_size=10),
)
def test_a_veiled_text_is_masked_as_a_whole(parts: list[str], cuts: list[int]) -> None:
    """Cut anywhere, even inside a secret, a text is masked as if it had come at once."""
    text = "".join(parts)
    veil = Veil(spellings(SECRETS), lambda shown: str(mask(shown, SECRETS)))

    shown = "".join([veil.feed(piece) for piece in in_pieces(text, cuts)]) + veil.lift()

    assert shown == mask(text, SECRETS)
    assert not any(secret in shown for secret in SECRETS)


def test_a_secret_that_contains_the_mask_is_hidden_all_the_same() -> None:
    """What is left around a mask may spell it; then nothing is shown before the end."""
    secrets = ("secret", f"x{MASK}y")
    veil = Veil(spellings(secrets), lambda shown: str(mask(shown, secrets)))

    shown = veil.feed("xsec") + veil.feed("rety" + " " * 5000)

    assert shown == ""
    assert f"x{MASK}y" not in veil.lift()


@given(st.text("aé漢😀", max_size=20), st.integers(0, 40))
def test_a_cut_is_never_inside_a_character(text: str, at_most: int) -> None:
    """Both parts together are the text, and the first keeps to its size."""
    head, rest = cut(text, at_most)

    assert head + rest == text
    assert size_of(head) <= at_most
    assert not rest or size_of(head + rest[0]) > at_most


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text("abé", max_size=40))), st.integers(0, 60))
def test_a_tail_keeps_the_last_and_counts_the_rest(added: list[tuple[str, str]], at_most: int) -> None:
    """Nothing is lost uncounted, and what is kept is the end of what was added."""
    tail = Tail(at_most)
    for stream, text in added:
        tail.add_text(stream, text)

    whole = "".join(text for _, text in added)
    kept = "".join(str(text) for _, text in tail)
    assert whole.endswith(kept)
    assert size_of(kept) == tail.size <= at_most
    assert tail.left_out + tail.size == size_of(whole)
