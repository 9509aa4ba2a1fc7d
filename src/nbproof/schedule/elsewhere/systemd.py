"""A schedule as a systemd timer and its service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..cron import Cron
from ..definition import Schedule
from . import woken
from .woken import Wanted

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def render(schedule: Schedule, wanted: Wanted) -> Mapping[str, str]:
    """The two units of a schedule, by their names."""
    at = woken.zone_of(schedule)
    moments = calendars(woken.expression(schedule, "systemd"))
    unit = f"nbproof-{schedule.name}"
    persistent = "false" if schedule.policy.catch_up == "none" else "true"
    # systemd goes without a shell; its own signs are `%` for places and `$` for variables.
    words = " ".join(_word(each) for each in woken.command(schedule, wanted))
    timer = [
        "[Unit]", f"Description=nbproof schedule {schedule.name}", "", "[Timer]",
        *(f"OnCalendar={moment} {at}" for moment in moments),
        f"Persistent={persistent}", "AccuracySec=1s", "", "[Install]", "WantedBy=timers.target", "",
    ]  # fmt: skip
    service = [
        "[Unit]", f"Description=nbproof schedule {schedule.name}", "", "[Service]", "Type=oneshot",
        f"WorkingDirectory={_plain(str(wanted.project))}", f"ExecStart={words}",
        # What runs is told to end and is given time to; it is written down either way.
        "KillMode=mixed", "TimeoutStopSec=60", "",
    ]  # fmt: skip
    return {f"{unit}.timer": "\n".join(timer), f"{unit}.service": "\n".join(service)}


def calendars(expression: Cron) -> tuple[str, ...]:
    """What systemd calls the moments of an expression; two where a day or a weekday is enough, since it wants both.

    >>> from ..cron import read
    >>> calendars(read("30 6 1 jan-feb mon,fri"))
    ('*-01,02-01 06:30:00', 'Mon,Fri *-01,02-* 06:30:00')
    """
    months = _listed(expression.months)
    time = f"{_listed(expression.hours)}:{_listed(expression.minutes)}:00"
    weekdays = ",".join(_WEEKDAYS[day] for day in sorted(expression.weekdays or ()))
    by_day = f"*-{months}-{_listed(expression.days)} {time}" if expression.days is not None else None
    by_weekday = f"{weekdays} *-{months}-* {time}" if weekdays else None
    return tuple(filter(None, (by_day, by_weekday))) or (f"*-{months}-* {time}",)


def _listed(values: Iterable[int]) -> str:
    return ",".join(f"{value:02d}" for value in sorted(values))


def _word(text: str) -> str:
    return '"' + _plain(text).replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    return text.replace("%", "%%")
