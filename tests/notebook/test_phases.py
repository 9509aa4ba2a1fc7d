"""The list of the eleven phases."""

from __future__ import annotations

import pytest

from nbproof.errors import UnknownName
from nbproof.notebook.phases import PHASES, phase


def test_there_are_eleven_phases_in_order() -> None:
    """Names carry their numbers, so that folders sort as the engagement runs."""
    assert [phase.name for phase in PHASES] == [
        "01_scoping",
        "02_data_audit",
        "03_environment",
        "04_features",
        "05_tracking",
        "06_training",
        "07_registration",
        "08_serving",
        "09_integration",
        "10_monitoring",
        "11_documentation",
    ]
    assert [(phase.number, phase.name[:2]) for phase in PHASES] == [(n, f"{n:02}") for n in range(1, 12)]


def test_a_phase_is_found_by_its_name() -> None:
    """The guide page of a phase carries its name."""
    assert phase("06_training").guide == "docs/guides/06_training.md"


def test_an_unknown_phase_is_refused() -> None:
    """The error lists the known ones."""
    with pytest.raises(UnknownName, match="no phase is called `06_trainig`; known: 01_scoping"):
        phase("06_trainig")
