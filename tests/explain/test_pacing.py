"""Calls of a black box: as long as a cancel may wait, and the same numbers however they are cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nbproof.errors import Cancelled
from nbproof.explain import pacing
from nbproof.explain.explanation import Explanation
from nbproof.explain.pacing import CALL_S, Calls
from nbproof.explain.progress import Watch
from nbproof.explain.question import ask
from nbproof.explain.shapley import dispatch
from nbproof.explain.surrogate import tabular

ROWS = np.random.default_rng(0).normal(size=(40, 13))


class Clock:
    """Time that passes only while a model answers: `each_s` for a row, `call_s` for a call."""

    def __init__(self, each_s: float, call_s: float = 0.0) -> None:
        self.now, self.each_s, self.call_s = 0.0, each_s, call_s
        self.calls: list[tuple[int, float]] = []

    def model(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        took = self.call_s + self.each_s * len(points)
        self.now += took
        self.calls.append((len(points), took))
        return np.asarray([np.sin(row[0] * row[1]) + row[2] * row[3] * row[4] + row.sum() for row in points])


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Clock]:
    """A clock that the calls are measured with."""

    def made(each_s: float, call_s: float = 0.0) -> Clock:
        clock = Clock(each_s, call_s)
        monkeypatch.setattr(pacing.time, "perf_counter", lambda: clock.now)
        return clock

    yield made
    monkeypatch.undo()


METHODS: dict[str, Callable[[Any, Watch], Explanation]] = {
    "sampled": lambda asked, watch: dispatch.explain(asked, method="sampled", samples=200, watch=watch),
    "enumerated": lambda asked, watch: dispatch.explain(asked, method="enumerated", watch=watch),
    "lime": lambda asked, watch: tabular.explain(asked, samples=1000, watch=watch),
    "lime in a stream": lambda asked, watch: tabular.explain(asked, samples=1000, mode="stream", watch=watch),
    "lime without bins": lambda asked, watch: tabular.explain(asked, samples=1000, discretizer=None, watch=watch),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("each_s", [1e-6, 0.0005, 0.02, 0.5])
def test_numbers_are_the_same_however_slow_the_model_is(
    method: str, each_s: float, clocked: Callable[..., Clock]
) -> None:
    """Where somebody may cancel, calls are cut by the clock: the same coalitions, the same points, the same bits."""
    features = 7 if method == "enumerated" else 13

    def explained(clock: Clock, watch: Watch) -> Explanation:
        rows = ROWS[:, :features]
        return METHODS[method](ask(lambda points: clock.model(points), rows[:2], background=rows[2:8]), watch)

    free = explained(clocked(each_s), Watch())
    watched = explained(clocked(each_s), Watch(cancel=threading.Event()))

    assert watched.equals(free)


@pytest.mark.parametrize("each_s", [0.0005, 0.02, 0.2])
def test_a_call_of_a_slow_model_is_short(each_s: float, clocked: Callable[..., Clock]) -> None:
    """Between two calls lie 0.3 s, or what four points take, once it is known how slow the model is."""
    clock = clocked(each_s)
    question = ask(clock.model, ROWS[:1], background=ROWS[2:8])
    clock.calls.clear()

    METHODS["sampled"](question, Watch(cancel=threading.Event()))

    # The reference is asked about once, in one call.
    longest = max(took for _, took in clock.calls[1:])
    assert longest <= max(CALL_S + 1e-9, 4 * each_s)
    assert sum(points for points, _ in clock.calls) <= 6 + 200 * 6 + 128


def test_a_call_that_costs_by_itself_is_made_long(clocked: Callable[..., Clock]) -> None:
    """A model whose calls take long whatever they ask is asked about many points at once."""
    clock = clocked(1e-6, 0.02)
    calls = Calls(Watch(cancel=threading.Event()), 8192)
    points = np.zeros((30_000, 5))

    calls(len(points), lambda part: clock.model(points[part])[:, None])

    assert max(count for count, _ in clock.calls) == 8192
    assert len(clock.calls) <= 12


def test_a_fast_model_is_asked_in_calls_of_one_size(clocked: Callable[..., Clock]) -> None:
    """What is asked of a fast model does not depend on the clock, nor on whether somebody may cancel."""
    clock = clocked(1e-6)
    calls = Calls(Watch(cancel=threading.Event()), 1000)
    points = np.zeros((2500, 5))

    calls(len(points), lambda part: clock.model(points[part])[:, None])
    calls(len(points), lambda part: clock.model(points[part])[:, None])

    assert [count for count, _ in clock.calls] == [4, 1000, 1000, 500, 1000, 1000, 500]


@pytest.mark.parametrize("method", METHODS)
def test_a_cancel_is_heard_between_two_calls(method: str) -> None:
    """Of a model that takes long for every point no more than one call is made after the cancel."""
    cancel, asked, after = threading.Event(), [0], [0]

    def model(points: NDArray[np.float64]) -> NDArray[np.float64]:
        time.sleep(0.002 * len(points))
        asked[0] += len(points)
        after[0] += cancel.is_set()
        if asked[0] > 150:
            cancel.set()
        return np.asarray(points[:, 0])

    with pytest.raises(Cancelled):
        METHODS[method](ask(model, ROWS[:2], background=ROWS[2:8]), Watch(cancel=cancel))

    assert after[0] == 0
