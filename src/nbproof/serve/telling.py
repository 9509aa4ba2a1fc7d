"""What a service tells while it runs: one line of JSON for each event, without a value of any row."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any


def tell(event: str, words: str) -> None:
    """Write a line about an event."""
    _write({"event": event, "words": words})


def told(request: str, route: str, status: int, seconds: float) -> None:
    """Write a line about an answer."""
    _write({"event": "answered", "request": request, "route": route, "status": status, "ms": round(1000 * seconds, 3)})


def _write(facts: dict[str, Any]) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sys.stderr.write(json.dumps({"at": at, **facts}, ensure_ascii=False) + "\n")
    sys.stderr.flush()
