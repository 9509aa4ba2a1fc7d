"""What MLflow loads of a model that was written for it: the packaged model, pinned to the bytes that were admitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..records import ContentHash
from .admission import Pinned
from .package import Model, read
from .rows import rows_type
from .shipping import PINNED

MOST_ROWS = 100_000


class Scored:
    """Scores frames, each row held against the signature as the service does."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rows: TypeAdapter[Any] = TypeAdapter(rows_type(model.signature, MOST_ROWS))

    def predict(self, frame: Any, params: Any = None) -> Any:
        """One probability a row, in order. Raises `ValueError` for rows that do not fit the signature."""
        import numpy as np

        rows = self._rows.validate_python({"rows": self._model.signature.rows(frame)})["rows"]
        return np.asarray(self._model.score(rows))


def _load_pyfunc(data: str) -> Scored:
    """The name that MLflow asks for; `data` is the folder that it has unpacked."""
    folder = Path(data)
    said = json.loads((folder / PINNED).read_text())
    package = read(folder / "model")
    grant = Pinned(ContentHash(said["digest"]), said["words"]).admit(package.manifest.name, package.contents.digest)
    return Scored(package.load(runs_code=grant.runs_code))
