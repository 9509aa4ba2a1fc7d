"""What a phase is held to: conditions noted one by one while it works, judged together at its end."""

from __future__ import annotations

from typing import Any

from ..errors import NotAccepted


class Checks:
    """The conditions of one phase.

    >>> checks = Checks()
    >>> checks.note("rows", True, "180000 rows")
    >>> checks.hold()
    'all 1 checks passed'
    """

    def __init__(self) -> None:
        self._results: dict[str, dict[str, Any]] = {}

    def note(self, name: str, passed: Any, found: Any) -> None:
        """Note the condition `name`: whether it holds, and what was found (anything that JSON holds)."""
        self._results[name] = {"passed": bool(passed), "found": found}

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Every condition so far, to be left in a product."""
        return {name: dict(result) for name, result in self._results.items()}

    def hold(self) -> str:
        """Return a sentence when every condition holds; raise `NotAccepted`, naming all others, when one does not.

        No conditions at all are a failure too: a phase that checks nothing proves nothing.
        """
        failed = [f"{name}: {result['found']}" for name, result in self._results.items() if not result["passed"]]
        if failed or not self._results:
            raise NotAccepted(failed, len(self._results))
        return f"all {len(self._results)} checks passed"
