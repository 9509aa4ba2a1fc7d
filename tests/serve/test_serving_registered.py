"""A registered version answers under its alias, as what its registry and its approval say it is."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skops.io
from registered import start  # it brings the folder of `reviewed`, too
from reviewed import BELA, key
from sklearn.ensemble import HistGradientBoostingClassifier

from conftest import SIGNATURE
from nbproof.cli.main import carry_out
from nbproof.errors import ModelRefused, NotApproved, RegistryHolds, UnknownName
from nbproof.records import ContentHash
from nbproof.review.deciding import Verdict, decide, request
from nbproof.serve.admission import ByApproval
from nbproof.serve.app import Ways, served
from nbproof.serve.package import load_estimator, of_contents
from nbproof.serve.promoting import promote
from nbproof.serve.registered import fetch
from nbproof.serve.registry import Entry, Registry
from nbproof.serve.source import Source, find, local_place

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


def approve(project: Path, registry: Registry, entry: Entry) -> None:
    """Ana approves the version as `nbproof models fetch` lays it before her."""
    notebook = project / "notebooks/score.ipynb"
    fetch(registry, entry, project / f"fetched/{entry.number}")
    request(project, notebook, key=BELA, files={"model": f"fetched/{entry.number}"})
    decide(project, notebook, Verdict(decision="approved"), key(1))


def alter_signature(project: Path, registry: Registry, entry: Entry) -> None:
    """Another signature takes the place of the registered one; the tag with its hash, which nobody signed, follows."""
    stored = next(each for each in (project / "mlruns").rglob("signature.json"))
    other = stored.read_text().replace('"minimum": 18', '"minimum": 0')
    assert other != stored.read_text()
    stored.write_text(other)
    registry.client.set_model_version_tag(
        "toy", str(entry.number), "signature_sha256", ContentHash.of(other.encode()).hex
    )


def alter_version(project: Path, registry: Registry, entry: Entry) -> None:
    """The version is said to be another one than the one that was approved."""
    registry.client.set_model_version_tag("toy", str(entry.number), "semver", "7.0.0")


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
    approve(project, registry, first)
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
        approve(project, registry, second)
        deadline = time.monotonic() + 120
        while (held := client.post("/predict", json=ROWS)).json().get("version") != "1.1.0":
            assert held.status_code == 200, held.text
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_approval_covers_all_that_decides_the_answers(
    tmp_path: Path, estimator: HistGradientBoostingClassifier, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Not the model's file alone: another signature under the same model is neither promoted nor served."""
    project, registry = start(tmp_path / "project")
    entry = register(registry, project, estimator)
    registry.move("toy", "candidate", entry.number)
    notebook = project / "notebooks/score.ipynb"
    request(project, notebook, key=BELA, files={"model": "model.skops"})
    decide(project, notebook, Verdict(decision="approved"), key(1))
    with pytest.raises(NotApproved) as refused:
        promote(registry, project, "toy", None, by="Ana")
    assert "nbproof models fetch toy 1.0.0 FOLDER" in str(refused.value.hint)

    monkeypatch.chdir(project)
    assert carry_out(["models", "fetch", "toy", "candidate", "fetched", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["manifest.json", "model.skops", "signature.json"]
    assert carry_out(["models", "fetch", "toy", "candidate", "fetched"]) == 2
    request(project, notebook, key=BELA, files={"model": "fetched"})
    decide(project, notebook, Verdict(decision="approved"), key(1))
    promote(registry, project, "toy", None, by="Ana")
    assert source_of(project).contents().digest.hex == told["digest"]
    alter_signature(project, registry, entry)

    source = source_of(project)
    with (
        pytest.raises(NotApproved) as refused,
        TestClient(served(of_contents(source.contents()), source, ByApproval(project), Ways())),
    ):
        pass
    assert "nbproof models fetch toy champion FOLDER" in str(refused.value.hint)


@pytest.mark.parametrize("alter", [alter_signature, alter_version])
def test_what_was_altered_in_the_registry_ends_the_answers(
    tmp_path: Path, estimator: HistGradientBoostingClassifier, alter: Callable[[Path, Registry, Entry], None]
) -> None:
    """While it answers: whatever lies there now is not what was approved, and /ready says so."""
    project, registry = start(tmp_path / "project")
    entry = register(registry, project, estimator)
    registry.move("toy", "champion", entry.number)
    approve(project, registry, entry)
    source = source_of(project)

    ways = Ways(check_s=0.1)
    with TestClient(served(of_contents(source.contents()), source, ByApproval(project), ways)) as client:
        time.sleep(0.5)
        assert client.post("/predict", json=ROWS).status_code == 200
        alter(project, registry, entry)
        deadline = time.monotonic() + 120
        # Between the two writes of an alteration it may be told of the first alone.
        while "other files or another version than was loaded" not in (said := client.get("/ready")).text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = client.post("/predict", json=ROWS)

    assert (said.status_code, answer.status_code) == (503, 503)


def test_a_file_that_is_no_model_is_no_version_that_may_serve(
    tmp_path: Path, estimator: HistGradientBoostingClassifier, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The list of versions says so, and goes on with the others; nothing loads it."""
    project, registry = start(tmp_path / "project")
    register(registry, project, estimator)
    (project / "model.skops").write_bytes(b"hello")
    files = {"model": project / "model.skops", "signature": project / "signature.json"}
    entry, _ = registry.register("toy", files, signature="0" * 64, scores="1" * 64, experiment="toy")
    monkeypatch.chdir(project)

    assert carry_out(["models", "show", "toy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["approvals"]
    assert "`signature.json` with the hash" in told[str(entry.number)]["why"]
    registry.client.set_model_version_tag("toy", str(entry.number), "signature_sha256",
                                          ContentHash.of((project / "signature.json").read_bytes()).hex)  # fmt: skip
    assert carry_out(["models", "show", "toy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["approvals"]
    assert "which skops cannot read" in told[str(entry.number)]["why"]
    assert "no decision is about" in told["1"]["why"]
    with pytest.raises(ModelRefused, match="no model that skops can read"):
        load_estimator(b"hello", (), where=tmp_path)


def test_a_version_in_another_format_is_served(tmp_path: Path) -> None:
    """The file that its tags name is the model, whatever it is called; its manifest follows from both."""
    pytest.importorskip("onnxruntime")
    from test_serving_networks import BOUNDED, graph

    project, registry = start(tmp_path / "project")
    fitted, content = graph()
    signature = json.dumps(BOUNDED.written()).encode()
    (project / "forest.onnx").write_bytes(content)
    (project / "signature.json").write_bytes(signature)
    files = {"model": project / "forest.onnx", "signature": project / "signature.json"}
    entry, _ = registry.register(
        "toy", files, signature=ContentHash.of(signature).hex, scores=ContentHash.of(b"s").hex, experiment="toy"
    )
    registry.move("toy", "champion", entry.number)
    approve(project, registry, entry)

    source = source_of(project)
    with TestClient(served(of_contents(source.contents()), source, ByApproval(project), Ways())) as client:
        answer = client.post("/predict", json={"rows": [{"a": 0.5, "b": 1.0, "c": -1.0}]})

    assert answer.json()["scores"] == pytest.approx([fitted.predict_proba([[0.5, 1.0, -1.0]])[0, 1]], abs=1e-6)


def test_a_store_elsewhere_is_no_folder_of_this_machine() -> None:
    """Only what names one is looked at as one; anything else is fetched."""
    assert local_place("/a/b") == local_place("file:///a/b") == Path("/a/b")
    assert local_place("file:///a%20b") == Path("/a b")
    assert [
        local_place(each) for each in ("s3://a/b", "mlflow-artifacts:/a", "models:/m-1", "file://host/a", "a/b")
    ] == ([None] * 5)


def test_bytes_that_were_exchanged_in_the_registry_are_refused(
    tmp_path: Path, estimator: HistGradientBoostingClassifier
) -> None:
    """The tags say what was registered; an alias that there is not is named with those that there are."""
    project, registry = start(tmp_path / "project")
    entry = register(registry, project, estimator)
    registry.move("toy", "champion", entry.number)
    approve(project, registry, entry)
    (stored,) = (project / "mlruns").rglob("model.skops")
    stored.write_bytes(b"another")

    with pytest.raises(RegistryHolds, match="no file with the hash"):
        source_of(project).contents()
    with pytest.raises(UnknownName, match="champion"):
        find("models:/toy@nobody", uri=f"sqlite:///{project / 'mlflow.db'}").contents()
