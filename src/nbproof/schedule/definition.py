"""A schedule as data: what runs, what starts it, what its ticks are to do, and who is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ..errors import ScheduleInvalid
from . import cron
from .policy import Policy

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
_PLACE = re.compile(r"\{([a-z_]+)\}")
PLACES = ("logical_date", "logical_time", "previous_time", "reason", "schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What runs: a pipeline, a notebook or a package, by its path from the project.

    A package has `admission`, what was verified of it when it was scheduled, and goes to `target`, made with `options`,
    with `resources`.
    """

    kind: Literal["pipeline", "package"]
    path: str
    parameters: tuple[str, ...] = ()
    admission: Mapping[str, Any] = field(default_factory=dict)
    target: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What starts it: `cron`, or every `every_s` seconds, or a change of `path` that has been still for `stable_s`.

    Without any of them it starts when somebody asks for it.
    """

    cron: str | None = None
    timezone: str = "UTC"
    every_s: int | None = None
    path: str | None = None
    stable_s: float = 10.0

    def in_words(self) -> str:
        if self.cron is not None:
            return f"{self.cron} ({self.timezone})"
        if self.every_s is not None:
            return f"every {self.every_s} s"
        if self.path is not None:
            return f"{self.path} changes"
        return "when it is asked for"


@dataclass(frozen=True, slots=True)
class Hook:
    """Who is told, and of what: `webhook:URL`, `mail:ADDRESS` or `command:WORDS`."""

    of: Literal["failure", "success"]
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule of a project."""

    name: str
    work: Work
    trigger: Trigger
    policy: Policy = field(default_factory=Policy)
    hooks: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        """Raise `ScheduleInvalid` for a name, a time or a policy that means nothing."""
        if _NAME.fullmatch(self.name) is None:
            raise ScheduleInvalid("--name", repr(self.name), "up to 40 of a-z, 0-9 and -")
        trigger, policy = self.trigger, self.policy
        if sum(each is not None for each in (trigger.cron, trigger.every_s, trigger.path)) > 1:
            raise ScheduleInvalid(self.name, "more than one of --cron, --every and --on-change", "one of them")
        cron.zone(trigger.timezone)
        if trigger.cron is not None:
            cron.read(trigger.cron)
        for parameter in self.work.parameters:
            filled(parameter, dict.fromkeys(PLACES, ""))
        if policy.retries < 0 or min(policy.grace_s, policy.retry_wait_s, trigger.stable_s) < 0:
            raise ScheduleInvalid(self.name, "a number below 0", "0 or more")


@dataclass(frozen=True, slots=True)
class Tick:
    """One start of a schedule: its name, its moment (seconds since 1970) and why it came where no clock says so."""

    name: str
    at: float
    reason: str = ""


def following(trigger: Trigger, after: float) -> float | None:
    """The first moment after `after` that a clock starts it (seconds since 1970); None where none does."""
    if trigger.every_s is not None:
        return float((int(after // trigger.every_s) + 1) * trigger.every_s)
    if trigger.cron is None:
        return None
    return cron.following(trigger.cron, trigger.timezone, datetime.fromtimestamp(after, UTC)).timestamp()


def tick_name(at: float) -> str:
    """The name of the tick of a clock.

    >>> tick_name(1774746000.0)
    '2026-03-29T01:00:00Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def values(schedule: Schedule, tick: Tick, previous_at: float | None) -> dict[str, str]:
    """What stands for `{logical_date}` and the like: the tick's own moment, however late it starts."""
    at = cron.zone(schedule.trigger.timezone)
    when = datetime.fromtimestamp(tick.at, at)
    before = "" if previous_at is None else datetime.fromtimestamp(previous_at, at).isoformat(timespec="seconds")
    return {
        "logical_date": when.date().isoformat(),
        "logical_time": when.isoformat(timespec="seconds"),
        "previous_time": before,
        "reason": tick.reason,
        "schedule": schedule.name,
    }


def filled(text: str, held: Mapping[str, str]) -> str:
    """A parameter with its places filled; raises `ScheduleInvalid` for a place that nothing is known for.

    >>> filled("as_of={logical_date}", {"logical_date": "2026-03-29"})
    'as_of=2026-03-29'
    """
    for place in _PLACE.findall(text):
        if place not in held:
            known = ", ".join(f"{{{each}}}" for each in PLACES)
            raise ScheduleInvalid(f"-p {text}", f"{{{place}}}", f"one of {known}")
    return _PLACE.sub(lambda match: held[match[1]], text)


def to_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON holds it."""
    return asdict(schedule)


def from_json(found: Mapping[str, Any]) -> Schedule:
    """Read what `to_json` made, after a way through JSON."""
    work = found["work"]
    return Schedule(
        name=found["name"],
        work=Work(**{**work, "parameters": tuple(work["parameters"])}),
        trigger=Trigger(**found["trigger"]),
        policy=Policy(**found["policy"]),
        hooks=tuple(Hook(**each) for each in found["hooks"]),
    )
