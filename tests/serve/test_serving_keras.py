"""Networks of Keras answer over HTTP what they answer by themselves, and only while an approval covers their bytes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered import start  # it brings the folder of `reviewed`, too
from reviewed import BELA, key
from test_serving_networks import BOUNDED, NAMES, packaged
from test_serving_networks import ROWS as GOLDEN

from keras_networks import network, saved, with_layer
from nbproof.errors import ModelRefused, NotApproved
from nbproof.export.sbom import pins_of
from nbproof.records import ContentHash
from nbproof.review.deciding import Verdict, decide, request
from nbproof.serve.admission import ByApproval, Grant
from nbproof.serve.app import Ways, served
from nbproof.serve.package import of_contents, read
from nbproof.serve.registered import fetch
from nbproof.serve.registry import Entry, Registry
from nbproof.serve.shipping import ship
from nbproof.serve.source import Folder, Source, find

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

pytestmark = pytest.mark.usefixtures("own_variables")
BODY = {"rows": [dict(zip(NAMES, row, strict=True)) for row in GOLDEN.tolist()]}


def answered(model: Any) -> np.ndarray:
    found: np.ndarray = model(GOLDEN.astype(np.float32), training=False).detach().numpy()[:, 0]
    return found


def approve(project: Path, what: str) -> None:
    """Ana approves a folder of the project as the model of its notebook."""
    notebook = project / "notebooks/score.ipynb"
    request(project, notebook, key=BELA, files={"model": what})
    decide(project, notebook, Verdict(decision="approved"), key(1))


def app(source: Source, project: Path) -> Any:
    return served(of_contents(source.contents()), source, ByApproval(project), Ways(explains=True))


def test_a_network_answers_while_its_bytes_are_approved(tmp_path: Path) -> None:
    """The golden rows, dropout off; not before the approval, and not with other weights than those that have one."""
    project, _ = start(tmp_path / "project")
    model = network()
    source = Folder(packaged(project / "service", "model.keras", saved(model, tmp_path)))

    with pytest.raises(NotApproved), TestClient(app(source, project)):
        pass
    approve(project, "service")
    with TestClient(app(source, project)) as client:
        answer, reasons = client.post("/predict", json=BODY), client.post("/explain", json=BODY)
    other = Folder(packaged(project / "other", "model.keras", saved(network(seed=6), tmp_path)))
    with pytest.raises(NotApproved), TestClient(app(other, project)):
        pass

    assert np.abs(np.array(answer.json()["scores"]) - answered(model)).max() < 1e-6
    assert (reasons.status_code, "a network is no sum of trees" in reasons.text) == (409, True)


def register(registry: Registry, project: Path, content: bytes) -> Entry:
    """Register a network with its signature, as phase 07 does."""
    signature = json.dumps(BOUNDED.written()).encode()
    (project / "network.keras").write_bytes(content)
    (project / "signature.json").write_bytes(signature)
    files = {"model": project / "network.keras", "signature": project / "signature.json"}
    entry, _ = registry.register(
        "toy", files, signature=ContentHash.of(signature).hex, scores=ContentHash.of(content).hex, experiment="toy"
    )
    return entry


def test_a_registered_network_is_served(tmp_path: Path) -> None:
    """Under its alias, once it is approved as `nbproof models fetch` writes it."""
    project, registry = start(tmp_path / "project")
    model = network()
    entry = register(registry, project, saved(model, tmp_path))
    registry.move("toy", "champion", entry.number)
    source = find("models:/toy@champion", uri=f"sqlite:///{project / 'mlflow.db'}")

    with pytest.raises(NotApproved), TestClient(app(source, project)):
        pass
    fetch(registry, entry, project / "fetched")
    approve(project, "fetched")
    with TestClient(app(source, project)) as client:
        answer = client.post("/predict", json=BODY)

    assert np.abs(np.array(answer.json()["scores"]) - answered(model)).max() < 1e-6


def test_what_is_no_classifier_of_keras_alone_is_refused(tmp_path: Path) -> None:
    """Answers that are no probabilities, and a layer that carries code: before anybody asks, approved or not."""
    logits = saved(network(last="linear"), tmp_path)
    code = with_layer(saved(network(), tmp_path), 1, class_name="Lambda")

    for name, content, words in (("logits", logits, "no probabilities"), ("code", code, "which carries code")):
        with pytest.raises(ModelRefused, match=words):
            read(packaged(tmp_path / name, "model.keras", content)).load(runs_code=True)


def test_a_container_gets_keras_and_its_backend(tmp_path: Path) -> None:
    """The lock names both, with what they need; no backend of Triton reads the file."""
    package = read(packaged(tmp_path / "p", "model.keras", saved(network(), tmp_path)))
    approved = Grant("approved by Ana", True, runs_code=True)
    made = ship(package, approved, tmp_path / "context", "container")

    pins = pins_of((made.folder / "requirements.lock").read_text(), where=made.folder)
    assert {"keras", "h5py", "torch", "fastapi"} <= {name for name, _ in pins}
    with pytest.raises(ModelRefused, match="no backend of Triton"):
        ship(package, approved, tmp_path / "no", "triton")
