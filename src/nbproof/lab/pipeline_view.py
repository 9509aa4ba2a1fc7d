"""A pipeline as a page sees it: what `nbproof status` says, with what a run that goes on has told since."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .pipeline_runs import plain_text, shortened

TASKS, REASONS, PRODUCTS, ITEMS = 2000, 20, 50, 500
TEXT_CHARACTERS = 2000
# What the last run made of a task counts for its state as long as the task is not fresh again.
ENDED_BADLY = {"failed": "failed", "blocked": "blocked", "stopped": "stopped", "interrupted": "stopped"}


def tasks(
    status: Mapping[str, Any], run: Mapping[str, Any] | None, *, root: Path, project: Path
) -> list[dict[str, Any]]:
    """The tasks of a pipeline in their order, each with one state; no more than a page can show."""
    told = run["tasks"] if run is not None and run["is_running"] else {}
    return [_task(found, told.get(found["task"], {}), root=root, project=project) for found in status["tasks"][:TASKS]]


def _task(found: Mapping[str, Any], told: Mapping[str, Any], *, root: Path, project: Path) -> dict[str, Any]:
    products = {key: Path(path) for key, path in found["products"].items()}
    last = found["last"]
    return {
        "name": found["task"],
        "notebook": contents_path(Path(found["notebook"]), root),
        "upstream": found["upstream"],
        "products": [
            {"key": key, "path": contents_path(path, root), "file": path.name, "exists": path.exists()}
            for key, path in [*products.items()][:PRODUCTS]
        ],
        "parameters": {name: shown(value) for name, value in found["parameters"].items()},
        "state": state(found),
        "reasons": [shortened(reason) for reason in found["reasons"][:REASONS]],
        "last": last and {
            **{key: last[key] for key in ("run_id", "at", "outcome", "elapsed_s")},
            "reason": shortened(last["reason"]),
            "has_notebook": bool(last["notebook"]) and (project / last["notebook"]).is_file(),
        },
        "executed": contents_path(products["nb"], root) if products["nb"].is_file() else None,
        **told,
    }  # fmt: skip


def state(found: Mapping[str, Any]) -> str:
    """One word for a task that `nbproof status` tells of: what holds now, and else what came of it last.

    >>> state({"state": "stale", "last": {"outcome": "failed"}, "has_succeeded": True})
    'failed'
    >>> state({"state": "stale", "last": None, "has_succeeded": False})
    'new'
    """
    last = found["last"]["outcome"] if found["last"] else ""
    if last == "running":
        return "running"
    if found["state"] == "fresh":
        return "fresh"
    if last in ENDED_BADLY:
        return ENDED_BADLY[last]
    return str(found["state"]) if found["has_succeeded"] else "new"


def contents_path(path: Path, root: Path) -> str | None:
    """What the pages call a file: its path below the server's folder; None where they cannot open it."""
    found, above = path.resolve(), root.resolve()
    if not found.is_relative_to(above):
        return None
    relative = found.relative_to(above)
    return None if any(part.startswith(".") for part in relative.parts) else relative.as_posix()


def shown(value: Any) -> Any:
    """A value as JSON holds it, and no longer than a page shows; a number that is none becomes its name."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return plain_text(value)[:TEXT_CHARACTERS]
    if isinstance(value, Mapping):
        return {str(key): shown(held) for key, held in [*value.items()][:ITEMS]}
    if isinstance(value, list | tuple):
        return [shown(held) for held in value[:ITEMS]]
    return value
