"""A registered version answers under its alias, as what its registry and its approval say it is."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import skops.io
from registered import start  # it brings the folder of `reviewed`, too
from reviewed import BELA, key
from sklearn.ensemble import HistGradientBoostingClassifier

from conftest import SIGNATURE
from nbproof.errors import NotApproved, RegistryHolds, UnknownName
from nbproof.records import ContentHash
from nbproof.review.deciding import Verdict, decide, request
from nbproof.serve.admission import ByApproval
from nbproof.serve.app import Ways, served
from nbproof.serve.package import of_contents
from nbproof.serve.registry import Entry, Registry
from nbproof.serve.source import Source, find

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.usefixtures("own_variables")
ROWS = {"rows": [{"age": 30, "status": 2, "ratio": 0.25}]}


def register(registry: Registry, project: Path, model: Any) -> Entry:
    """Register a model with its signature, as phase 07 does."""
    signature = json.dumps(SIGNATURE.written()).encode()
    (project / "model.skops").write_bytes(skops.io.dumps(model))
    (project / "signature.json").write_bytes(signature)
    files = {"model": project / "model.skops", "signature": project / "signature.json"}
    hashed = ContentHash.of((project / "model.skops").read_bytes()).hex
    entry, _ = registry.register("toy", files, signature=ContentHash.of(signature).hex, scores=hashed, experiment="toy")
    return entry


def approve(project: Path) -> None:
    notebook = project / "notebooks/score.ipynb"
    request(project, notebook, key=BELA, files={"model": "model.skops"})
    decide(project, notebook, Verdict(decision="approved"), key(1))


def source_of(project: Path) -> Source:
    return find("models:/toy@champion", uri=f"sqlite:///{project / 'mlflow.db'}")


@pytest.mark.slow
def test_a_registered_version_answers_once_its_model_is_approved(
    tmp_path: Path, estimator: HistGradientBoostingClassifier
) -> None:
    """Name and version are the registry's; the alias that moves on is followed, and only to what is approved."""
    project, registry = start(tmp_path / "project")
    first = register(registry, project, estimator)
    registry.move("toy", "champion", first.number)
    source = source_of(project)

    def app() -> Any:
        ways = Ways(check_s=0.1, follow=True)
        return served(of_contents(source.contents()), source, ByApproval(project), ways)

    with pytest.raises(NotApproved), TestClient(app()):
        pass
    approve(project)
    with TestClient(app()) as client:
        found = client.get("/model").json()
        assert (found["name"], found["version"]) == ("toy", "1.0.0")
        assert found["approval"]["sentence"] == "approved by Ana with notebooks/score.ipynb"
        assert client.post("/predict", json=ROWS).json()["version"] == "1.0.0"

        other = HistGradientBoostingClassifier(max_iter=3).fit([[20, 0, 0.1], [40, 1, 0.2]] * 30, [0, 1] * 30)
        second = register(registry, project, other)
        registry.move("toy", "champion", second.number)
        # Nobody has approved it: the one of before goes on, for it is what it was.
        time.sleep(0.5)
        assert client.post("/predict", json=ROWS).json()["version"] == "1.0.0"
        approve(project)
        deadline = time.monotonic() + 30
        while (held := client.post("/predict", json=ROWS)).json().get("version") != "1.1.0":
            assert held.status_code == 200, held.text
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_bytes_that_were_exchanged_in_the_registry_are_refused(
    tmp_path: Path, estimator: HistGradientBoostingClassifier
) -> None:
    """The tags say what was registered; an alias that there is not is named with those that there are."""
    project, registry = start(tmp_path / "project")
    entry = register(registry, project, estimator)
    registry.move("toy", "champion", entry.number)
    approve(project)
    (stored,) = (project / "mlruns").rglob("model.skops")
    stored.write_bytes(b"another")

    with pytest.raises(RegistryHolds, match="no file with the hash"):
        source_of(project).contents()
    with pytest.raises(UnknownName, match="champion"):
        find("models:/toy@nobody", uri=f"sqlite:///{project / 'mlflow.db'}").contents()
