"""The last wall before a page is written: what a template has let through by mistake is found here, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

from ..errors import ReportRefused

TAGS = frozenset({
    "a", "b", "body", "caption", "code", "desc", "defs", "div", "figcaption", "figure", "g", "h1", "h2", "h3",
    "head", "header", "html", "img", "li", "main", "meta", "nav", "ol", "p", "path", "pattern", "rect",
    "section", "span", "strong", "style", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr",
    "ul",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "alt", "aria-label", "aria-labelledby", "charset", "class", "content", "d", "data-count", "data-file",
    "data-part", "data-pointer", "data-sha256", "data-source", "data-tick", "data-value", "fill", "font-family",
    "font-size", "font-weight", "height", "href", "http-equiv", "id", "lang", "name", "patterntransform",
    "patternunits", "role", "rx", "scope", "src", "stroke", "stroke-dasharray", "stroke-linecap",
    "stroke-linejoin", "stroke-opacity", "stroke-width", "tabindex", "text-anchor", "viewbox", "width", "x",
    "xmlns", "y",
})  # fmt: skip
_DRAWN = "http://www.w3.org/2000/svg"
_POLICY = "content-security-policy"


def check(page: str) -> None:
    """Raise `ReportRefused` for a tag, an attribute or an address that no page of ours has."""
    walls = _Walls()
    walls.feed(page)
    walls.close()
    problems = [*walls.problems, *([] if walls.has_policy else ["the page has no policy"])]
    if problems:
        raise ReportRefused("the page", dict.fromkeys(problems[:5]))


class _Walls(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.has_policy = False
        self._styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.problems.append(f"it holds a <{tag[:40]}>")
        if tag == "style":
            self._styles += 1
            if self._styles > 1:
                self.problems.append("it holds a second style sheet")
        self.problems.extend(_odd(tag, attrs))
        held = dict(attrs)
        if (held.get("http-equiv") or "").lower() == _POLICY:
            self.has_policy = True
        elif "http-equiv" in held:
            self.problems.append(f"it holds a command, {held['http-equiv']!r:.40}")

    def handle_comment(self, data: str) -> None:
        self.problems.append("it holds a comment")

    def handle_pi(self, data: str) -> None:
        self.problems.append("it holds an instruction")

    def unknown_decl(self, data: str) -> None:
        self.problems.append("it holds a declaration")


def _odd(tag: str, attrs: list[tuple[str, str | None]]) -> Iterator[str]:
    for name, value in attrs:
        if name not in ATTRIBUTES:
            yield f"<{tag}> has the attribute {name[:40]}"
        text = value or ""
        if name == "href" and not text.startswith("#"):
            yield f"a link leads to {text[:60]!r}"
        if name == "src" and not text.startswith("data:image/svg+xml;base64,"):
            yield f"a picture comes from {text[:60]!r}"
        if name == "xmlns" and text != _DRAWN:
            yield f"<{tag}> is of {text[:60]!r}"
        if name in ("fill", "stroke") and "(" in text and not text.startswith("url(#stripes-"):
            yield f"a colour comes from {text[:60]!r}"
