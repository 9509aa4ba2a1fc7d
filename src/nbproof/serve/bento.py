"""What a bento answers with: the packaged model, loaded and looked at again as a service of ours does.

Without a project it is pinned to the bytes that were admitted when the bento was written; where NBPROOF_PROJECT names
the project, the approval is asked about, before the first answer and while it answers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..records import ContentHash
from . import telling
from .admission import Admission, ByApproval, Grant, Pinned
from .package import of_contents
from .rows import Reader
from .shipping import PINNED
from .source import Folder
from .stage import NotReady, Stage

PROJECT = "NBPROOF_PROJECT"
MOST_ROWS = 1000


class Answers:
    """Answers rows with the model in `folder`. Raises `NbproofError` where it may not answer at all."""

    def __init__(self, folder: Path) -> None:
        source = Folder(folder / "model")
        package = of_contents(source.contents())
        self._stage = Stage(source, _admission(folder), explains=False, tell=telling.tell)
        self._stage.load(package)
        self._stage.watch()
        self._reader = Reader(package.signature, MOST_ROWS)

    @property
    def is_ready(self) -> bool:
        """Whether the model may answer now."""
        try:
            self._stage.current()
        except NotReady:
            return False
        return True

    def predict(self, rows: Any) -> dict[str, Any]:
        """One probability a row. Raises `RowsRefused` for rows that do not fit, and `NotReady`."""
        loaded = self._stage.current()
        table = self._reader.read(json.dumps({"rows": rows}).encode(), "application/json")
        scores = loaded.model.scores(table).tolist()
        # Its approval may have been taken back while the model worked.
        self._stage.current()
        return {"model": loaded.package.manifest.name, "version": loaded.package.manifest.version, "scores": scores}


def _admission(folder: Path) -> Admission:
    said = json.loads((folder / PINNED).read_text())
    project = os.environ.get(PROJECT)
    # Both hold: other bytes than those that were written are not loaded, whatever was approved since.
    pinned = Pinned(ContentHash(said["digest"]), said["words"])
    return pinned if project is None else _Both(pinned, ByApproval(Path(project)))


class _Both:
    """These very bytes, and only while an approval covers them."""

    def __init__(self, pinned: Pinned, approval: ByApproval) -> None:
        self._pinned, self._approval = pinned, approval

    def admit(self, name: str, digest: ContentHash) -> Grant:
        self._pinned.admit(name, digest)
        return self._approval.admit(name, digest)

    def again(self, name: str, digest: ContentHash) -> Grant:
        self._pinned.again(name, digest)
        return self._approval.again(name, digest)
