"""One line of an audit: a number, its verdict, and what a reviewer should make of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from ..errors import DataUnusable

Verdict = Literal["pass", "warn", "fail", "not evaluated"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Line:
    """What one metric found.

    `value` is the number that was judged, None exactly where the metric could not be evaluated; then `sentence` gives
    the reason. `threshold` says in words from where on it warns or fails, `source` which paper defines the metric.
    `numbers` are further ones, by names fit for a tracker.
    """

    name: str
    value: float | None
    verdict: Verdict
    threshold: str
    sentence: str
    source: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"unknown verdict {self.verdict!r}; expected one of {', '.join(VERDICTS)}")
        # What was not measured must never look as if it had been, nor the other way round.
        if (self.value is None) != (self.verdict == "not evaluated"):
            raise ValueError(
                f"{self.name}: a line has a value unless it was not evaluated: {self.value}, {self.verdict}"
            )
        if not all(math.isfinite(each) for each in (self.value or 0.0, *self.numbers.values())):
            raise ValueError(f"{self.name}: a number is not finite: {self.value}, {dict(self.numbers)}")

    def written(self) -> dict[str, Any]:
        """The line as JSON data."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"numbers": dict(self.numbers)}

    @classmethod
    def read(cls, data: Any) -> Line:
        """A line from what `written` gave. Raises `DataUnusable`."""
        names = [each.name for each in fields(cls)]
        if not isinstance(data, Mapping) or set(data) != set(names):
            raise DataUnusable(
                "a line of an audit", f"{sorted(data) if isinstance(data, Mapping) else data!r}", f"{names}"
            )
        try:
            value = None if data["value"] is None else float(data["value"])
            numbers = {str(name): float(each) for name, each in data["numbers"].items()}
            texts = {name: str(data[name]) for name in ("name", "threshold", "sentence", "source")}
            return cls(value=value, verdict=data["verdict"], numbers=numbers, **texts)
        except (TypeError, ValueError, AttributeError) as error:
            raise DataUnusable("a line of an audit", str(error), "numbers, texts and one of the verdicts") from error


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one metric is judged: its name, its source, and from where on it passes, warns and fails.

    A value passes from `passes` on, and fails from `fails` on (None: it never does); `rises` says that more is better.
    What lies between is a warning.
    """

    name: str
    source: str
    passes: float
    fails: float | None
    rises: bool = True

    @property
    def threshold(self) -> str:
        word, other = ("at least", "up to") if self.rises else ("at most", "from")
        told = f"passes with {word} {self.passes:.3g}"
        if self.fails is None:
            return f"{told}, else warns"
        if self.fails == self.passes:
            return f"{told}, else fails"
        return f"{told}, fails {other} {self.fails:.3g}"

    def judge(self, value: float) -> Verdict:
        sign = 1.0 if self.rises else -1.0
        if sign * value >= sign * self.passes:
            return "pass"
        return "fail" if self.fails is not None and sign * value <= sign * self.fails else "warn"

    def line(
        self,
        value: float,
        sentence: str,
        *,
        verdict: Verdict | None = None,
        numbers: Mapping[str, float | None] | None = None,
    ) -> Line:
        """The line of a value; `verdict` where more than the value decides. Numbers that are None are left out."""
        kept = {name: float(each) for name, each in (numbers or {}).items() if each is not None}
        return Line(self.name, value, verdict or self.judge(value), self.threshold, sentence, self.source, kept)

    def unknown(self, reason: str) -> Line:
        """The line of a metric that could not be evaluated."""
        return Line(self.name, None, "not evaluated", self.threshold, f"Not evaluated: {reason}.", self.source)
