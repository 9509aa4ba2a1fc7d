"""Imports that nobody needs here, kept out: they would be the larger part of a short run."""

from __future__ import annotations

import sys
from datetime import datetime
from importlib import import_module
from typing import Any


def skip_idle_imports() -> None:
    """Keep `jsonschema` from building its grammar of international addresses, which takes over a second of every start.

    It is optional there: without it the formats `iri` and `iri-reference`, which no notebook schema uses, go unchecked.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def skip_foreign_engines() -> None:
    """Keep Papermill from importing every engine that is installed, and pyarrow: half a second of every worker.

    For a worker's own process only: it knows our engine alone, and reads and writes local files alone.
    """
    entrypoints: Any = import_module("entrypoints")
    entrypoints.get_group_all = lambda *_, **__: []
    sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]


def read_dates_quickly() -> None:
    """Let `jupyter_client` read the dates of messages with the standard library.

    Each message has two, and `dateutil` takes longer for them than everything else takes for the message. What the
    standard library does not read, or reads without a time zone, is left to `dateutil`.
    """
    jsonutil: Any = import_module("jupyter_client.jsonutil")
    if getattr(jsonutil.parse_date, "is_quick", False):
        return
    thorough, looks_like_date = jsonutil.parse_date, jsonutil.ISO8601_PAT.match

    def parse_date(text: Any) -> Any:
        if text is None or not text[:4].isdigit() or not looks_like_date(text):
            return text
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            return thorough(text)
        return date if date.tzinfo is not None else thorough(text)

    parse_date.is_quick = True  # type: ignore[attr-defined]
    jsonutil.parse_date = parse_date
