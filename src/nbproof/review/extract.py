"""The ledger for auditors: as CSV, and as a page to print. Nothing of it is written unless its chain is whole."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ApprovalInvalid
from .approval import verify, verify_request
from .archive import Archive
from .keys import PublicKey
from .ledger import Entry, Ledger, head
from .policy import read as read_policy

COLUMNS = (
    "number", "at", "what", "who", "notebook", "digest", "bound", "signature", "file", "sha256", "follows", "hash",
    "remark",
)  # fmt: skip
# A spreadsheet would take what begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_STYLE = """@page { size: A4 landscape; margin: 12mm }
body { font: 10px/1.4 system-ui, sans-serif; color: #111; background: #fff }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: 4px 0 }
th, td { border: 1px solid #888; padding: 3px 4px; text-align: left; vertical-align: top; overflow-wrap: anywhere }
thead { display: table-header-group } tr { break-inside: avoid } code { font-size: 8px }"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger, and what can be said of its signature today."""

    entry: Entry
    signature: str

    def cells(self) -> tuple[str, ...]:
        held = self.entry
        return (
            str(held.number), held.at, held.kind, held.by, held.notebook, held.digest, held.bound, self.signature,
            held.file, held.sha256, " ".join(held.previous), held.hash, held.comment,
        )  # fmt: skip


def lines(project: Path, notebook: str | None = None) -> tuple[Line, ...]:
    """Every line, or those about one notebook, with its signature checked.

    Raises `LedgerBroken` and `ApprovalInvalid` when the records are not whole; a key that is not listed is told.
    """
    project = project.resolve()
    entries, archive, keys = Ledger(project).read(), Archive(project), read_policy(project).keys
    archive.check_no_strays(entries)
    return tuple(
        Line(entry, _signature(archive, entry, keys))
        for entry in entries
        if notebook is None or entry.notebook == notebook
    )


def as_csv(found: Sequence[Line]) -> str:
    """The lines as CSV (RFC 4180)."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_harmless(cell) for cell in line.cells()] for line in found)
    return written.getvalue()


def as_page(found: Sequence[Line], *, title: str, at: str) -> str:
    """The lines as one page without a script, which needs nothing from anywhere."""
    heads = ", ".join(held[:16] for held in head([line.entry for line in found])) or "none"
    rows = "\n".join(f"<tr>{''.join(_cell(line, place) for place in range(len(COLUMNS)))}</tr>" for line in found)
    named = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{html.escape(title)}</title><style>{_STYLE}</style></head>
<body><main><h1>{html.escape(title)}</h1>
<p>{len(found)} lines, each with its own hash and the hashes of those it follows.
The chain was whole on {html.escape(at)}. The last line here is {html.escape(heads)}.
A signature that says <q>verified</q> was checked against the keys of that day.</p>
<table><caption>Requests, decisions and bypasses in their order</caption><thead><tr>{named}</tr></thead>
<tbody>
{rows}
</tbody></table></main></body></html>
"""


def _signature(archive: Archive, entry: Entry, keys: Sequence[PublicKey]) -> str:
    if not entry.file:
        return "none"
    content = archive.envelope(entry)
    try:
        if entry.kind == "requested":
            return f"verified: {verify_request(content, keys, where=entry.file).key}"
        return f"verified: {verify(content, keys, where=entry.file).key}"
    except ApprovalInvalid as error:
        if error.expected != "a key of a listed reviewer":
            raise
        return "a key that is not listed"


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cell(line: Line, place: int) -> str:
    text = html.escape(line.cells()[place])
    is_hash = COLUMNS[place] in ("digest", "bound", "sha256", "follows", "hash", "signature", "file")
    return f"<td><code>{text}</code></td>" if is_hash else f"<td>{text}</td>"
