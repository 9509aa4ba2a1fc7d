"""Imports that nobody needs here, kept out: they would be the larger part of a short run."""

from __future__ import annotations

import sys
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
