"""How a job stands: what its elements say of themselves, and what the engine says of those that cannot."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import EngineUnreachable, JobRefused
from . import target as targets
from .place import Place, Started, Submitted
from .target import ENDED, Seen, State


@dataclass(frozen=True, slots=True)
class Element:
    """One element: how it stands, why where that is no matter of course, and the attempt that it is at."""

    index: int
    state: State
    reason: str = ""
    attempt: int = 0
    host: str = ""
    began: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A whole job. `note` says why the engine could not be asked, where it could not."""

    id: str
    name: str
    target: str
    number: str | None
    at: float
    elements: tuple[Element, ...]
    note: str = ""

    @property
    def state(self) -> State:
        """The state of the whole: the worst that has come, once all have ended."""
        states = {element.state for element in self.elements}
        for state in ("running", "waiting", "unknown", "lost", "failed", "cancelled"):
            if state in states:
                return state
        return "done"

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def counted(self) -> dict[str, int]:
        """How many elements are in each state."""
        return dict(Counter(element.state for element in self.elements))


def of(place: Place) -> Standing:
    """How the job in a folder stands. An engine that does not answer is no error here: what is known is told."""
    job, submitted = place.job(), place.submitted()
    size = len(job.elements)
    started = [place.started(index) for index in range(size)]
    has_results = [(place.results / str(index)).exists() for index in range(size)]
    seen: Sequence[Seen] = [Seen("unknown")] * size
    note, number = "", submitted.number
    if not all(done or _has_failed(one) for done, one in zip(has_results, started, strict=True)):
        number, seen, note = _asked(place, submitted, size)
        # What was told after the engine was asked counts: an element may just have ended.
        started = [place.started(index) for index in range(size)]
        has_results = [(place.results / str(index)).exists() for index in range(size)]
    elements = [_element(index, has_results[index], started[index], seen[index], submitted) for index in range(size)]
    return Standing(place.id, job.name, submitted.target, number, submitted.at, tuple(elements), note)


def _has_failed(started: Started | None) -> bool:
    return started is not None and started.state == "failed"


def _asked(place: Place, submitted: Submitted, size: int) -> tuple[str | None, Sequence[Seen], str]:
    """The number of the job, what the engine says, and why it says nothing."""
    number = submitted.number
    try:
        engine = targets.load(submitted.target, submitted.options)
        if number is None:
            # The answer to the submission was never heard; the engine may have the job all the same.
            number = engine.recall(place.id)
            if number is None:
                return None, [Seen("lost", "it was never submitted")] * size, ""
            place.submit(replace(submitted, number=number))
        return number, engine.look(number, size), ""
    except (EngineUnreachable, JobRefused) as error:
        return number, [Seen("unknown")] * size, str(error)


def _element(index: int, is_done: bool, started: Started | None, seen: Seen, submitted: Submitted) -> Element:
    state, reason = _state(is_done, started, seen, submitted)
    if started is None:
        return Element(index, state, reason)
    ended = started.ended if state in ENDED else None
    return Element(index, state, reason, started.attempt, started.host, started.began, ended)


def _state(is_done: bool, started: Started | None, seen: Seen, submitted: Submitted) -> tuple[State, str]:
    if is_done:
        return "done", ""
    cancelled_at = submitted.cancelled_at
    if started is not None and started.state == "failed":
        has_ended_by_it = cancelled_at is not None and (started.ended or 0.0) >= cancelled_at
        return ("cancelled", "") if has_ended_by_it else ("failed", started.told)
    if cancelled_at is not None and seen.state not in ("running", "waiting"):
        return "cancelled", ""
    if seen.state == "running" and started is None:
        return "waiting", seen.reason
    if seen.state == "done":
        return "failed", "the engine says that it has ended well, and there are no results"
    return seen.state, seen.reason


def cancel(place: Place) -> None:
    """End a job; what has ended stays as it is. Raises `EngineUnreachable`."""
    submitted = place.submitted()
    place.submit(replace(submitted, cancelled_at=time.time()))
    engine = targets.load(submitted.target, submitted.options)
    number = submitted.number or engine.recall(place.id)
    if number is not None:
        with contextlib.suppress(JobRefused):
            engine.cancel(number)
