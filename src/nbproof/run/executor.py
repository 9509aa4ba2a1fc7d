"""The executor that `pipeline.yaml` names, so that `ploomber build` is as careful as `nbproof run`.

executor:
  dotted_path: nbproof.run.executor.TaskExecutor
  workers: 2
  limits:
    06_training: {timeout_s: 1800, retries: 1, backoff_s: 5}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ploomber.executors.abc import Executor

from ..errors import SettingsInvalid
from ..records import Limits
from .build import build_for_ploomber


class TaskExecutor(Executor):  # type: ignore[misc]
    """Runs notebooks in worker processes; named in `pipeline.yaml`, it serves `ploomber build` too."""

    def __init__(self, workers: int | None = None, limits: Mapping[str, Mapping[str, float]] | None = None) -> None:
        if workers is not None and (not isinstance(workers, int) or workers < 1):
            raise SettingsInvalid("executor.workers", repr(workers), "a number of processes, 1 or more")
        self.workers = workers
        self.limits = {task: _limits(task, found) for task, found in (limits or {}).items()}

    def __call__(self, dag: Any, show_progress: bool) -> list[Any]:
        return build_for_ploomber(dag, workers=self.workers)


def _limits(task: str, found: Mapping[str, float]) -> Limits:
    try:
        return Limits(**found)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SettingsInvalid(f"executor.limits.{task}", str(error), "timeout_s, retries, backoff_s") from None
