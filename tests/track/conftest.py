"""What the tests of `track` share: a story of runs, an embedded store, a real MLflow server, a full dump of a store."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from nbproof.records import (
    ContentHash,
    Event,
    LoggedEntry,
    Provenance,
    RunFinished,
    RunStarted,
    TaskFinished,
    TaskStarted,
)
from nbproof.track import kept
from nbproof.track.journal import Journal
from nbproof.track.mlflow_tracker import create_store
from nbproof.track.store import QUIET, database
from ports import free_port

SERVER_START_S = 240


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own variables do not reach the tests, and MLflow's of one test do not reach the next."""
    for variable in [name for name in os.environ if name.startswith(("NBPROOF_", "MLFLOW_", "_MLFLOW_"))]:
        monkeypatch.delenv(variable)
    for variable in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT", "_MLFLOW_SERVER_ARTIFACT_ROOT"):
        monkeypatch.setenv(variable, "0")
        monkeypatch.delenv(variable)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for variable, value in QUIET.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder whose name is no easy one."""
    folder = tmp_path / "crédit risk"
    folder.mkdir()
    return folder


@pytest.fixture
def tell() -> Callable[..., list[Event]]:
    """Make the files of a run in a project and return its events: a task tried twice, one fresh, one blocked."""
    return _tell


def _tell(project: Path, run_id: str, *, at: float = 1_700_000_000.0, auc: float = 0.9) -> list[Event]:
    notebook = project / "build" / "training.ipynb"
    notebook.parent.mkdir(parents=True, exist_ok=True)
    notebook.write_text(f'{{"cells": [], "run": "{run_id}"}}')
    failed = project / "failed" / f"{run_id}.ipynb"
    failed.parent.mkdir(parents=True, exist_ok=True)
    failed.write_text(f'{{"cells": ["raised in {run_id}"]}}')
    figure = project / f"roc-{run_id}.svg"
    figure.write_text(f"<svg>{run_id}</svg>")
    content = kept.keep(figure, kept.folder(project))
    figure.unlink()
    environment = ContentHash.of(b"environment")
    return [
        RunStarted(
            run_id,
            at,
            "credit",
            "pipelines/credit/pipeline.yaml",
            ("audit", "training", "cards"),
            {"rows": 2000, "kinds": ["a", "b"]},
            Provenance("c0ffee" * 6 + "beef", True, environment, "3.11.9", "0.1.0"),
        ),
        TaskFinished(
            run_id, at + 1, "audit", "fresh", reason="nothing changed", products={"nb": ("build/a.ipynb", "0" * 64)}
        ),
        TaskStarted(run_id, at + 2, "training", 1, "its code changed", {"depth": 4, "note": "x" * 9000}),
        TaskFinished(run_id, at + 3, "training", "failed", 1, 1.0, "out of memory", f"failed/{run_id}.ipynb"),
        TaskStarted(run_id, at + 4, "training", 2, "tried again", {"depth": 4, "note": "x" * 9000}),
        TaskFinished(
            run_id,
            at + 9,
            "training",
            "done",
            2,
            5.0,
            "",
            "build/training.ipynb",
            {"nb": ("build/training.ipynb", "1" * 64), "model": ("build/model.skops", "2" * 64)},
            (
                LoggedEntry("metrics", {"auc": auc, "brier": 0.25}, None, 0, at + 5),
                LoggedEntry("metrics", {"loss": 0.75}, None, 1, at + 5.001),
                LoggedEntry("metrics", {"loss": 0.5}, None, 2, at + 5.002),
                LoggedEntry("parameters", {"solver": "lbfgs", "depth": "5"}, None, 0, at + 5.003),
                LoggedEntry("tags", {"gate": "passed"}, None, 0, at + 5.004),
                LoggedEntry(
                    "artifact", {"name": figure.name, "path": str(figure), "sha256": content.hex}, None, 0, at + 5.005
                ),
                LoggedEntry("metrics", {"auc": auc - 0.125}, "gradient boosting's", 0, at + 6),
                LoggedEntry("parameters", {"trees": "100"}, "gradient boosting's", 0, at + 6.001),
                LoggedEntry("metrics", {"auc": auc - 0.25}, "logistic", 0, at + 7),
            ),
        ),
        TaskFinished(run_id, at + 10, "cards", "blocked", reason="monitoring failed"),
        RunFinished(run_id, at + 11, "failed", 11.0, {"fresh": 1, "done": 1, "blocked": 1}),
    ]


@pytest.fixture
def write() -> Callable[[Path, list[Event]], Path]:
    """Write events into the journal of their run; returns the journal."""

    def write(project: Path, events: list[Event]) -> Path:
        with Journal(project) as journal:
            for event in events:
                journal(event)
        return project / ".nbproof" / "runs" / f"{events[0].run_id}.jsonl"

    return write


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded store with its tables and nothing in them, made once."""
    folder = tmp_path_factory.mktemp("store")
    create_store(folder / "mlflow.db", workshop=folder / "workshop")
    return folder / "mlflow.db"


@pytest.fixture
def give_store(empty_store: Path) -> Callable[[Path], str]:
    """Give a project an empty embedded store; returns its URI."""

    def give(project: Path) -> str:
        shutil.copyfile(empty_store, database(project))
        return f"sqlite:///{database(project)}"

    return give


@pytest.fixture
def dump() -> Callable[..., dict[str, Any]]:
    """Everything that an experiment holds, in words that do not depend on MLflow's own run ids."""
    return _dump


def _dump(uri: str, experiment: str, folder: Path) -> dict[str, Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = list(client.search_runs([found.experiment_id], max_results=1000))
    key_of = {run.info.run_id: run.data.tags["nbproof.key"] for run in runs}
    keys = sorted(key_of.values())
    assert len(set(keys)) == len(keys), f"held twice: {keys}"
    return {key_of[run.info.run_id]: _dump_run(client, run, key_of, folder) for run in runs}


def _dump_run(client: Any, run: Any, key_of: dict[str, str], folder: Path) -> dict[str, Any]:
    tags = dict(run.data.tags)
    if "mlflow.parentRunId" in tags:
        tags["mlflow.parentRunId"] = key_of[tags["mlflow.parentRunId"]]
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "params": dict(run.data.params),
        "tags": tags,
        "latest": dict(run.data.metrics),
        "history": {
            key: [
                (point.value, point.timestamp, point.step) for point in client.get_metric_history(run.info.run_id, key)
            ]
            for key in run.data.metrics
        },
        "files": {
            file: hashlib.sha256(
                Path(client.download_artifacts(run.info.run_id, file, str(folder))).read_bytes()
            ).hexdigest()
            for file in _files(client, run.info.run_id, None)
        },
    }


def _files(client: Any, run_id: str, folder: str | None) -> list[str]:
    found = []
    for item in client.list_artifacts(run_id, folder):
        found += _files(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(found)


@pytest.fixture
def closed_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    return free_port()


class Server:
    """A real `mlflow server` on 127.0.0.1 with a store of its own; it can be away and come back at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._spawn(log)
        self._wait()

    def _spawn(self, log: IO[bytes]) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(self.port)),
                *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
                *("--artifacts-destination", str(self.folder / "artifacts")),
            ],
            cwd=self.folder,
            env=os.environ | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + SERVER_START_S
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError("the MLflow server did not start")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path, empty_store: Path) -> Iterator[Server]:
    """A server that has not been started yet; its tables are there."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copyfile(empty_store, folder / "mlflow.db")
    made = Server(folder)
    yield made
    made.stop()
