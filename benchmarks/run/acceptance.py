"""What the figures must reach: each line says what was found, what is asked, and whether that is met."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .cases import CHAIN, EMPTY, HEAVY_NOTEBOOK, HELP, LOUD, MEMORY, STATUS, WIDE_HEAVY, WIDE_TINY, no_op

# Case, contender and quantity to the median of what was measured.
Medians = Mapping[tuple[str, str, str], float]
WARM, IN_PROCESS, IN_PROCESS_PIPELINE = "nbproof run", "nbproof in a process", "nbproof pipeline in a process"


@dataclass(frozen=True, slots=True)
class Line:
    """The median of `subject` in `case`, or how many times as much `over` has; without bounds, for the record only."""

    case: str
    subject: str
    quantity: str
    over: str | None = None
    at_least: float | None = None
    at_most: float | None = None

    def judge(self, medians: Medians) -> Verdict:
        found = medians.get((self.case, self.subject, self.quantity))
        if found is not None and self.over is not None:
            other = medians.get((self.case, self.over, self.quantity))
            found = other / found if other is not None and found else None
        return Verdict(self._text(), found, self._bound(), self._outcome(found))

    def _text(self) -> str:
        if self.over is None:
            return f"{self.case}: {self.subject}, {self.quantity}"
        return f"{self.case}: {self.over} over {self.subject}, {self.quantity}"

    def _bound(self) -> str:
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return f"≤ {self.at_most:g}" if self.at_most is not None else "–"

    def _outcome(self, found: float | None) -> str:
        if found is None:
            return "not measured"
        if self.at_least is None and self.at_most is None:
            return "for the record"
        is_met = (self.at_least is None or found >= self.at_least) and (self.at_most is None or found <= self.at_most)
        return "met" if is_met else "falls short"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line with its figure; `found` is None when it was not measured."""

    text: str
    found: float | None
    bound: str
    outcome: str


def nbproof_over_ideal(case: str, subject: str, at_most: float | None = None) -> Line:
    """The other way round: how many times as long as the ideal nbproof takes."""
    return Line(case, "ideal", "wall_s", over=subject, at_most=at_most)


LINES = (
    Line(HEAVY_NOTEBOOK, IN_PROCESS, "wall_s", over="papermill in a process", at_least=15),
    Line(HEAVY_NOTEBOOK, IN_PROCESS, "wall_s", over="papermill command", at_least=20),
    Line(HEAVY_NOTEBOOK, IN_PROCESS, "wall_s", over="python script", at_least=1),
    Line(HEAVY_NOTEBOOK, WARM, "wall_s", over="papermill command"),
    Line(CHAIN, WARM, "wall_s", over="ploomber serial", at_least=14),
    Line(CHAIN, WARM, "wall_s", over="cells in one process", at_least=1),
    Line(CHAIN, "nbproof run, cold", "wall_s", over="ploomber serial"),
    Line(CHAIN, "nbproof run, cold", "wall_s", over="cells in one process"),
    Line(WIDE_TINY, WARM, "wall_s", over="ploomber parallel", at_least=5),
    nbproof_over_ideal(WIDE_TINY, WARM, at_most=1.25),
    nbproof_over_ideal(WIDE_TINY, IN_PROCESS_PIPELINE),
    Line(WIDE_HEAVY, WARM, "wall_s", over="ploomber parallel", at_least=12),
    nbproof_over_ideal(WIDE_HEAVY, WARM, at_most=1.25),
    nbproof_over_ideal(WIDE_HEAVY, IN_PROCESS_PIPELINE),
    Line(EMPTY, IN_PROCESS, "wall_s", at_most=0.25),
    Line(LOUD, IN_PROCESS, "parent_cpu_s", over="papermill in a process", at_least=15),
    *(Line(no_op(tasks), WARM, "cpu_s", over="ploomber serial", at_least=10) for tasks in (11, 200)),
    *(Line(no_op(tasks), WARM, "cpu_s", over="ploomber serial") for tasks in (50, 1000)),
    Line(HELP, WARM, "cpu_s", at_most=0.5),
    Line(STATUS, WARM, "cpu_s", at_most=0.5),
    Line(MEMORY, IN_PROCESS, "memory_mib", over="stock kernels", at_least=3),
)


def judge(medians: Medians, cases: Collection[str]) -> list[Verdict]:
    """A verdict on each line about `cases`; one whose contenders did not take part says so."""
    return [line.judge(medians) for line in LINES if line.case in cases]
