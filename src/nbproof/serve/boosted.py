"""Models in the files of the library that made them; which is not among what every service needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelRefused
from ..extras import is_installed

# What XGBoost calls its own files.
XGBOOST = (".ubj", ".json")


def load_xgboost(content: bytes, *, where: Path) -> Any:
    """Return the classifier in one of XGBoost's own files, which hold numbers and no code; raises `ModelRefused`."""
    if not is_installed("xgboost"):
        raise ModelRefused(where, "a model of XGBoost, which is not installed", "pip install xgboost-cpu")
    import xgboost

    found = xgboost.XGBClassifier()
    try:
        found.load_model(bytearray(content))
    except (ValueError, TypeError, xgboost.core.XGBoostError) as error:
        said = (str(error).splitlines() or [""])[0]
        raise ModelRefused(where, f"no model that XGBoost can read: {said}", "one that it saved as .ubj") from error
    found.set_params(n_jobs=1)
    return found
