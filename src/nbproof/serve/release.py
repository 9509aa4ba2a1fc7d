"""Which semantic version a model gets: decided by what changed since the last one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Change = Literal["first", "signature", "meaning", "scores", "packaging"]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A semantic version, `MAJOR.MINOR.PATCH`, in its order."""

    major: int
    minor: int
    patch: int

    def __post_init__(self) -> None:
        if min(self.major, self.minor, self.patch) < 0:
            raise ValueError("a version has no negative part")

    @classmethod
    def read(cls, text: str) -> Version:
        """Return the version that `text` spells; raises `ValueError` for anything but three plain numbers."""
        found = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text, re.ASCII)
        if found is None:
            raise ValueError(f"not a version: {text!r}; expected MAJOR.MINOR.PATCH")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def after(self, change: Change) -> Version:
        """Return the next version: callers must change for `signature` and `meaning`, results for `scores`.

        For `packaging` nothing changes but the file.

        >>> str(Version(1, 2, 3).after("scores"))
        '1.3.0'
        """
        if change in ("signature", "meaning"):
            return Version(self.major + 1, 0, 0)
        if change == "scores":
            return Version(self.major, self.minor + 1, 0)
        if change == "packaging":
            return Version(self.major, self.minor, self.patch + 1)
        raise ValueError("only a model without an earlier version is the first")


@dataclass(frozen=True, slots=True)
class Release:
    """One registered model: its version and the hashes of signature, scores on the reference rows, and file.

    `meaning` is the hash of what a score says (of which outcome, within which time); "" is not known, and then it is
    compared with nothing.
    """

    version: Version
    signature: str
    scores: str
    model: str
    meaning: str = ""

    def change_to(self, *, signature: str, scores: str, meaning: str = "") -> Change:
        """Return what changes from this release to a model with those hashes; the greatest change counts."""
        if signature != self.signature:
            return "signature"
        if meaning and self.meaning and meaning != self.meaning:
            return "meaning"
        return "scores" if scores != self.scores else "packaging"


FIRST = Version(1, 0, 0)


def next_version(latest: Release | None, *, signature: str, scores: str, meaning: str = "") -> tuple[Version, Change]:
    """Return the version of a model that is not registered yet, and what it changes against `latest`."""
    if latest is None:
        return FIRST, "first"
    change = latest.change_to(signature=signature, scores=scores, meaning=meaning)
    return latest.version.after(change), change
