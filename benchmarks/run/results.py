"""What was measured, and what it comes to: medians, and ratios to nbproof."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from .measuring import Sample

QUANTITIES = ("wall_s", "cpu_s", "parent_cpu_s", "outside")
# What the others are compared with: the command, and the process that runs already.
BASES = ("nbproof run", "nbproof in a process", "nbproof pipeline in a process")


@dataclass(slots=True)
class Results:
    """Samples by case and contender; those that were repeated because others used the machine stay on record."""

    kept: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    repeated: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    figures: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)

    def add(self, case: str, contender: str, tried: list[Sample]) -> None:
        """Keep, of several tries at one measurement, the one during which others used the machine least."""
        kept = min(tried, key=lambda sample: sample.outside)
        self.kept[case, contender].append(kept)
        self.repeated[case, contender] += [sample for sample in tried if sample is not kept]
        for quantity in QUANTITIES:
            value = getattr(kept, quantity)
            if value is not None:
                self.figures[case, contender, quantity].append(value)

    def add_figure(self, case: str, contender: str, quantity: str, value: float) -> None:
        self.figures[case, contender, quantity].append(value)

    def medians(self) -> dict[tuple[str, str, str], float]:
        return {key: statistics.median(values) for key, values in self.figures.items()}

    def to_json(self) -> dict[str, Any]:
        medians = self.medians()
        document: dict[str, Any] = {}
        for (case, contender, quantity), median in medians.items():
            entry = document.setdefault(case, {}).setdefault(contender, {"median": {}, "times": {}})
            entry["median"][quantity] = round(median, 4)
            times = {
                base: round(median / medians[case, base, quantity], 3)
                for base in BASES
                if quantity != "outside" and medians.get((case, base, quantity))
            }
            if times:
                entry["times"][quantity] = times
        for (case, contender), samples in self.kept.items():
            document[case][contender]["samples"] = [asdict(sample) for sample in samples]
            document[case][contender]["repeated"] = [asdict(s) for s in self.repeated[case, contender]]
        return document
