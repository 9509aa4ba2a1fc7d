"""A schedule as a line of a crontab."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime

from ...errors import ScheduleInvalid
from .. import cron
from ..definition import Schedule
from . import woken
from .woken import Wanted


def render(schedule: Schedule, wanted: Wanted) -> Mapping[str, str]:
    """The line; raises `ScheduleInvalid` where this machine's cron would read it in another time zone."""
    expression, at = woken.expression(schedule, "cron"), woken.zone_of(schedule)
    if not _is_like_here(at):
        raise ScheduleInvalid(
            "--to cron", f"the time zone {at}", "this machine's own, the only one that every cron knows",
            hint="--to systemd knows time zones; so does nbproof schedule run",
        )  # fmt: skip
    # In a crontab `%` ends the command, and a line break the line.
    words = woken.told(schedule, wanted).replace("%", "\\%")
    project = shlex.quote(str(wanted.project)).replace("%", "\\%")
    return {f"nbproof-{schedule.name}.crontab": f"{woken.five_fields(expression)} cd {project} && {words}\n"}


def _is_like_here(name: str) -> bool:
    """Whether a time zone shows what this machine's clock does, through all of the year to come."""
    at, now = cron.zone(name), datetime.now().astimezone()
    for day in range(0, 366, 7):
        moment = datetime.fromtimestamp(now.timestamp() + day * 86400)
        if moment.astimezone().utcoffset() != moment.astimezone(at).utcoffset():
            return False
    return True
