"""The conditions of a phase: noted one by one, judged together."""

from __future__ import annotations

import pytest

from nbproof.errors import NotAccepted
from nbproof.notebook.acceptance import Checks


def test_every_condition_that_fails_is_named() -> None:
    """One failure does not hide the next."""
    checks = Checks()
    checks.note("rows", True, 3)
    checks.note("label_rate", False, 0.9)
    checks.note("licence", False, "none")

    with pytest.raises(NotAccepted, match=r"^2 of 3 checks failed: label_rate: 0\.9; licence: none$"):
        checks.hold()


def test_a_phase_that_checked_nothing_is_not_accepted() -> None:
    """No condition at all proves nothing."""
    with pytest.raises(NotAccepted, match="nothing was checked"):
        Checks().hold()


def test_results_hold_what_was_noted() -> None:
    """They are plain values for a product, and changing them changes nothing."""
    checks = Checks()
    checks.note("rows", 1, [1, 2])
    checks.results["rows"]["passed"] = False

    assert checks.results == {"rows": {"passed": True, "found": [1, 2]}}
    assert checks.hold() == "all 1 checks passed"
