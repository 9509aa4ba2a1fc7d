"""Whatever happens in a year, every tick is what the policy says, once."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from year import lived

from nbproof.schedule.definition import Schedule, Trigger, Work
from nbproof.schedule.policy import Policy

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
WORK = Work(kind="pipeline", path="pipelines/credit")
# On Sundays clocks are changed: there is no such time in March, and it comes twice in October.
TRIGGERS = [
    Trigger(cron="30 2 * * sun", timezone="Europe/Berlin"),
    Trigger(cron="30 1,2 * * sun", timezone="America/New_York"),
    Trigger(every_s=5 * 86400),
]
POLICIES = st.builds(
    Policy,
    catch_up=st.sampled_from(["none", "last", "all"]),
    overlap=st.sampled_from(["skip", "wait", "cancel"]),
    grace_s=st.sampled_from([60.0, 3600.0]),
    retries=st.integers(0, 2),
    retry_wait_s=st.sampled_from([60.0, 7200.0]),
)
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(POLICIES, st.sampled_from(TRIGGERS), st.integers(0, 2**32), st.booleans())
def test_a_year_by_any_policy(policy: Policy, trigger: Trigger, seed: int, has_jumps: bool) -> None:
    """Two daemons, machines that are off, clocks that jump, processes that are killed: no tick is lost, none doubled.

    `year.Year` holds every promise against the ledger after each look of a daemon.
    """
    schedule = Schedule(name="year", work=WORK, trigger=trigger, policy=policy)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        year = lived(schedule, Path(folder), START, seed, has_jumps=has_jumps)

    final = {entry.state for entry in year.rows.values()}
    assert final <= {"done", "failed", "lost", "cancelled", "skipped", "missed"}
    if policy.catch_up == "all" and policy.overlap == "wait":
        assert final <= {"done", "failed", "lost"}
        assert year.begun.keys() == year.rows.keys()


@pytest.mark.parametrize("overlap", ["skip", "wait", "cancel"])
def test_a_year_in_which_nothing_happens(overlap: str) -> None:
    """All 52 Sundays are done, those on which the clock is changed included."""
    policy = Policy(catch_up="all", overlap=overlap)  # type: ignore[arg-type]
    schedule = Schedule(name="year", work=WORK, trigger=TRIGGERS[0], policy=policy)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        quiet = lived(schedule, Path(folder), START, 0, has_jumps=False)

    sundays = [entry for entry in quiet.rows.values() if entry.at < START + 365 * 86400]
    assert len(sundays) == 52
    assert {"2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z"} <= quiet.rows.keys()
