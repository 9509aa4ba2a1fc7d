"""The definition of a schedule for another scheduler, by that one's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..definition import Schedule
from . import airflow, crontab, kubernetes, systemd
from .woken import Wanted

TARGETS: Mapping[str, Callable[[Schedule, Wanted], Mapping[str, str]]] = {
    "airflow": airflow.render,
    "cron": crontab.render,
    "kubernetes": kubernetes.render,
    "systemd": systemd.render,
}


def written(schedule: Schedule, target: str, wanted: Wanted) -> Mapping[str, str]:
    """The files that tell another scheduler, by their names. Raises `ScheduleInvalid`."""
    return TARGETS[target](schedule, wanted)
