"""When a cron expression comes true, on wall clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import ScheduleInvalid
from nbproof.schedule.cron import Cron, instants, read, zone

BERLIN = ZoneInfo("Europe/Berlin")
# Changes by an hour in the night, by half an hour, at midnight, at one minute past it; a day left out; no change.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Goose_Bay",
         "Pacific/Apia", "Asia/Kolkata"]  # fmt: skip
# Days around the changes of these zones.
CHANGES = [datetime(2026, 3, 28), datetime(2026, 10, 24), datetime(2026, 11, 1), datetime(2026, 3, 8),
           datetime(2026, 4, 4), datetime(2018, 2, 17), datetime(2018, 11, 3), datetime(2010, 11, 6),
           datetime(2010, 3, 13), datetime(2011, 12, 29)]  # fmt: skip


def listed(text: str, at: str, after: datetime, count: int) -> list[str]:
    """The first few moments, as the wall clock shows them."""
    found = islice(instants(read(text), zone(at), after.replace(tzinfo=zone(at))), count)
    return [moment.astimezone(zone(at)).strftime("%m-%d %H:%M%z") for moment in found]


def test_a_time_that_is_left_out_comes_at_the_first_moment_after() -> None:
    """In Berlin there is no half past two on the last Sunday of March: three o'clock stands for it, once."""
    assert listed("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28), 3) == [
        "03-28 02:30+0100", "03-29 03:00+0200", "03-30 02:30+0200",
    ]  # fmt: skip
    assert listed("0,15,30 2,3 * * *", "Europe/Berlin", datetime(2026, 3, 29), 4) == [
        "03-29 03:00+0200", "03-29 03:15+0200", "03-29 03:30+0200", "03-30 02:00+0200",
    ]  # fmt: skip


def test_a_time_that_is_shown_twice_comes_once() -> None:
    """Half past two comes twice on the last Sunday of October; the first time counts."""
    assert listed("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, 12), 2) == [
        "10-25 02:30+0200", "10-26 02:30+0100",
    ]  # fmt: skip


def test_every_hour_goes_by_hours_that_pass() -> None:
    """An hour that is left out has no tick, and each of two that bear the same number has one."""
    assert listed("15 * * * *", "Europe/Berlin", datetime(2026, 3, 29, 1), 3) == [
        "03-29 01:15+0100", "03-29 03:15+0200", "03-29 04:15+0200",
    ]  # fmt: skip
    assert listed("15 * * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, 30), 3) == [
        "10-25 02:15+0200", "10-25 02:15+0100", "10-25 03:15+0100",
    ]  # fmt: skip


def test_a_midnight_that_is_left_out_and_a_day_that_is() -> None:
    """Where clocks change at midnight, one o'clock stands for it; a date that was skipped has one moment after it."""
    assert listed("0 0 * * *", "America/Sao_Paulo", datetime(2018, 11, 3, 12), 2) == [
        "11-04 01:00-0200", "11-05 00:00-0200",
    ]  # fmt: skip
    assert listed("0 9 30 12 *", "Pacific/Apia", datetime(2011, 12, 29), 1) == ["12-31 00:00+1400"]


def test_a_day_or_a_weekday_is_enough() -> None:
    """Where both are named either will do, as in every cron; Sunday is 0 and 7."""
    assert listed("0 6 13 * fri", "UTC", datetime(2026, 2, 1), 4) == [
        "02-06 06:00+0000", "02-13 06:00+0000", "02-20 06:00+0000", "02-27 06:00+0000",
    ]  # fmt: skip
    assert read("0 0 * * 0") == Cron("0 0 * * 0", frozenset({0}), frozenset({0}), None, read("* * * * *").months,
                                     frozenset({0}))  # fmt: skip
    assert read("0 0 * * 7").weekdays == read("0 0 * * sun").weekdays == frozenset({0})
    assert read("0 0 * * fri-sun").weekdays == frozenset({5, 6, 0})


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *", "0 0 30 2 *", "0 0 31 4,6 *",
     "@reboot", "² * * * *", "1- * * * *", "0 0 * * mon-"],
)  # fmt: skip
def test_what_says_no_time_is_refused(text: str) -> None:
    """One line says what was found and shows what is expected."""
    with pytest.raises(ScheduleInvalid, match=r"--cron: found .*, expected .*five fields"):
        read(text)


def test_what_crons_read_in_two_ways_is_refused() -> None:
    """Every second day that is a Monday, or every second day and Mondays? Crons differ, so nobody may have meant it."""
    with pytest.raises(ScheduleInvalid, match=r"which crons read in two ways, expected days or weekdays without `\*/`"):
        read("0 0 */2 * mon")


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../../etc/passwd", "Mars"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    """A slip in the name of a zone is no zone."""
    with pytest.raises(ScheduleInvalid, match=r"--timezone: found .*, expected the name of a time zone"):
        zone(name)


def fields(lowest: int, highest: int) -> st.SearchStrategy[str]:
    value = st.integers(lowest, highest)
    spans = st.tuples(value, value).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.one_of(st.just("*"), spans), st.integers(2, 9)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.one_of(value.map(str), spans, stepped), min_size=1, max_size=2).map(",".join)


def mostly(field: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.just("*"), field)


EXPRESSIONS = st.tuples(
    fields(0, 59), mostly(fields(0, 23)), mostly(st.integers(1, 28).map(str)), st.just("*"), st.just("*")
) | st.tuples(fields(0, 59), mostly(fields(0, 23)), st.just("*"), mostly(fields(1, 12)), mostly(fields(0, 6)))


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS, st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)))
def test_where_no_clock_is_changed_all_crons_agree(words: tuple[str, ...], after: datetime) -> None:
    """In UTC we give what croniter gives."""
    text = " ".join(words)
    start = after.replace(microsecond=0, tzinfo=UTC)
    peer = croniter(text, start)

    assert list(islice(instants(read(text), zone("UTC"), start), 5)) == [peer.get_next(datetime) for _ in range(5)]


def walked(cron: Cron, at: ZoneInfo, start: datetime, hours: int) -> list[datetime]:
    """The same, told in another way: minute by minute, with a look at what the wall clock shows."""
    found = []
    shown_before: set[datetime] = set()
    wall = (start - timedelta(days=2)).astimezone(at).replace(tzinfo=None)
    for minute in range(-2 * 24 * 60, hours * 60):
        moment = start + timedelta(minutes=minute)
        before, wall = wall, moment.astimezone(at).replace(tzinfo=None)
        left_out = [before + timedelta(minutes=each) for each in range(1, int((wall - before).total_seconds() // 60))]
        fits = [each for each in (wall, *left_out) if cron.is_on(each.date()) and each.hour in cron.hours
                and each.minute in cron.minutes]  # fmt: skip
        is_new = any(each != wall or wall not in shown_before for each in fits)
        comes = wall in fits if cron.is_every_hour else is_new
        shown_before.add(wall)
        if comes and minute > 0:
            found.append(moment)
    return found


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(0, 23))
def test_the_rules_hold_at_every_change(words: tuple[str, ...], name: str, day: datetime, hour: int) -> None:
    """What is reckoned is what somebody sees who watches the wall clock for three days."""
    cron, at = read(" ".join(words)), zone(name)
    start = (day + timedelta(hours=hour)).replace(tzinfo=UTC)
    reckoned = []
    for moment in instants(cron, at, start):
        if moment >= start + timedelta(hours=72):
            break
        reckoned.append(moment)

    assert reckoned == walked(cron, at, start, 72)
