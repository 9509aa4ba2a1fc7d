"""A version says what changed for those who call the model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.serve.release import Release, Version, next_version

LATEST = Release(Version(1, 2, 3), signature="s", scores="p", model="m")
parts = st.integers(0, 50)


@pytest.mark.parametrize(
    ("signature", "scores", "expected"),
    [
        ("t", "p", ("2.0.0", "signature")),
        ("t", "q", ("2.0.0", "signature")),
        ("s", "q", ("1.3.0", "scores")),
        ("s", "p", ("1.2.4", "packaging")),
    ],
)
def test_the_greatest_change_decides(signature: str, scores: str, expected: tuple[str, str]) -> None:
    """Signature is major, scores are minor, a new file with the same scores is a patch."""
    version, change = next_version(LATEST, signature=signature, scores=scores)

    assert (str(version), change) == expected


def test_the_first_model_is_one() -> None:
    """Nothing before it: 1.0.0."""
    version, change = next_version(None, signature="s", scores="p")

    assert (str(version), change) == ("1.0.0", "first")


@settings(deadline=None)
@given(parts, parts, parts, st.sampled_from(["signature", "scores", "packaging"]))
def test_a_next_version_is_always_greater(major: int, minor: int, patch: int, change: str) -> None:
    """Versions only rise, and survive being written."""
    version = Version(major, minor, patch)

    assert version.after(change) > version  # type: ignore[arg-type]
    assert Version.read(str(version)) == version


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "01.2.3", "v1.2.3", "1.2.3-rc1", "", "١.2.3", "1.2.-3", "1.2.3\n"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """Only three plain numbers are a version."""
    with pytest.raises(ValueError, match="not a version"):
        Version.read(text)
