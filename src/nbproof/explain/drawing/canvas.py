"""The sheet that pictures are drawn on: SVG without script, font or link, that reads on dark and on light."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...records import ContentHash

Ink = Literal["text", "quiet", "line", "card", "up", "down", "size", "up-text", "down-text"]
Anchor = Literal["start", "middle", "end"]

# Orange and blue stay apart for every kind of colour blindness; on either card their text has a contrast of 4.5 : 1.
# `size` is for what has no sign.
LIGHT: dict[Ink, str] = {
    "card": "#ffffff", "text": "#1b2530", "quiet": "#56616d", "line": "#d5dbe1",
    "up": "#d9662b", "down": "#2f78bd", "size": "#76679f", "up-text": "#a8430f", "down-text": "#1f5f9c",
}  # fmt: skip
DARK: dict[Ink, str] = {
    "card": "#161b22", "text": "#e8edf2", "quiet": "#a3aeb9", "line": "#3a434d",
    "up": "#ef8a50", "down": "#5aa2e6", "size": "#a798d8", "up-text": "#f7a373", "down-text": "#84bdf2",
}  # fmt: skip
# From a low value to a high one: blue over grey to orange, and as light in the middle as at the ends.
RAMP = ("#2f78bd", "#5c8cbd", "#8a9bb0", "#a39d98", "#bd8f72", "#d07b4c", "#d9662b")
MISSING = "#8b949e"
FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SIZE = 13.0
SMALL = 11.5
TITLE = 15.5
# The width of a character of such a font, in parts of its size: by far not exact, and never too small by much.
NARROW, USUAL, BROAD, WIDE = 0.36, 0.63, 0.85, 1.02


@dataclass(slots=True)
class Canvas:
    """Marks gathered one after another, then written as one SVG of `width` and a `height` known at the end."""

    width: float
    _marks: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        ink: Ink = "text",
        size: float = SIZE,
        anchor: Anchor = "start",
        is_bold: bool = False,
        is_tick: bool = False,
        within: float | None = None,
    ) -> None:
        """Write `words` with their base line at `y`; what is longer than `within` ends in an ellipsis.

        `is_tick` marks the label of an axis, which is no measured number.
        """
        shown = cut(words, within, size) if within is not None else tidy(words)
        more = f"<title>{escaped(words)}</title>" if shown != tidy(words) else ""
        bold = ' font-weight="600"' if is_bold else ""
        placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
        marked = ' data-tick=""' if is_tick else ""
        self._marks.append(
            f'<text x="{spot(x)}" y="{spot(y)}" font-size="{spot(size)}"{placed}{bold}{_ink("fill", ink)}{marked}>'
            f"{more}{escaped(shown)}</text>"
        )

    def bar(self, start: float, end: float, y: float, height: float, *, ink: Ink) -> None:
        """A bar from `start` to `end`; one that lowers the answer is striped, so that its sign needs no colour."""
        left, wide = min(start, end), max(abs(end - start), 0.75)
        box = f'x="{spot(left)}" y="{spot(y)}" width="{spot(wide)}" height="{spot(height)}" rx="2"'
        self._marks.append(f"<rect {box}{_ink('fill', ink)}/>")
        if ink == "down":
            self._marks.append(f'<rect {box} fill="url(#nbproof-stripes)"/>')

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, ink: Ink = "line", dashed: bool = False, width: float = 1
    ) -> None:
        dash = ' stroke-dasharray="3 3"' if dashed else ""
        self._marks.append(
            f'<path d="M{spot(x1)} {spot(y1)}L{spot(x2)} {spot(y2)}" fill="none" stroke-width="{spot(width)}"{dash}'
            f"{_ink('stroke', ink)}/>"
        )

    def dots(
        self, points: Iterable[tuple[float, float]], colour: str, *, size: float = 4.4, faint: bool = False
    ) -> None:
        """Round dots of one colour, as one path."""
        drawn = "".join(f"M{spot(x)} {spot(y)}h0" for x, y in points)
        if drawn:
            opacity = ' stroke-opacity="0.65"' if faint else ""
            self._marks.append(
                f'<path d="{drawn}" fill="none" stroke="{colour}" stroke-width="{spot(size)}"'
                f' stroke-linecap="round"{opacity}/>'
            )

    def curve(self, points: Sequence[tuple[float, float]], *, ink: Ink, width: float = 2) -> None:
        drawn = "L".join(f"{spot(x)} {spot(y)}" for x, y in points)
        if drawn:
            self._marks.append(
                f'<path d="M{drawn}" fill="none" stroke-width="{spot(width)}" stroke-linejoin="round"'
                f"{_ink('stroke', ink)}/>"
            )

    def ramp(self, x: float, y: float, width: float, height: float) -> None:
        """The colours from low to high, side by side."""
        step = width / len(RAMP)
        for at, colour in enumerate(RAMP):
            self._marks.append(
                f'<rect x="{spot(x + at * step)}" y="{spot(y)}" width="{spot(step + 0.5)}" height="{spot(height)}"'
                f' fill="{colour}"/>'
            )

    def written(self, height: float, *, title: str, told: str, is_styled: bool = True) -> str:
        """The whole picture as SVG: `title` names it, `told` says in words what it shows.

        Without `is_styled` it holds no style of its own, for pages whose policy allows none: their style sheet has
        `STYLE` in it.
        """
        body = "".join(self._marks)
        # The ids are the content's own, so that two pictures on one page do not share them.
        name = ContentHash.of(f"{title}\n{told}\n{body}".encode("utf-8", "surrogatepass")).short
        body = body.replace("#nbproof-stripes", f"#stripes-{name}")
        sized = ' style="max-width:100%;height:auto"' if is_styled else ""
        style = f"<style>{STYLE}</style>" if is_styled else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nbproof-explanation" role="img"'
            f' aria-labelledby="title-{name} told-{name}" viewBox="0 0 {spot(self.width)} {spot(height)}"'
            f' width="{spot(self.width)}" height="{spot(height)}"{sized}'
            f' font-family="{FAMILY}">'
            f'<title id="title-{name}">{escaped(title)}</title><desc id="told-{name}">{escaped(told)}</desc>'
            f"{style}"
            f'<defs><pattern id="stripes-{name}" width="5" height="5" patternUnits="userSpaceOnUse"'
            f' patternTransform="rotate(45)"><path d="M0 0V5"{_ink("stroke", "card")} stroke-width="1.6"'
            f' stroke-opacity="0.55"/></pattern></defs>'
            f'<rect width="{spot(self.width)}" height="{spot(height)}" rx="8"{_ink("fill", "card")}/>'
            f"{body}</svg>\n"
        )


def escaped(words: str) -> str:
    """Words as XML holds them, whatever is in them; characters that XML cannot hold become a mark."""
    return (
        tidy(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )  # fmt: skip


def tidy(words: str) -> str:
    """One line of characters that can be shown."""
    shown = []
    for each in words:
        if each.isspace():
            shown.append(" ")
        elif unicodedata.category(each) in ("Cc", "Cs", "Cn", "Co") or each in "\ufffe\uffff":
            shown.append("\ufffd")
        elif unicodedata.category(each) != "Cf" or each == "\u200d":
            # Marks that turn the direction of writing would turn the numbers beside them, too.
            shown.append(each)
    return "".join(shown)


def width_of(words: str, size: float = SIZE) -> float:
    """How wide words are, about."""
    return size * sum(_width(each) for each in words)


def cut(words: str, within: float, size: float = SIZE) -> str:
    """As many of the words as fit, with an ellipsis where some do not."""
    words = tidy(words)
    if width_of(words, size) <= within:
        return words
    left = within - width_of("…", size)
    for at, each in enumerate(words):
        left -= size * _width(each)
        if left < 0:
            return f"{words[:at].rstrip()}…"
    return words


def lines_of(words: str, within: float, size: float = SIZE) -> list[str]:
    """Words in as many lines as they need."""
    lines = [""]
    for word in tidy(words).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) <= within or not lines[-1]:
            lines[-1] = cut(longer, within, size)
        else:
            lines.append(cut(word, within, size))
    return lines


def spot(value: float) -> str:
    """A coordinate to a hundredth, as short as it can be written."""
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def _width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return WIDE
    if unicodedata.combining(character):
        return 0.0
    if character in "ilj.,:;'|!ftr()[] I":
        return NARROW
    return BROAD if character in "mwMW%@QOGD" else USUAL


def _ink(attribute: str, ink: Ink) -> str:
    """The light colour as an attribute, which every viewer knows; where the reader's theme is dark, the style rules."""
    return f' {attribute}="{LIGHT[ink]}" class="nbproof-{attribute}-{ink}"'


# The colours on a dark page.
STYLE = (
    "@media (prefers-color-scheme:dark){"
    + "".join(
        f".nbproof-explanation .nbproof-{attribute}-{ink}{{{attribute}:{colour}}}"
        for ink, colour in DARK.items()
        for attribute in ("fill", "stroke")
    )
    + "}"
)
