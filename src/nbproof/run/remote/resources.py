"""What an engine is asked to give a task, all its attempts together."""

from __future__ import annotations

from dataclasses import replace

from ...records import Limits, Resources, Task

# Beside the time that a notebook is given: to start, to hash and to publish.
BESIDE_S = 300


def whole(task: Task) -> Resources:
    """The resources of a task, with the time that all its attempts may take together; None: what the engine allows."""
    return replace(task.resources, time_s=_longest_s(task.limits))


def _longest_s(limits: Limits) -> int | None:
    if limits.timeout_s is None:
        return None
    pauses = sum(limits.backoff_s * 2**tried for tried in range(limits.retries))
    return int((limits.retries + 1) * (limits.timeout_s + BESIDE_S) + pauses) + 1
