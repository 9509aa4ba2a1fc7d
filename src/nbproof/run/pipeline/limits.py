"""What `executor:` in pipeline.yaml may say: how many workers, and the limits and resources of each task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ...errors import SettingsInvalid
from ...records import Limits, Resources

_RESOURCES = tuple(field.name for field in fields(Resources))
_KIND = re.compile(r"[A-Za-z0-9_.-]+")


def checked_workers(workers: Any) -> int | None:
    """Return `workers`; raise `SettingsInvalid` unless it is a whole number above 0, or None for the project's own."""
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise SettingsInvalid("executor.workers", repr(workers), "a number of processes, 1 or more")
    return workers


def checked_limits(limits: Mapping[str, Mapping[str, float]] | None) -> dict[str, Limits]:
    """Return the limits of each task; raise `SettingsInvalid` for a limit that nobody knows or that means nothing."""
    return {task: _limits(task, found) for task, found in (limits or {}).items()}


def _limits(task: str, found: Mapping[str, float]) -> Limits:
    expected = [field.name for field in fields(Limits)]
    for name in found:
        if name not in expected:
            place = f"; resources stand below executor.resources.{task}" if name in _RESOURCES else ""
            raise SettingsInvalid(f"executor.limits.{task}", f"`{name}`", ", ".join(expected) + place)
    try:
        return Limits(**found)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SettingsInvalid(f"executor.limits.{task}", str(error), ", ".join(expected)) from None


def checked_resources(resources: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Resources]:
    """Return what each task is given; raise `SettingsInvalid` for what nobody knows or that means nothing."""
    return {task: _resources(f"executor.resources.{task}", found) for task, found in (resources or {}).items()}


def _resources(where: str, found: Mapping[str, Any]) -> Resources:
    expected: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "cpus": ("a whole number, 1 or more", lambda value: _is_count(value, 1)),
        "memory_mb": ("a whole number of megabytes, 1 or more", lambda value: _is_count(value, 1)),
        "gpus": ("a whole number, 0 or more", lambda value: _is_count(value, 0)),
        "gpu_kind": ("a name, beside `gpus`", lambda value: _is_kind(value) and bool(found.get("gpus"))),
    }
    for name, value in found.items():
        if name not in expected:
            raise SettingsInvalid(where, f"`{name}`", ", ".join(expected))
        words, is_fit = expected[name]
        if not is_fit(value):
            raise SettingsInvalid(f"{where}.{name}", repr(value), words)
    return Resources(**found)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and _KIND.fullmatch(value) is not None
