"""MLflow in the process of the tests, with a store of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def own_store(folder: Path, experiment: str) -> Iterator[None]:
    """A store in `folder` and an active experiment in it; MLflow forgets both, and so do variables that it sets."""
    import mlflow

    environ = dict(os.environ)
    try:
        mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.create_experiment(experiment, artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment(experiment)
        yield
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.tracking.fluent._active_experiment_id = None
        os.environ.clear()
        os.environ.update(environ)
