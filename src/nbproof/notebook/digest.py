"""The content hash of a notebook that a reviewer signs: what was written, and nothing that running it left."""

from __future__ import annotations

import json
from typing import Any

from ..records import ContentHash
from .code import INJECTED
from .document import Cell, Document


def digest(document: Document) -> ContentHash:
    """Return the hash of the sources and tags of all cells, in order, and of their language.

    Outputs, execution counts, cell ids, metadata and cells tagged `injected-parameters` do not count.
    Images attached to a markdown cell do: a reader sees them. Text is taken character for character and
    is not normalised, because two spellings of one letter are two different strings to Python.
    """
    return ContentHash.of(canonical(document))


def canonical(document: Document) -> bytes:
    """Return the very bytes that `digest` hashes: kept, they say years later what was signed."""
    # Canonical JSON: one content has one spelling on every machine.
    spelled = json.dumps(_content(document), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return spelled.encode("utf-8", "surrogatepass")


def counted(document: Document) -> tuple[Cell, ...]:
    """Return the cells that count, in order: all but what was injected."""
    return tuple(cell for cell in document.cells if INJECTED not in cell.tags)


def _content(document: Document) -> dict[str, Any]:
    attachments = {
        cell["id"]: cell["attachments"] for cell in document.content.get("cells", ()) if cell.get("attachments")
    }
    cells = []
    for cell in counted(document):
        spelled: dict[str, Any] = {"kind": cell.kind, "source": cell.source, "tags": sorted(set(cell.tags))}
        if cell.id in attachments:
            spelled["attachments"] = attachments[cell.id]
        cells.append(spelled)
    language = "python" if document.is_python else document.language.lower()
    return {"cells": cells, "language": language}
