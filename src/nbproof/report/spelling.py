"""Sections as JSON data and back, so that a notebook's outputs carry values and never markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..records import ContentHash
from .document import (
    Count,
    Drawing,
    Entry,
    Fact,
    Figure,
    Inventory,
    Missing,
    Owed,
    Said,
    Section,
    Source,
    Table,
    Words,
)

MIME = "application/vnd.nbproof.report.section.v1+json"


def written(section: Section) -> dict[str, Any]:
    """A section as JSON data.

    It is one text of plain characters: a notebook cannot hold half characters, and JSON has no word for what is no
    number.
    """
    content = {
        "title": section.title,
        "asks": section.asks,
        "number": section.number,
        "entries": [_written(entry) for entry in section.entries],
    }
    return {"section": json.dumps(content)}


def read(data: Mapping[str, Any]) -> Section:
    """The section that `written` wrote; raises `ValueError` for anything else."""
    try:
        content = json.loads(data["section"])
        entries = tuple(_read(entry) for entry in content["entries"])
        return Section(str(content["title"]), entries, str(content["asks"]), int(content["number"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no section of a report: {error!r}") from error


def _written(entry: Entry) -> dict[str, Any]:
    match entry:
        case Words(text):
            return {"entry": "words", "text": text}
        case Fact(label, value, source, is_verdict):
            return {"entry": "fact", "label": label, "value": json.dumps(value), "source": _spelt(source),
                    "verdict": is_verdict}  # fmt: skip
        case Count(label, value, source, field, values):
            return {"entry": "count", "label": label, "value": value, "source": _spelt(source), "field": field,
                    "values": list(values)}  # fmt: skip
        case Said(what, words, by, on, source):
            return {"entry": "said", "what": what, "words": words, "by": by, "on": on, "source": _spelt(source)}
        case Table():
            return {"entry": "table", **_table(entry)}
        case Drawing(kind, caption, tables):
            return {"entry": "drawing", "kind": kind, "caption": caption, "tables": [_table(each) for each in tables]}
        case Figure(caption, svg, source):
            return {"entry": "figure", "caption": caption, "svg": svg, "source": _spelt(source)}
        case Inventory(caption, sources):
            return {"entry": "inventory", "caption": caption, "sources": [_spelt(each) for each in sources]}
        case Owed(what, owner, code):
            return {"entry": "owed", "what": what, "owner": owner, "code": code}
        case Missing(what, where):
            return {"entry": "missing", "what": what, "where": where}


def _read(data: Mapping[str, Any]) -> Entry:
    match data["entry"]:
        case "words":
            return Words(data["text"])
        case "fact":
            return Fact(data["label"], json.loads(data["value"]), _source(data["source"]), data["verdict"])
        case "count":
            return Count(
                data["label"], data["value"], _source(data["source"]), data["field"], tuple(map(str, data["values"]))
            )
        case "said":
            return Said(data["what"], data["words"], data["by"], data["on"], _source(data["source"]))
        case "table":
            return _as_table(data)
        case "drawing":
            return Drawing(data["kind"], data["caption"], tuple(_as_table(each) for each in data["tables"]))
        case "figure":
            return Figure(data["caption"], data["svg"], _source(data["source"]))
        case "inventory":
            return Inventory(data["caption"], tuple(_source(each) for each in data["sources"]))
        case "owed":
            return Owed(data["what"], data["owner"], data["code"])
        case "missing":
            return Missing(data["what"], data["where"])
        case unknown:
            raise ValueError(f"no entry of a report: {unknown!r}")


def _table(table: Table) -> dict[str, Any]:
    return {
        "caption": table.caption,
        "columns": list(table.columns),
        "fields": list(table.fields),
        "rows": [[json.dumps(value) for value in row] for row in table.rows],
        "source": _spelt(table.source),
        "marks": table.marks,
        "keys": list(table.keys),
    }


def _as_table(data: Mapping[str, Any]) -> Table:
    return Table(
        data["caption"],
        tuple(data["columns"]),
        tuple(data["fields"]),
        tuple(tuple(json.loads(value) for value in row) for row in data["rows"]),
        _source(data["source"]),
        data["marks"],
        tuple(data["keys"]),
    )


def _spelt(source: Source) -> list[str]:
    return [source.phase, source.file, source.digest.hex, source.place]


def _source(data: Any) -> Source:
    phase, file, digest, place = data
    return Source(phase, file, ContentHash(digest), place)
