"""Whether a model may answer: by the approval of its very bytes, at its loading and again while it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ..errors import NotApproved
from ..records import ContentHash
from ..review.covering import Cover, require_cover
from ..review.gate import UnsafeBypass, let_pass_model
from ..review.statement import read_moment

DOING = "serve"


@dataclass(frozen=True, slots=True)
class Grant:
    """That a model may answer: why in words, whether by an approval, and until when (None: until it is taken back).

    With `runs_code` somebody vouches for what the model does when it is loaded, too.
    """

    sentence: str
    is_approved: bool
    ends: datetime | None = None
    runs_code: bool = False


class Admission(Protocol):
    """Who is asked. Both raise an `NbproofError` that says why the model may not answer."""

    def admit(self, name: str, digest: ContentHash) -> Grant:
        """Before a model is loaded."""

    def again(self, name: str, digest: ContentHash) -> Grant:
        """While it answers."""


@dataclass(frozen=True, slots=True)
class ByApproval:
    """The records of `project` are asked. `unsafe` lets a model pass that nobody approved, and is written down."""

    project: Path
    unsafe: UnsafeBypass | None = None

    def admit(self, name: str, digest: ContentHash) -> Grant:
        found = let_pass_model(self.project, name, digest, doing=DOING, unsafe=self.unsafe)
        return _granted(found) if found is not None else self._bypassed()

    def again(self, name: str, digest: ContentHash) -> Grant:
        try:
            return _granted(require_cover(self.project, name, digest))
        except NotApproved:
            if self.unsafe is None:
                raise
            # It was written down when the model was loaded.
            return self._bypassed()

    def _bypassed(self) -> Grant:
        assert self.unsafe is not None
        return Grant(f"a draft that nobody approved; {self.unsafe.by} serves it: {self.unsafe.why.strip()}", False)


@dataclass(frozen=True, slots=True)
class Unasked:
    """Nobody is asked: for a notebook that tries its own model before it is reviewed, and says so to whoever looks."""

    def admit(self, name: str, digest: ContentHash) -> Grant:
        return Grant("nobody was asked about an approval", False)

    def again(self, name: str, digest: ContentHash) -> Grant:
        return self.admit(name, digest)


@dataclass(frozen=True, slots=True)
class Pinned:
    """These very bytes are served and no others: for a place that knows no project, as a container does.

    `words` say who approved them when it was built; whether that still holds nobody can ask there.
    """

    digest: ContentHash
    words: str = ""

    def admit(self, name: str, digest: ContentHash) -> Grant:
        if digest != self.digest:
            found = f"it has the content {digest.short}, and the service was built for {self.digest.short}"
            raise NotApproved(name, found, hint="build the service again, of what is approved")
        said = f"; when it was built: {self.words}" if self.words else ""
        return Grant(f"pinned to {self.digest.short}{said}", False, runs_code=True)

    def again(self, name: str, digest: ContentHash) -> Grant:
        return self.admit(name, digest)


def _granted(cover: Cover) -> Grant:
    ends = None if cover.expires is None else read_moment(cover.expires).astimezone(UTC)
    return Grant(cover.sentence, True, ends, runs_code=True)
