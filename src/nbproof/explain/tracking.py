"""Explanations in MLflow: the same plain files as artifacts of a run, and numbers to sort and gate runs by."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EntryInvalid, ExplanationRefused, TrackerUnavailable, UnknownName
from ..extras import require
from ..records import ContentHash
from . import folder as folders
from .folder import MANIFEST, Kept
from .line import VERDICTS

FOLDER = "explain"
# A run in whose name a notebook or a script works, as MLflow itself passes it on.
RUN = "MLFLOW_RUN_ID"


def log(kept: Kept, *, run_id: str | None = None, artifact_path: str = FOLDER) -> str:
    """Log what there is to a run (None: the active one) and return its URI, `runs:/RUN/explain`.

    The files are those of `folder.save`; metrics are named `explain.…`, and the tag `explain.manifest_sha256` binds
    the run to the very files. Raises `EntryInvalid` when no run is active, `UnknownName` for a run that there is not,
    `TrackerUnavailable` when the store does not answer.
    """
    require("mlflow")
    import mlflow
    from mlflow.exceptions import MlflowException

    active = mlflow.active_run()
    chosen = run_id or (active.info.run_id if active is not None else os.environ.get(RUN))
    if chosen is None:
        raise EntryInvalid(
            "the explanation", "no active run", "a run to log to", hint="with mlflow.start_run(): …, or pass run_id="
        )
    client = mlflow.MlflowClient()
    with tempfile.TemporaryDirectory() as name:
        written = Path(name)
        folders.save(written, shap=kept.shap, lime=kept.lime, audit=kept.audit)
        digest = ContentHash.of((written / MANIFEST).read_bytes())
        try:
            client.get_run(chosen)
            client.log_artifacts(chosen, str(written), artifact_path)
            for key, value in metrics(kept).items():
                client.log_metric(chosen, key, value)
            client.set_tag(chosen, "explain.manifest_sha256", digest.hex)
        except MlflowException as error:
            raise _told(error, chosen) from error
    return f"runs:/{chosen}/{artifact_path}"


def load(uri: str) -> Kept:
    """What `log` logged, from `runs:/RUN/explain`; each file is checked as `folder.load` does.

    Raises `ExplanationRefused` for what is not there or not whole, `TrackerUnavailable` when the store is away.
    """
    require("mlflow")
    import mlflow
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as name:
        try:
            found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=name)
        except MlflowException as error:
            raise _told(error, uri) from error
        except OSError as error:
            raise ExplanationRefused(f"`{uri}`", "nothing that can be read", "what nbproof.explain logged") from error
        return folders.load(Path(found))


def metrics(kept: Kept) -> dict[str, float]:
    """The numbers of an explanation by flat names, for a tracker; what is not a finite number is left out."""
    found: dict[str, float] = {}
    if kept.shap is not None:
        found["explain.rows"] = len(kept.shap)
        found["explain.completeness_max"] = float(kept.shap.gap().max(initial=0.0))
        found["explain.shap_model_rows"] = kept.shap.cost.model_rows
        found["explain.shap_cpu_s"] = kept.shap.cost.cpu_s
    if kept.lime is not None:
        found["explain.rows"] = len(kept.lime)
        if kept.lime.surrogate is not None and len(kept.lime):
            found["explain.r2_median"] = float(np.median(kept.lime.surrogate.r2))
        found["explain.lime_model_rows"] = kept.lime.cost.model_rows
        found["explain.lime_cpu_s"] = kept.lime.cost.cpu_s
    if kept.audit is not None:
        found |= {f"explain.{_named(name)}": value for name, value in kept.audit.numbers().items()}
        found |= {f"explain.audit_{_named(verdict)}": len(kept.audit.judged(verdict)) for verdict in VERDICTS}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _named(name: str) -> str:
    """A name as MLflow takes it for a metric."""
    return "_".join("".join(each if each.isalnum() else " " for each in name.lower()).split())


def _told(error: Any, what: str) -> UnknownName | TrackerUnavailable:
    if getattr(error, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
        return UnknownName("run of the tracker", what, ())
    said = str(error).strip().splitlines()
    return TrackerUnavailable(said[0] if said else type(error).__name__)
