"""The steps of the package, beside what was recorded when it was proven to give what its notebook gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from _golden.comparing import Difference
from _golden.recorded import Absent, Recorded

RECORDED = Recorded.read(Path(__file__).parent / "recorded")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Lay out a folder with the notebook's data in it."""
    try:
        furnished: Path = RECORDED.furnished(tmp_path)
    except Absent as absent:
        pytest.skip(str(absent))
    return furnished


def check(wrong: list[Difference]) -> None:
    """Fail with one line for every value that is not as recorded."""
    assert not wrong, "\n" + "\n".join(str(each) for each in wrong)


@pytest.mark.parametrize("call", RECORDED.alone)
def test_a_call_does_what_was_recorded(call: str, here: Path) -> None:
    """Called with what was recorded, a function gives, shows, draws, prints and writes what it did then."""
    check(RECORDED.called(call, here))


def test_a_whole_run_does_what_was_recorded(here: Path) -> None:
    """In a whole run every step does what it did then, and the results are complete."""
    check(RECORDED.whole(here))


@pytest.mark.skipif(not RECORDED.not_covered, reason="everything is covered")
@pytest.mark.parametrize("value", RECORDED.not_covered or [""])
def test_not_covered(value: str) -> None:
    """Of these values nothing is known but that they are there."""
    pytest.skip(RECORDED.not_covered[value])
