"""What the tests of a package cover, and what they do not, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is tested of a package.

    `alone` names the calls that are made by themselves from recorded values, `steps` all that a whole run is compared
    at. `loose` counts the places of each where runs differ by themselves; `missing` says what is not covered, and why.
    `needs` are the distributions that the tests import.
    """

    steps: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    loose: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ("pytest>=8",)

    def told(self) -> dict[str, Any]:
        """What stands in the provenance of the package."""
        return {
            "steps": list(self.steps), "alone": list(self.alone), "loose": dict(self.loose),
            "missing": dict(self.missing),
        }  # fmt: skip
