"""JSON in one spelling, read strictly: what is signed or chained has exactly one form."""

from __future__ import annotations

import json
from typing import Any


def spelled(value: Any) -> bytes:
    """Return `value` as canonical JSON: sorted keys, no spaces, UTF-8. NaN and infinity are no JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def understood(content: bytes) -> Any:
    """Return what JSON says; raises `ValueError` for anything else, and for an object that names one key twice."""
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # Of two values for one key one reader sees the first and another the second.
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name}, which is no JSON")
