"""The executor that `pipeline.yaml` names, so that `ploomber build` is as careful as `nbproof run`.

executor:
  dotted_path: nbproof.run.executor.TaskExecutor
  workers: 2
  limits:
    06_training: {timeout_s: 1800, retries: 1, backoff_s: 5}
  resources:
    06_training: {gpus: 1, memory_mb: 16000}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ploomber.executors.abc import Executor

from .build import build_for_ploomber
from .pipeline.limits import checked_limits, checked_resources, checked_workers
from .seam import told


class TaskExecutor(Executor):  # type: ignore[misc]
    """Runs notebooks in worker processes; named in `pipeline.yaml`, it serves `ploomber build` too."""

    def __init__(
        self,
        workers: int | None = None,
        limits: Mapping[str, Mapping[str, float]] | None = None,
        resources: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.workers = checked_workers(workers)
        self.limits = checked_limits(limits)
        self.resources = checked_resources(resources)

    def __call__(self, dag: Any, show_progress: bool) -> list[Any]:
        return told(build_for_ploomber(dag, workers=self.workers))
