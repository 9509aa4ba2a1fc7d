"""How results reach the reader: JSON for machines, tables for people, words for times."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import click

LINE_WIDTH = 110

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def print_json(document: Any) -> None:
    """Print `document` on stdout as one JSON document; dataclasses, paths and tuples are understood."""
    click.echo(json.dumps(document, indent=2, default=_plain, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their titles: drawn on a terminal, in plain aligned columns elsewhere."""
    if sys.stdout.isatty():
        _draw_table(titles, rows)
    else:
        click.echo(aligned([titles, *rows]))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines whose columns line up, two spaces apart.

    >>> print(aligned([("task", "why"), ("clean", "its code changed")]))
    task   why
    clean  its code changed
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def duration(seconds: float) -> str:
    """A time span as people say it.

    >>> duration(3.21), duration(125), duration(7380)
    ('3.2 s', '2 min 05 s', '2 h 03 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(at: float) -> str:
    """A point in time (seconds since 1970), local, to the second."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def in_words(counts: Mapping[str, int]) -> str:
    """Counts by outcome as one phrase; what did not happen is left out.

    >>> in_words({"done": 2, "failed": 0, "fresh": 1})
    '2 done, 1 fresh'
    """
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no tasks"


def near(path: Path) -> str:
    """A path as one would type it from the current folder: relative below it, else absolute."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def number(value: float) -> str:
    """A measured number, as exact as people read it; whole numbers stay whole.

    >>> number(180000), number(180000.0), number(0.88342), number(1.5e-14)
    ('180000', '180000', '0.8834', '1.5e-14')
    """
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def wrapped(line: str, *, indent: int) -> str:
    """A long line of many entries as several, each after the first indented by `indent` blanks."""
    return textwrap.fill(
        line, LINE_WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _draw_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    Console().print(table)


STYLES = {
    "done": "green",
    "fresh": "green",
    "ok": "green",
    "stale": "yellow",
    "stopped": "yellow",
    "interrupted": "yellow",
    "note": "yellow",
    "blocked": "yellow",
    "failed": "bold red",
    "broken": "bold red",
}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
