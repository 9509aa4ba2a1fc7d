"""What `executor:` in pipeline.yaml may say of our executor: how many workers, and the limits of each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import SettingsInvalid
from ...records import Limits


def checked_workers(workers: Any) -> int | None:
    """Return `workers`; raise `SettingsInvalid` unless it is a whole number above 0, or None for the project's own."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise SettingsInvalid("executor.workers", repr(workers), "a number of processes, 1 or more")
    return workers


def checked_limits(limits: Mapping[str, Mapping[str, float]] | None) -> dict[str, Limits]:
    """Return the limits of each task; raise `SettingsInvalid` for a limit that nobody knows or that means nothing."""
    return {task: _limits(task, found) for task, found in (limits or {}).items()}


def _limits(task: str, found: Mapping[str, float]) -> Limits:
    try:
        return Limits(**found)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SettingsInvalid(f"executor.limits.{task}", str(error), "timeout_s, retries, backoff_s") from None
