"""Documents as text: Markdown, and HTML that is one file without scripts, fonts or pictures from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .document import Document, Scalar

VERDICTS = {
    "met": "good",
    "green": "good",
    "amber": "fair",
    "not_evaluated": "fair",
    "undecided": "fair",
    "failed": "bad",
    "red": "bad",
}


def markdown(document: Document) -> str:
    """Return the document as GitHub-flavoured Markdown; values cannot break out of their cell."""
    return _environment(html=False).get_template("document.md.j2").render(document=document)


def html(document: Document) -> str:
    """Return the document as one HTML file.

    Its content security policy allows the one style sheet, by its hash, and pictures that lie in the file itself.
    """
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    template = _environment(html=True).get_template("document.html.j2")
    return template.render(document=document, style=style, policy=policy)


def shown(value: Scalar) -> str:
    """Return a value as people read it: at most four decimals, thousands apart, truth as yes or no.

    >>> [shown(each) for each in (0.881234, 300, 0.00001, True, None)]
    ['0.8812', '300', '1.0e-05', 'yes', '—']
    """
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # A narrow no-break space keeps one number on one line.
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return _shown_number(value)
    return value


def _shown_number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    if value and abs(value) < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader(f"{__package__}"),
        autoescape=html,  # noqa: S701  # Markdown has its own filter, `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(shown=shown, plain=_plain, picture=_picture, verdict=_verdict, kind=_kind)
    return environment


@cache
def _style() -> str:
    environment = _environment(html=False)
    assert environment.loader is not None
    return environment.loader.get_source(environment, "style.css")[0].strip()


def _plain(text: str) -> str:
    """Text in which Markdown and HTML find nothing to do."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _picture(svg: str) -> str:
    # As an image and not inline: an SVG in an <img> runs no script, whatever it holds.
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _verdict(value: Scalar) -> str:
    if isinstance(value, bool):
        return "good" if value else "bad"
    return VERDICTS.get(str(value), "")


def _kind(entry: Any) -> str:
    return type(entry).__name__.lower()
