"""What follows from events: which windows want a look, and whether a retraining is due. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from .events import Event
from .look import Finding, Look

Stage = Literal["arrived", "outcomes"]
# In the order in which they usually tell: inputs at once, performance when outcomes arrive.
AREAS = ("drift", "prediction", "explanations", "fairness", "performance")
# A retraining that died so often will not live.
MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """When a retraining starts: at an alarm of these verdicts and areas, and not again within the cool-down.

    A broken feed (the area quality) is no reason by itself: no model gets better by learning from it.
    """

    verdicts: tuple[str, ...] = ("red",)
    cool_down: timedelta = timedelta(days=7)
    areas: tuple[str, ...] = AREAS


@dataclass(frozen=True, slots=True)
class Retraining:
    """One retraining: its number (from 1), the windows that asked for it, how often it began, and how it ended.

    `outcome` is "" while it has not ended, else done, failed or given-up.
    """

    number: int
    windows: tuple[str, ...]
    asked_at: str
    attempts: int
    outcome: str


def wants_a_look(events: Sequence[Event], window: str, content: str, outcomes: str) -> bool:
    """Whether a window was not looked at yet, or not with what is known of its outcomes now.

    `content` is the hash of the window, `outcomes` says all that decides which outcomes are known. A window whose
    content has changed since is not looked at again: `changed` tells of it.
    """
    looks = [event for event in events if event.kind in ("window", "unusable") and event.window == window]
    if not looks:
        return True
    last = looks[-1]
    if last.facts["content"] != content:
        return False
    return last.kind == "window" and not last.facts["outcomes_complete"] and last.facts["outcomes"] != outcomes


def changed(events: Sequence[Event], window: str, content: str) -> Event | None:
    """The event that a window holds something else than when it was looked at; None where it does not."""
    looks = [event for event in events if event.kind in ("window", "unusable") and event.window == window]
    if not looks or looks[-1].facts["content"] == content:
        return None
    was = looks[-1].facts["content"]
    reason = f"the window was looked at with the content {was[:12]} and now has {content[:12]}; it is not judged again"
    return Event(f"changed:{window}:{content}", "changed", window, "red", reason, {"content": content, "was": was})


def events_of(look: Look, window: str, content: str, outcomes: str) -> list[Event]:
    """The events of one look: one for each reason to worry, and last the window itself, which says that all is told."""
    complete = _is_complete(look)
    facts: dict[str, Any] = {
        "content": content, "outcomes": outcomes, "outcomes_complete": complete, "rows": look.window_rows,
        "findings": {f"{each.area}: {each.what}": dict(each.numbers) for each in look.findings},
    }  # fmt: skip
    alarms = [_alarm(each, window) for each in look.alarms]
    stage = outcomes if not complete else "complete"
    reason = f"{len(alarms)} of {len(look.findings)} findings alarm"
    return [*alarms, Event(f"window:{window}:{stage}", "window", window, look.verdict, reason, facts)]


def unusable(window: str, content: str, reason: str) -> Event:
    """The event of a window that cannot be compared: that is a reason to worry, and no reason to retrain."""
    return Event(f"unusable:{window}:{content}", "unusable", window, "red", reason, {"content": content})


def retrainings(events: Sequence[Event]) -> tuple[Retraining, ...]:
    """Every retraining that was asked for, in order."""
    started: dict[int, int] = {}
    ended: dict[int, str] = {}
    for event in events:
        if event.kind == "retraining-started":
            started[event.facts["number"]] = started.get(event.facts["number"], 0) + 1
        if event.kind == "retraining-ended":
            ended[event.facts["number"]] = event.facts["outcome"]
    return tuple(
        Retraining(number, tuple(event.facts["windows"]), event.at, started.get(number, 0), ended.get(number, ""))
        for event in events if event.kind == "retraining-asked" for number in [event.facts["number"]]
    )  # fmt: skip


def due(events: Sequence[Event], policy: Policy, now: datetime) -> Event | None:
    """The event that asks for a retraining, if one is due: none is under way, none was asked for within the cool-down,
    and a window wants one that no earlier retraining knew of."""
    before = retrainings(events)
    if any(not each.outcome for each in before):
        return None
    if before and now - datetime.fromisoformat(before[-1].asked_at) < policy.cool_down:
        return None
    known = {window for each in before for window in each.windows}
    wanting = [event.window for event in events if event.kind == "alarm" and event.verdict in policy.verdicts
               and event.facts["area"] in policy.areas]  # fmt: skip
    windows = [window for window in dict.fromkeys(wanting) if window not in known]
    if not windows:
        return None
    number = len(before) + 1
    reason = f"{', '.join(windows)}: {' or '.join(policy.verdicts)}"
    facts: Mapping[str, Any] = {"number": number, "windows": windows}
    return Event(f"retraining-asked:{number}", "retraining-asked", "", "", reason, facts)


def ended(number: int, outcome: str, reason: str, **facts: Any) -> Event:
    """The event that a retraining is over."""
    told = {"number": number, "outcome": outcome, **facts}
    return Event(f"retraining-ended:{number}", "retraining-ended", "", "", reason, told)


def _is_complete(look: Look) -> bool:
    performance = [each for each in look.findings if each.area == "performance"]
    return all(each.numbers.get("labelled_share") == 1 for each in performance)


def _alarm(finding: Finding, window: str) -> Event:
    # The verdict is part of what it is about: amber that turns red is news.
    key = f"alarm:{window}:{finding.area}:{finding.what}:{finding.verdict}"
    facts = {"area": finding.area, "of": finding.what, "numbers": dict(finding.numbers)}
    return Event(key, "alarm", window, finding.verdict, finding.reason, facts)
