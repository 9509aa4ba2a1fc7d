"""When a cron expression comes true: five fields, read on the wall clock of one time zone."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ..errors import ScheduleInvalid

SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = {name: at for at, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}  # noqa: SIM905
_DAYS = {name: at for at, name in enumerate("sun mon tue wed thu fri sat".split())}  # noqa: SIM905
_FIELDS: tuple[tuple[str, int, int, Mapping[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
# From one 29th of February to the next there are eight years at most.
_HORIZON = timedelta(days=366 * 9)
EXAMPLE = 'five fields (minute hour day month weekday), such as "0 6 * * mon-fri"'


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that was read; `days` of the month and `weekdays` (0 is Sunday) None where they do not matter.

    Where both matter either is enough, as in every cron.
    """

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    @property
    def is_every_hour(self) -> bool:
        """Whether it goes by hours that pass rather than by hours of the day."""
        return len(self.hours) == 24

    def is_on(self, day: date) -> bool:
        """Whether it comes true on a day."""
        if day.month not in self.months:
            return False
        by_day = self.days is not None and day.day in self.days
        by_weekday = self.weekdays is not None and day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday or (self.days is None and self.weekdays is None)


@lru_cache(maxsize=256)
def read(text: str) -> Cron:
    """Read an expression; raises `ScheduleInvalid`, naming the field that says nothing, or an hour that never comes.

    >>> sorted(read("*/20 6 * * mon-fri").minutes)
    [0, 20, 40]
    """
    words = SHORT.get(text.strip().lower(), text).split()
    if len(words) != len(_FIELDS):
        raise ScheduleInvalid("--cron", f"{text!r}", EXAMPLE)
    if words[2] != "*" and words[4] != "*" and "*" in words[2] + words[4]:
        # Some crons want both to be so, some only one of them.
        raise ScheduleInvalid("--cron", f"{text!r}, which crons read in two ways", "days or weekdays without `*/`")
    minutes, hours, days, months, weekdays = (
        _values(text, word, *field) for word, field in zip(words, _FIELDS, strict=True)
    )
    found = Cron(
        text.strip(),
        minutes,
        hours,
        None if words[2] == "*" else days,
        months,
        None if words[4] == "*" else frozenset(day % 7 for day in weekdays),
    )
    if next(instants(found, UTC_ZONE, datetime(2001, 1, 1, tzinfo=UTC)), None) is None:
        raise ScheduleInvalid("--cron", f"{text!r}, a day that never comes", EXAMPLE)
    return found


def zone(name: str) -> ZoneInfo:
    """The time zone of a name, such as `Europe/Berlin`; raises `ScheduleInvalid`."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ScheduleInvalid("--timezone", f"{name!r}", 'the name of a time zone, such as "Europe/Berlin"') from None


UTC_ZONE = ZoneInfo("UTC")


def instants(cron: Cron, at: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The moments after `after` at which an expression comes true, in UTC, each once and in order.

    An expression that names hours goes by the wall clock: a time that the clock leaves out is made up for at the first
    moment after, and a time that the clock shows twice counts the first time. One for every hour goes by the hours that
    pass: there is none in an hour that is left out, and there is one in each of two that bear the same number. It ends
    where nothing comes for nine years.
    """
    waiting: list[datetime] = []
    last, quiet_since = after, after.astimezone(at).date()
    # A wall clock that was put back across midnight shows yesterday after today.
    day = quiet_since - timedelta(days=1)
    while day - quiet_since < _HORIZON:
        if cron.is_on(day):
            for instant in _of_day(cron, at, day):
                heapq.heappush(waiting, instant)
        day += timedelta(days=1)
        complete = min(_shown(datetime(day.year, day.month, day.day), at))
        while waiting and waiting[0] < complete:
            instant = heapq.heappop(waiting)
            if instant > last:
                last, quiet_since = instant, day
                yield instant


@lru_cache(maxsize=1024)
def following(text: str, zone_name: str, after: datetime) -> datetime:
    """The first moment after `after`."""
    return next(instants(read(text), zone(zone_name), after))


def _of_day(cron: Cron, at: ZoneInfo, day: date) -> Iterator[datetime]:
    for hour in cron.hours:
        for minute in cron.minutes:
            wall = datetime(day.year, day.month, day.day, hour, minute)
            shown = _shown(wall, at)
            is_left_out = len(shown) == 1 and shown[0].astimezone(at).replace(tzinfo=None) != wall
            if cron.is_every_hour:
                yield from () if is_left_out else shown
            else:
                yield shown[0]


def _shown(wall: datetime, at: ZoneInfo) -> list[datetime]:
    """When a wall clock shows a time, in UTC: once or twice; the first moment after where it never does."""
    early = wall.replace(tzinfo=at, fold=0).astimezone(UTC)
    late = wall.replace(tzinfo=at, fold=1).astimezone(UTC)
    if early == late:
        return [early]
    if early < late:
        return [early, late]
    # Left out: read with the later offset it lies before the change, with the earlier one behind it.
    before, behind = late, early
    offset = behind.astimezone(at).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = before + (behind - before) / 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(at).utcoffset() == offset:
            behind = middle
        else:
            before = middle
    return [behind]


def _values(text: str, word: str, name: str, lowest: int, highest: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.lower().split(","):
        span, slash, step_text = part.partition("/")
        low_text, dash, high_text = span.partition("-")
        step = _number(step_text, {}) if slash else 1
        if span == "*":
            low, high = lowest, highest
        else:
            low = _number(low_text, names)
            high = _number(high_text, names) if dash else (highest if slash else low)
        # A weekend may be written as it is said.
        if names is _DAYS and dash and high == 0 < low:
            high = 7
        if min(low, high, step) < 0 or step == 0 or not lowest <= low <= high <= highest:
            raise ScheduleInvalid("--cron", f"{part!r} as {name} in {text!r}", f"{lowest} to {highest}: {EXAMPLE}")
        found.update(range(low, high + 1, step))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    """A number or a name; -1 where it is neither."""
    return int(text) if text.isascii() and text.isdigit() else names.get(text, -1)
