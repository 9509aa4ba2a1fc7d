"""Imports that nobody needs here, kept out: they would be the larger part of a short run."""

from __future__ import annotations

import sys


def skip_idle_imports() -> None:
    """Keep `jsonschema` from building its grammar of international addresses, which takes over a second of every start.

    It is optional there: without it the formats `iri` and `iri-reference`, which no notebook schema uses, go unchecked.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
