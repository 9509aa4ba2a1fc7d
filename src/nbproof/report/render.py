"""Documents as text: Markdown, and HTML that is one file without scripts, fonts or pictures from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html as entities
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..explain.drawing.canvas import STYLE
from . import drawing
from .document import Count, Document, Fact, Scalar, Source, Table

TEMPLATES = Path(__file__).parent / "templates"
# A longer word, a hash say, may be broken anywhere.
LONG_WORD = 32
# What is longer is cut, and found whole in its source.
LONGEST = 4000
_NUMBERS = {int, float, type(None)}
# What is longer is told by its hash.
LONGEST_VALUE = 400
VERDICTS = {
    "met": "good",
    "green": "good",
    "pass": "good",
    "passed": "good",
    "warn": "fair",
    "fail": "bad",
    "not evaluated": "fair",
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
    template = _environment(html=True).get_template("document.html.j2")
    return template.render(document=document, style=style(), policy=policy(), ids=ids(document))


def policy() -> str:
    """What a browser may do with such a file: use its one style sheet and the pictures in it, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def style() -> str:
    """The one style sheet, with the colours of pictures on a dark page."""
    return f"{(TEMPLATES / 'style.css').read_text(encoding='utf-8').strip()}\n{STYLE}"


def files(document: Document) -> tuple[Source, ...]:
    """One source for each file that something was read from, in order."""
    found: dict[str, Source] = {}
    for source in document.sources:
        found.setdefault(source.file, source)
    return tuple(found.values())


def ids(document: Document) -> dict[str, str]:
    """A short name for each file."""
    return {source.file: f"s{number}" for number, source in enumerate(files(document), start=1)}


def spelt(value: Scalar) -> str:
    """The exact value as a page carries it: JSON, or its hash where that is long."""
    # Half characters of a hostile file, which no page can hold, are the reason to escape all but plain ones.
    exact = json.dumps(value)
    if len(exact) <= LONGEST_VALUE:
        return exact
    return f"sha256:{hashlib.sha256(exact.encode()).hexdigest()}"


def line(text: str) -> str:
    """One line of characters that can be shown: nothing that hides, turns or breaks the words beside it."""
    shown_ = []
    for each in text:
        if each.isspace():
            # The blank that keeps the digits of one number together stays what it is.
            shown_.append(each if each == "\u202f" else " ")
        elif unicodedata.category(each) in ("Cc", "Cs", "Cn", "Co"):
            shown_.append("\ufffd")
        elif unicodedata.category(each) != "Cf":
            shown_.append(each)
    return "".join(shown_)


def text_of(value: Scalar) -> str:
    """A value as a page shows it."""
    told = shown(value)
    if len(told) > LONGEST:
        told = f"{told[:LONGEST]} … (cut here; whole in its source)"
    # Lines count where source code is shown.
    return "\n".join(line(each) for each in told.split("\n"))


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
    if abs(value) >= 1e15:
        return f"{value:.4e}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


def filters() -> dict[str, Callable[..., Any]]:
    """What the templates call."""
    return {
        "shown": shown,
        "shown_in_html": text_of,
        "plain": _plain,
        "picture": _picture,
        "verdict": _verdict,
        "kind": _kind,
        "line": lambda text: line(str(text)),
        "marked": _marked,
        "place": _place,
        "cell_place": _cell_place,
        "count_place": _count_place,
        "fact_verdict": _fact_verdict,
        "files": files,
        "number_columns": _number_columns,
        "is_long": lambda value: any(len(word) > LONG_WORD for word in str(value).split()),
        "ids": ids,
        "drawn": lambda entry: Markup(drawing.drawn(entry)),  # noqa: S704  # words in it are escaped where it is drawn
    }


def _environment(*, html: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=html,  # noqa: S701  # Markdown has its own filter, `plain`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters())
    return environment


def _place(value: Scalar, source: Source, names: Mapping[str, str], *keys: str) -> Markup:
    return _attributes(names, source.at(*keys), value)


def _cell_place(table: Table, row: int, column: int, names: Mapping[str, str]) -> Markup:
    """Where a cell was read; the name of a record is the last key of its place."""
    value, field = table.rows[row][column], table.fields[column]
    key = table.keys[row] if table.keys else str(row)
    if field == "@key":
        return _attributes(names, table.source.at(key), value, part="key")
    return _attributes(names, table.source.at(key, *([] if field == "@value" else [field])), value)


def _count_place(entry: Count, names: Mapping[str, str]) -> Markup:
    counted = {"field": entry.field, "values": list(entry.values)}
    return _attributes(names, entry.source, entry.value, count=json.dumps(counted, ensure_ascii=False))


def _attributes(names: Mapping[str, str], source: Source, value: Scalar, **more: str) -> Markup:
    told = {"source": names[source.file], "pointer": source.pointer, "value": spelt(value), **more}
    return Markup("".join(f' data-{name}="{_quoted(text)}"' for name, text in told.items()))  # noqa: S704  # quoted


def _quoted(text: str) -> str:
    # Half characters of a hostile file cannot be written as UTF-8.
    return entities.escape(text.encode("utf-8", "backslashreplace").decode(), quote=True).replace("\x00", "&#xFFFD;")


def _number_columns(table: Table) -> frozenset[int]:
    """The columns that hold numbers and nothing else, which line up at the right."""
    return frozenset(
        at
        for at in range(len(table.columns))
        if {type(row[at]) for row in table.rows} - {type(None)} and {type(row[at]) for row in table.rows} <= _NUMBERS
    )


def _marked(text: str) -> Markup:
    """Fixed words in which `…` is code."""
    parts = re.split(r"`([^`]*)`", str(text))
    escaped_ = [entities.escape(line(part)) for part in parts]
    return Markup("".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(escaped_)))  # noqa: S704  # escaped


def _fact_verdict(entry: Fact) -> str:
    # Words that happen to be those of a verdict are coloured; a yes or no only where it is one.
    return "" if isinstance(entry.value, bool) and not entry.is_verdict else _verdict(entry.value)


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
