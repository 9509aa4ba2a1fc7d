"""Where the tracker is, and what a kernel is told about it."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import TrackerUnavailable
from ..settings import Settings
from . import kept

CONNECT_TIMEOUT_S = 2.0
# MLflow would otherwise report its use to its makers.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
# MLflow puts artifacts of an embedded store under the working directory of whoever comes first, unless told.
ARTIFACT_ROOT_VARIABLE = "_MLFLOW_SERVER_ARTIFACT_ROOT"


def database(project: Path) -> Path:
    """The file of the embedded store."""
    return project / "mlflow.db"


def artifacts(project: Path) -> Path:
    """The folder of the embedded store's artifacts."""
    return project / "mlruns"


def store_uri(project: Path, settings: Settings) -> str:
    """The tracking URI in force: the one that the settings name, else the embedded store."""
    return settings.tracking_uri or f"sqlite:///{database(project)}"


def is_embedded(project: Path, settings: Settings) -> bool:
    """Whether the tracker is the store in the project's own folder."""
    return store_uri(project, settings) == f"sqlite:///{database(project)}"


def file_of(uri: str) -> Path | None:
    """The file of a store in SQLite; None for any other store, and for one in memory."""
    kind, _, path = uri.partition(":///")
    named = path.partition("?")[0]
    return Path(named) if kind.partition("+")[0] == "sqlite" and named and named != ":memory:" else None


def kernel_environment(project: Path, settings: Settings) -> dict[str, str]:
    """The variables that a kernel of `project` needs to find the tracker and to keep what it logs."""
    environment = {
        **QUIET,
        "MLFLOW_TRACKING_URI": store_uri(project, settings),
        "MLFLOW_EXPERIMENT_NAME": settings.experiment,
    }
    if is_embedded(project, settings):
        environment[ARTIFACT_ROOT_VARIABLE] = str(artifacts(project))
    if settings.tracking:
        environment[kept.KEEP_VARIABLE] = str(kept.folder(project))
    return environment


def check_reachable(uri: str) -> None:
    """Raise `TrackerUnavailable` at once when nobody listens at an HTTP tracking URI; other URIs pass."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        return
    # It takes longer to import than everything else here.
    from urllib.request import getproxies, proxy_bypass

    # Through a proxy only a real request can tell.
    if parts.scheme in getproxies() and not proxy_bypass(parts.hostname):
        return
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        socket.create_connection((parts.hostname, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise TrackerUnavailable(f"{without_password(uri)}: {error}") from error


def without_password(text: str) -> str:
    """`text` with the credentials of every URL in it left out."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)
