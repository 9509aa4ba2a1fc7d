"""How a phase leaves its products: one content has one spelling, so that a second run leaves the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def place(path: str | Path) -> Path:
    """The path of a product, its folder made."""
    found = Path(path)
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


def leave(path: str | Path, content: str | bytes) -> None:
    """Write a product; text becomes UTF-8 with the line ends that it has."""
    place(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def as_json(value: Any) -> str:
    """Readable JSON with sorted keys; raises ValueError for NaN and infinity, which JSON has not."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def leave_json(path: str | Path, value: Any) -> None:
    """Write `value` as a product, spelt as `as_json` spells it."""
    leave(path, as_json(value))
