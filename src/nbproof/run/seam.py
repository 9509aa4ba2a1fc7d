"""Ploomber's seam for executors, from our side: a build of ours between the hooks of Ploomber's DAG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ploomber.exceptions import DAGBuildError
from ploomber.executors.abc import Executor


class CarriesOut(Protocol):
    """A build, wherever its tasks run."""

    def carry_out(self) -> Mapping[str, str]:
        """Bring every task to an outcome and return why those failed that did."""
        ...


class Scheduler(Executor):  # type: ignore[misc]
    """Carries out `build` where Ploomber would carry out its own."""

    def __init__(self, build: CarriesOut) -> None:
        self.build = build

    def __call__(self, dag: Any, show_progress: bool) -> list[Any]:
        return told(self.build.carry_out())


def told(failures: Mapping[str, str]) -> list[Any]:
    """Tell Ploomber why tasks failed, in the way that it expects."""
    if failures:
        raise DAGBuildError("\n".join(f"{name}: {reason}" for name, reason in failures.items()))
    return []
