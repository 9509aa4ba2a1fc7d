"""What every other scheduler starts, and which schedules it can keep."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import ScheduleInvalid
from .. import cron
from ..cron import Cron
from ..definition import Schedule


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a definition needs to know beside the schedule: how nbproof is called, and where the project lies there.

    `image` and `volume` (the name of a PersistentVolumeClaim that holds the project) are for Kubernetes.
    """

    program: tuple[str, ...]
    project: Path
    image: str | None = None
    volume: str | None = None
    namespace: str | None = None


def command(schedule: Schedule, wanted: Wanted) -> tuple[str, ...]:
    """One look at a schedule: what is due runs to its end, by the schedule's own policies."""
    return (*wanted.program, "schedule", "run", schedule.name, "--once")


def told(schedule: Schedule, wanted: Wanted) -> str:
    """The command, as one would type it."""
    return shlex.join(command(schedule, wanted))


def expression(schedule: Schedule, target: str) -> Cron:
    """The cron expression that another scheduler wakes by; raises `ScheduleInvalid` where there is none.

    >>> from ..definition import Trigger, Work
    >>> every = Schedule(name="a", work=Work(kind="pipeline", path="p"), trigger=Trigger(every_s=900))
    >>> expression(every, "cron").text
    '*/15 * * * *'
    """
    trigger = schedule.trigger
    if trigger.cron is not None:
        return cron.read(trigger.cron)
    minutes, rest = divmod(trigger.every_s or 0, 60)
    if minutes and not rest:
        if 60 % minutes == 0:
            return cron.read("0 * * * *" if minutes == 60 else "* * * * *" if minutes == 1 else f"*/{minutes} * * * *")
        hours, rest = divmod(minutes, 60)
        if not rest and 24 % hours == 0:
            return cron.read("0 0 * * *" if hours == 24 else f"0 */{hours} * * *")
    raise ScheduleInvalid(
        f"--to {target}", f"a schedule that starts {trigger.in_words()}",
        "--cron, or --every with minutes that divide an hour or hours that divide a day", hint="nbproof schedule run",
    )  # fmt: skip


def five_fields(expression: Cron) -> str:
    """An expression spelled so that every cron reads the same: as numbers, of which Sunday is 0.

    >>> five_fields(cron.read("0 6 * * fri-7"))
    '0 6 * * 0,5,6'
    """
    every = cron.read("* * * * *")
    minutes = "*" if expression.minutes == every.minutes else _listed(expression.minutes)
    hours = "*" if expression.is_every_hour else _listed(expression.hours)
    days = "*" if expression.days is None else _listed(expression.days)
    months = "*" if expression.months == every.months else _listed(expression.months)
    weekdays = "*" if expression.weekdays is None else _listed(expression.weekdays)
    return f"{minutes} {hours} {days} {months} {weekdays}"


def _listed(values: Iterable[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


def zone_of(schedule: Schedule) -> str:
    """The time zone in which that expression is meant."""
    return schedule.trigger.timezone if schedule.trigger.cron is not None else "UTC"
