"""What is done with ticks that are due: started, put in line, left out, or noted as missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CatchUp = Literal["none", "last", "all"]
Overlap = Literal["skip", "wait", "cancel"]
State = Literal[
    "waiting", "running", "retrying", "done", "failed", "refused", "lost", "cancelled", "skipped", "missed"
]  # fmt: skip
OPEN: tuple[State, ...] = ("waiting", "running", "retrying")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a schedule wants of its ticks.

    A tick is late when nobody has looked for `grace_s` seconds after it; of late ones `catch_up` makes good none, the
    last or all. `overlap` says what a tick does that comes while the one before it is not over. What fails, or is lost
    with the process that ran it, is tried `retries` more times, `retry_wait_s` seconds apart; one try takes
    `timeout_s` seconds at most (None: as long as it takes).
    """

    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    grace_s: float = 60.0
    retries: int = 0
    retry_wait_s: float = 60.0
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A tick that is due: its name, and the moment that it stands for, in seconds since 1970."""

    tick: str
    at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A tick that is not over. `next_try_at` is when one that failed is tried again."""

    tick: str
    at: float
    state: State
    is_late: bool = False
    next_try_at: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a tick that is due; one that is `waiting` starts as soon as nothing stands before it."""

    tick: str
    at: float
    state: State
    reason: str = ""
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of the ticks that are due, and of which ticks before them it is the end."""

    decisions: tuple[Decision, ...]
    ended: tuple[str, ...] = ()


def decide(
    policy: Policy, due: Sequence[Due], now: float, standing: Sequence[Standing], *, has_more: bool = False
) -> Decided:
    """What becomes of ticks that are due, the oldest first, beside those that are not over.

    With `has_more` further late ones follow that are decided later. Late ticks that are all made good are neither left
    out nor ended for the sake of another, and whatever comes meanwhile stands in line behind them.
    """
    late = [tick for tick in due if now - tick.at > policy.grace_s]
    in_time = due[len(late) :]
    made_good = late if policy.catch_up == "all" else late[-1:] if _is_last(policy, in_time, has_more) else []
    decisions = [
        Decision(tick.tick, tick.at, "missed", _missed(policy, tick, now))
        for tick in late[: len(late) - len(made_good)]
    ]
    line, ended = list(standing), list[str]()
    for tick in [*made_good, *in_time]:
        is_late = now - tick.at > policy.grace_s
        decision, displaced = _placed(policy, tick, line, is_late=is_late)
        decisions.append(decision)
        ended += displaced
        line = [each for each in line if each.tick not in displaced]
        if decision.state == "waiting":
            line.append(Standing(tick.tick, tick.at, "waiting", is_late))
    # One that was decided and displaced in the same moment has one fate.
    gone = set(ended)
    return Decided(
        tuple(
            Decision(each.tick, each.at, "cancelled", OVERTAKEN) if each.tick in gone else each for each in decisions
        ),
        tuple(tick for tick in ended if all(tick != each.tick for each in decisions)),
    )


OVERTAKEN = "a later tick came, and the schedule says that it ends the one before"


def _is_last(policy: Policy, in_time: Sequence[Due], has_more: bool) -> bool:
    # One that comes in time serves whoever wants the last.
    return policy.catch_up == "last" and not in_time and not has_more


def _missed(policy: Policy, tick: Due, now: float) -> str:
    why = "no late tick is made good" if policy.catch_up == "none" else "a later tick stands for it"
    return f"nobody looked for {now - tick.at:.0f} s after it; {why}"


def _placed(policy: Policy, tick: Due, line: Sequence[Standing], *, is_late: bool) -> tuple[Decision, tuple[str, ...]]:
    """What becomes of one tick, and which of those before it end for its sake."""
    waits = Decision(tick.tick, tick.at, "waiting", is_late=is_late)
    is_catching_up = policy.catch_up == "all" and (is_late or any(each.is_late for each in line))
    if not line or policy.overlap == "wait" or is_catching_up:
        return waits, ()
    if policy.overlap == "skip":
        before = line[0]
        return Decision(tick.tick, tick.at, "skipped", f"{before.tick} was not over ({before.state})"), ()
    return waits, tuple(each.tick for each in line)


def to_start(policy: Policy, standing: Sequence[Standing], now: float) -> str | None:
    """Which tick starts now: one at a time, the oldest first, and one that is tried again before those behind it."""
    if any(each.state == "running" for each in standing):
        return None
    for each in standing:
        if each.state == "retrying":
            wait_s = (each.next_try_at or now) - now
            # A clock that was put back must not make it wait for longer than was said.
            return each.tick if wait_s <= 0 or wait_s > policy.retry_wait_s else None
    waiting = sorted((each for each in standing if each.state == "waiting"), key=lambda each: (each.at, each.tick))
    return waiting[0].tick if waiting else None


def after_failure(policy: Policy, attempt: int, now: float) -> float | None:
    """When a tick is tried again after its attempt (from 1) has failed; None: it is not."""
    return now + policy.retry_wait_s if attempt <= policy.retries else None
