"""What becomes of ticks that are due, as plain values: a table to read, and the laws that hold for all of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbproof.schedule.policy import Due, Policy, Standing, after_failure, decide, to_start

NOW = 10_000.0
RUNNING = Standing("before", NOW - 500, "running")


def due(*ages: float) -> list[Due]:
    """Ticks that were due so many seconds ago."""
    return [Due(f"-{age:g}", NOW - age) for age in ages]


def told(policy: Policy, ticks: list[Due], *standing: Standing) -> tuple[dict[str, str], tuple[str, ...]]:
    decided = decide(policy, ticks, NOW, standing)
    return {each.tick: each.state for each in decided.decisions}, decided.ended


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", {"-300": "missed", "-200": "missed", "-1": "waiting"}),
        ("last", {"-300": "missed", "-200": "missed", "-1": "waiting"}),
        ("all", {"-300": "waiting", "-200": "waiting", "-1": "waiting"}),
    ],
)
def test_late_ones_before_one_in_time(catch_up: Any, expected: dict[str, str]) -> None:
    """Who wants the last has it in the one that comes in time."""
    assert told(Policy(catch_up=catch_up), due(300, 200, 1)) == (expected, ())


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", {"-300": "missed", "-200": "missed"}),
        ("last", {"-300": "missed", "-200": "waiting"}),
        ("all", {"-300": "waiting", "-200": "waiting"}),
    ],
)
def test_late_ones_alone(catch_up: Any, expected: dict[str, str]) -> None:
    """Of several that nobody was there for, none, the last or all are made good."""
    assert told(Policy(catch_up=catch_up), due(300, 200)) == (expected, ())


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("skip", ({"-1": "skipped"}, ())),
        ("wait", ({"-1": "waiting"}, ())),
        ("cancel", ({"-1": "waiting"}, ("before",))),
    ],
)
def test_one_that_comes_while_another_runs(overlap: Any, expected: tuple[dict[str, str], tuple[str, ...]]) -> None:
    """It is left out, waits, or ends the one before."""
    assert told(Policy(overlap=overlap), due(1), RUNNING) == expected


def test_of_two_at_once_the_later_ends_the_earlier() -> None:
    """Where a later tick ends the one before, that has one fate, and is told why."""
    decided = decide(Policy(overlap="cancel"), due(2, 1), NOW, ())

    assert [(each.tick, each.state) for each in decided.decisions] == [("-2", "cancelled"), ("-1", "waiting")]
    assert decided.decisions[0].reason == "a later tick came, and the schedule says that it ends the one before"
    assert decided.ended == ()


def test_what_comes_while_late_ones_are_made_good_stands_in_line() -> None:
    """All means all: they are neither skipped nor ended, and what comes in time waits behind them."""
    late = Standing("late", NOW - 400, "running", is_late=True)
    for overlap in ("skip", "cancel"):
        policy = Policy(catch_up="all", overlap=overlap)  # type: ignore[arg-type]
        assert told(policy, due(1), late) == ({"-1": "waiting"}, ())


def test_one_that_is_tried_again_comes_before_those_behind_it() -> None:
    """It waits for its time; a clock that was put back does not make it wait for longer than was said."""
    policy = Policy(retries=1, retry_wait_s=60)
    waiting = Standing("b", NOW - 1, "waiting")

    def starts(next_try_at: float) -> str | None:
        return to_start(policy, [Standing("a", NOW - 9, "retrying", next_try_at=next_try_at), waiting], NOW)

    assert (starts(NOW + 60), starts(NOW), starts(NOW + 61)) == (None, "a", "a")
    assert to_start(policy, [RUNNING, waiting], NOW) is None
    assert to_start(policy, [waiting, Standing("c", NOW - 5, "waiting")], NOW) == "c"
    assert [after_failure(policy, attempt, NOW) for attempt in (1, 2)] == [NOW + 60, None]


POLICIES = st.builds(
    Policy, catch_up=st.sampled_from(["none", "last", "all"]), overlap=st.sampled_from(["skip", "wait", "cancel"])
)
AGES = st.lists(st.integers(0, 400), unique=True, max_size=6).map(lambda ages: sorted(ages, reverse=True))
LINES = st.lists(st.tuples(st.sampled_from(["running", "waiting", "retrying"]), st.booleans()), max_size=3)


@given(POLICIES, AGES, LINES, st.booleans())
def test_the_laws_of_what_is_due(policy: Policy, ages: list[int], line: list[tuple[Any, bool]], has_more: bool) -> None:
    """Each tick has one fate; only late ones are missed, and as many as the policy says; nothing new runs at once."""
    standing = [Standing(f"s{at}", NOW - 1000 + at, state, is_late) for at, (state, is_late) in enumerate(line)]
    ticks = due(*ages)

    decided = decide(policy, ticks, NOW, standing, has_more=has_more)

    state = {each.tick: each.state for each in decided.decisions}
    late = [tick.tick for tick in ticks if NOW - tick.at > policy.grace_s]
    in_time = [tick.tick for tick in ticks if tick.tick not in late]
    assert [each.tick for each in decided.decisions] == [tick.tick for tick in ticks]
    assert set(state.values()) <= {"waiting", "missed", "skipped", "cancelled"}
    assert all(state[tick] != "missed" for tick in in_time)
    made_good = [tick for tick in late if state[tick] != "missed"]
    newest = [] if in_time or has_more else late[-1:]
    assert made_good == {"none": [], "last": newest, "all": late}[policy.catch_up]
    if policy.catch_up == "all":
        assert all(state[tick] == "waiting" for tick in late)
    assert set(decided.ended) <= {each.tick for each in standing}
    if policy.overlap != "cancel":
        assert (decided.ended, "cancelled" in state.values()) == ((), False)
    if policy.overlap != "skip":
        assert "skipped" not in state.values()
    if policy.overlap == "cancel" and not any(each.is_late for each in standing) and "waiting" in state.values():
        assert set(decided.ended) == {each.tick for each in standing} or (late and policy.catch_up == "all")
