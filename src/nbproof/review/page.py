"""A difference as one page: no script, nothing from anywhere, every word of a notebook taken as text."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable

from .difference import CellChange, Difference, FigureChange, Picture

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """:root { color-scheme: light dark; --line: #8886 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse } th, td { border: 1px solid var(--line); padding: .2rem .6rem; text-align: left }
td { overflow-wrap: anywhere } caption { text-align: left; padding: .3rem 0 }
pre { border: 1px solid var(--line); padding: .5rem; overflow-x: auto; white-space: pre-wrap }
ins, del { text-decoration: none; display: block } ins { background: #2a72 } del { background: #c332 }
figure { display: inline-block; max-width: 48%; margin: .3rem; vertical-align: top }
img { max-width: 100%; background: #fff }
@media print { pre { overflow: visible } }"""


def page(found: Difference, *, title: str) -> str:
    """The whole page."""
    told = html.escape(title)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{told}</title><style>{_STYLE}</style></head>
<body><main><h1>{told}</h1>
{_sides(found)}
{"".join(_parts(found))}
</main></body></html>
"""


def _sides(found: Difference) -> str:
    names = [html.escape(title) for title in found.titles]
    hashes = [found.before.hex, found.after.hex]
    rows = "".join(f"<tr><th scope=row>{word}</th><td>{name}</td><td><code>{digest}</code></td></tr>"
                   for word, name, digest in zip(("before", "after"), names, hashes, strict=True))  # fmt: skip
    return f"<table><caption>What is compared</caption>{rows}</table>"


def _parts(found: Difference) -> Iterable[str]:
    if found.is_empty:
        yield "<p>There is no difference.</p>"
    if found.things:
        yield "<h2>Bound otherwise</h2><ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in found.things) + "</ul>"
    for name, rows in (("Parameters", found.parameters), ("Data and modules", found.data),
                       ("Environment", found.environment), ("Metrics", found.metrics)):  # fmt: skip
        if rows:
            yield f"<h2>{name}</h2>{_table(name, rows)}"
    if found.cells or found.outputs:
        yield "<h2>Cells</h2>" + "".join(map(_cell, found.cells))
        yield "".join(f"<p>Cell {html.escape(cell)}: its output differs.</p>" for cell in found.outputs)
    if found.figures:
        yield "<h2>Figures</h2>" + "".join(map(_figure, found.figures))
    if found.explained is not None:
        rows = tuple((name, f"{old:.1%}", f"{new:.1%}") for name, old, new in found.explained.shares[:30])
        table = _table("Part of all importance, by feature", rows) if rows else ""
        yield f"<h2>Explanation</h2><p>nDCG of the order of importance: {found.explained.ndcg:.3f} (1: the same).</p>"
        yield table
    if found.unknown:
        told = html.escape(", ".join(found.unknown))
        yield f"<h2>Not compared</h2><p>One side does not know its {told}.</p>"


def _table(name: str, rows: Iterable[tuple[str, str, str]]) -> str:
    body = "".join(
        f"<tr><th scope=row>{html.escape(one)}</th><td>{html.escape(old)}</td><td>{html.escape(new)}</td></tr>"
        for one, old, new in rows
    )
    heads = "<tr><th scope=col>name</th><th scope=col>before</th><th scope=col>after</th></tr>"
    return f"<table><caption>{html.escape(name)}</caption><thead>{heads}</thead><tbody>{body}</tbody></table>"


def _cell(change: CellChange) -> str:
    place = " → ".join(str(where) if where else "—" for where in (change.before, change.after))
    words = f": {html.escape(change.words)}" if change.words else ""
    lines = "".join(_line(line) for line in change.lines)
    body = f"<pre>{lines}</pre>" if lines else ""
    return f"<h3>Cell {place} ({html.escape(change.kind)}) {html.escape(change.fate)}{words}</h3>{body}"


def _line(line: str) -> str:
    # The sign in front says it, too: colour alone says nothing to some readers.
    mark = {"+": "ins", "-": "del"}.get(line[:1])
    text = html.escape(line)
    return f"<{mark}>{text}</{mark}>" if mark else f"{text}\n"


def _figure(change: FigureChange) -> str:
    both = _picture(change.before, f"Cell {change.cell} before") + _picture(change.after, f"Cell {change.cell} after")
    return f"<h3>Cell {change.cell}</h3>{both}"


def _picture(picture: Picture | None, told: str) -> str:
    if picture is None:
        return f"<figure><figcaption>{told}: no figure</figcaption></figure>"
    mime, content = picture
    # As an image even an SVG runs no script and loads nothing.
    spelled = base64.b64encode(content.encode()).decode() if mime == "image/svg+xml" else "".join(content.split())
    source = html.escape(f"data:{mime};base64,{spelled}")
    return f'<figure><img src="{source}" alt="{told}"><figcaption>{told}</figcaption></figure>'
