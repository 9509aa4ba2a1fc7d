"""Optional packages by name, each with the extra that brings it."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import ExtraMissing

EXTRA_OF = {
    "bandit": "review",
    "confluent_kafka": "stream",
    "cryptography": "review",
    "deltalake": "delta",
    "detect_secrets": "review",
    "fastapi": "serve",
    "great_expectations": "validate",
    "h5py": "keras",
    "keras": "keras",
    "httpx": "serve",
    "ipywidgets": "lab",
    "interpret": "explain-more",
    "jupyterlab": "lab",
    "jwt": "oidc",
    "matplotlib": "engagement",
    "mlflow": "track",
    "nbconvert": "report",
    "numpy": "monitor",
    "onnxruntime": "onnx",
    "pandas": "serve",
    "pandera": "validate",
    "prometheus_client": "serve",
    "pyarrow": "monitor",
    "ruff": "export",
    "shap": "explain",
    "lime": "explain",
    "sklearn": "serve",
    "skops": "serve",
    "torch": "engagement",
    "uvicorn": "serve",
    "wandb": "wandb",
    "woodelf": "explain-more",
}


def is_installed(package: str) -> bool:
    """Whether `package` can be imported; it is looked up, not imported."""
    return find_spec(package) is not None


def require(package: str) -> None:
    """Raise `ExtraMissing`, naming the extra, unless `package` is installed."""
    if not is_installed(package):
        raise ExtraMissing(package, EXTRA_OF[package])
