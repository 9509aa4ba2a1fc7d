"""Networks say why: against the rows that their package brings, with what is uncertain about it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from registered import start
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_serving_networks import MODULE, NAMES, ROWS, exported, graph, network, packaged, safetensors

from conftest import SIGNATURE, write_package
from nbproof import explain
from nbproof.errors import ModelRefused
from nbproof.records import ContentHash
from nbproof.serve.admission import Pinned
from nbproof.serve.app import Ways, served
from nbproof.serve.comparing import BACKGROUND, Background, Comparison, background_of
from nbproof.serve.contents import read_contents
from nbproof.serve.describing import Explanation
from nbproof.serve.explaining import reasons
from nbproof.serve.package import of_contents
from nbproof.serve.registered import contents_of
from nbproof.serve.rows import ARROW
from nbproof.serve.signature import Input, Signature
from nbproof.serve.source import Folder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

AGAINST = np.random.default_rng(8).uniform(-3, 3, (40, 3))
WIDE = tuple(f"f{at}" for at in range(12))


def rows_of(block: Any, names: tuple[str, ...] = NAMES) -> list[dict[str, float]]:
    return [dict(zip(names, row, strict=True)) for row in block.tolist()]


def with_background(folder: Path, block: Any = AGAINST, names: tuple[str, ...] = NAMES) -> Path:
    (folder / BACKGROUND).write_text(json.dumps({"rows": rows_of(block, names)}))
    return folder


def started(folder: Path) -> TestClient:
    source = Folder(folder)
    package = of_contents(source.contents())
    return TestClient(served(package, source, Pinned(package.contents.digest), Ways(explains=True)))


def explained(folder: Path, rows: list[dict[str, float]]) -> tuple[dict[str, Any], list[float], str]:
    """What /explain says, the scores that /predict gives, and what /model says of explanations."""
    with started(folder) as client:
        answer = client.post("/explain", json={"rows": rows})
        assert answer.status_code == 200, answer.text
        Explanation.model_validate_json(answer.content, strict=True)
        scores = client.post("/predict", json={"rows": rows}).json()["scores"]
        return answer.json(), scores, client.get("/model").json()["explained"]


@pytest.mark.parametrize("kind", ["weights", "program", "onnx"])
def test_a_network_is_explained_against_its_background(tmp_path: Path, kind: str) -> None:
    """Every coalition of three fields is asked about: exact, additive, and what `nbproof.explain` says itself."""
    files = {
        "weights": lambda: ("model.safetensors", safetensors(network()), MODULE),
        "program": lambda: ("model.pt2", exported(network(), tmp_path), ""),
        "onnx": lambda: ("model.onnx", graph()[1], ""),
    }
    file, content, module = files[kind]()
    folder = with_background(packaged(tmp_path / "p", file, content, module=module))

    found, scores, says = explained(folder, rows_of(ROWS[:5]))

    assert says == "exact Shapley values in probability against 40 background rows"
    told = {key: found[key] for key in ("unit", "method", "exact", "seed", "notes", "background", "features")}
    assert told == {
        "unit": "probability", "method": "enumerated", "exact": True, "seed": None, "notes": [],
        "background": {"rows": 40, "sha256": ContentHash.of((folder / BACKGROUND).read_bytes()).hex},
        "features": list(NAMES),
    }  # fmt: skip
    assert [row["score"] for row in found["rows"]] == scores
    assert [found["base"] + sum(row["shares"]) for row in found["rows"]] == pytest.approx(scores, abs=1e-6)
    assert all("errors" not in row for row in found["rows"])
    asked = of_contents(read_contents(folder)).load(runs_code=True).bare
    own = explain.shap(lambda block: asked.predict_proba(block)[:, 1], ROWS[:5], background=AGAINST)
    np.testing.assert_allclose([row["shares"] for row in found["rows"]], own.values[:, :, 0], atol=1e-6)


def wide() -> Any:
    """A network of twelve fields, of which the first is the strongest."""
    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1), torch.nn.Sigmoid())
    with torch.no_grad():
        module[0].weight[:, 0] *= 4
    return module.eval()


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of it, with a background of which a part is drawn."""
    made = """
import torch


def make():
    return torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1), torch.nn.Sigmoid())
"""
    signature = Signature(tuple(Input(name, "number", minimum=-10, maximum=10) for name in WIDE))
    folder = tmp_path_factory.mktemp("wide") / "p"
    packaged(folder, "model.safetensors", safetensors(wide()), module=made, signature=signature)
    return with_background(folder, np.random.default_rng(2).uniform(-2, 2, (150, 12)), WIDE)


def test_estimates_have_their_standard_errors(wide_folder: Path) -> None:
    """Of many fields coalitions are drawn: additive all the same, and the exact values lie where the errors say."""
    rows = np.random.default_rng(5).uniform(-2, 2, (3, 12))

    found, scores, says = explained(wide_folder, rows_of(rows, WIDE))
    again, _, _ = explained(wide_folder, rows_of(rows[1:2], WIDE))

    assert says == "Shapley values in probability against 100 background rows, with standard errors"
    assert (found["method"], found["exact"], found["seed"]) == ("sampled", False, 0)
    assert found["notes"] == [
        "Compared with 100 of the 150 background rows, drawn with the seed.",
        "Shares are estimates; 95 of 100 are within 1.96 of their standard errors.",
    ]
    assert [found["base"] + sum(row["shares"]) for row in found["rows"]] == pytest.approx(scores, abs=1e-5)
    np.testing.assert_allclose(again["rows"][0]["shares"], found["rows"][1]["shares"], atol=1e-6)
    shares, errors = (np.array([row[key] for row in found["rows"]]) for key in ("shares", "errors"))
    exact = exact_of(wide_folder, rows)
    assert (errors > 0).all()
    assert (np.abs(shares - exact) <= 5 * errors + 1e-6).all()
    assert np.mean(np.abs(shares - exact) <= 1.96 * errors + 1e-6) > 0.8


def exact_of(folder: Path, rows: Any) -> Any:
    """Values against the same hundred rows, by every coalition."""
    asked = of_contents(read_contents(folder)).load(runs_code=True).bare
    background = np.array([list(row.values()) for row in json.loads((folder / BACKGROUND).read_text())["rows"]])
    found = explain.shap(
        lambda block: asked.predict_proba(block)[:, 1], rows, background=background, method="enumerated", seed=0
    )
    return found.values[:, :, 0]


def test_arrow_has_the_errors_beside_the_shares(wide_folder: Path) -> None:
    """One column for each."""
    with started(wide_folder) as client:
        answer = client.post("/explain", json={"rows": [dict.fromkeys(WIDE, 1.0)]}, headers={"accept": ARROW})

    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column_names == ["score", *(f"share.{name}" for name in WIDE), *(f"error.{name}" for name in WIDE)]


def test_more_rows_than_can_be_explained_in_time_are_refused(wide_folder: Path) -> None:
    """512 coalitions with a hundred rows each: 78 rows at a time; scores are not bounded by it."""
    rows = [dict.fromkeys(WIDE, 1.0)] * 79

    with started(wide_folder) as client:
        answer, scored = client.post("/explain", json={"rows": rows}), client.post("/predict", json={"rows": rows})

    assert (answer.status_code, scored.status_code) == (422, 200)
    assert answer.json()["problems"] == [
        {"where": "body.rows", "what": "found 79 rows, expected at most 78 to be explained at a time"}
    ]


def test_what_may_be_chance_is_no_reason() -> None:
    """A share within 1.96 standard errors is told to nobody as what has decided."""
    shares, errors = np.array([0.3, 0.1, 0.02, -0.4]), np.array([0.1, 0.1, 0.001, 0.01])

    assert reasons(shares, ("a", "b", "c", "d"), {}, errors) == [
        {"reason": "a", "push": 0.3}, {"reason": "c", "push": 0.02},
    ]  # fmt: skip


def test_without_a_background_it_says_what_to_do(tmp_path: Path) -> None:
    """409 in one line; scores are given."""
    with started(packaged(tmp_path / "p", "model.onnx", graph()[1])) as client:
        answer = client.post("/explain", json={"rows": rows_of(ROWS[:1])})

    assert answer.status_code == 409
    assert answer.json()["problems"] == [{
        "where": "model",
        "what": "no explanation: a network is no sum of trees, and its package holds no background; put rows like "
                "those of its training into `background.json` of the package, and have it approved",
    }]  # fmt: skip


def test_a_background_is_approved_with_the_model(tmp_path: Path) -> None:
    """Another one is another content; and rows that the signature does not admit are refused when it is loaded."""
    folder = with_background(packaged(tmp_path / "p", "model.onnx", graph()[1]))
    before = read_contents(folder).digest
    assert read_contents(with_background(folder, AGAINST[1:])).digest != before

    with_background(folder, AGAINST * 100)
    with pytest.raises(ModelRefused, match=r"`background\.json` with something else at body\.rows\.0"), started(folder):
        pass


def test_a_part_of_a_background_is_not_called_exact(tmp_path: Path) -> None:
    """Every coalition is asked about, and yet another seed would compare with other rows."""
    block = np.random.default_rng(4).uniform(-3, 3, (130, 3))
    folder = with_background(packaged(tmp_path / "p", "model.onnx", graph()[1]), block)

    found, _, says = explained(folder, rows_of(ROWS[:1]))

    assert says == "Shapley values in probability against 100 background rows"
    assert (found["method"], found["exact"], found["seed"]) == ("enumerated", False, 0)
    assert found["notes"] == ["Compared with 100 of the 130 background rows, drawn with the seed."]


@pytest.mark.usefixtures("own_variables")
def test_a_registered_version_has_its_background(tmp_path: Path) -> None:
    """A further file that is registered with the model is part of what is approved, and compared with."""
    _, registry = start(tmp_path / "project")
    folder = with_background(packaged(tmp_path / "p", "model.onnx", graph()[1]))
    files = {"model": folder / "model.onnx", "signature": folder / "signature.json", "background": folder / BACKGROUND}
    digests = {key: ContentHash.of(path.read_bytes()).hex for key, path in files.items()}
    entry, _ = registry.register("toy", files, signature=digests["signature"], scores=digests["model"],
                                 experiment="toy")  # fmt: skip

    found = background_of(of_contents(contents_of(registry, entry)))

    assert found is not None
    np.testing.assert_array_equal(found.rows, AGAINST)


def test_any_model_of_numbers_is_explained_against_a_background(tmp_path: Path) -> None:
    """A pipeline is no sum of trees by itself; its share is of the probability, and whole numbers stay whole."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.integers(18, 80, 200), "status": rng.integers(-1, 3, 200),
                          "ratio": rng.random(200)})  # fmt: skip
    fitted = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=5)).fit(frame, frame.status > 0)
    folder = write_package(tmp_path / "p", fitted)
    rows = SIGNATURE.rows({name: frame[name] for name in frame})
    (folder / BACKGROUND).write_text(json.dumps({"rows": rows[:60]}))

    found, scores, says = explained(folder, rows[60:64])

    assert says == "exact Shapley values in probability against 60 background rows"
    assert [row["score"] for row in found["rows"]] == scores
    assert [found["base"] + sum(row["shares"]) for row in found["rows"]] == pytest.approx(scores, abs=1e-6)


def test_a_linear_model_is_explained_in_closed_form() -> None:
    """In log-odds, in which its parts add up: nothing is drawn, and rows are not bounded."""
    rng = np.random.default_rng(1)
    block = rng.normal(size=(200, 3))
    fitted = LogisticRegression().fit(block, block[:, 0] > 0)
    comparison = Comparison(fitted, Background(block[:50], ContentHash.of(b"")), NAMES)

    found = comparison.explained(block[50:60])

    assert (found.method, found.unit, found.is_exact) == ("linear", "log-odds", True)
    assert comparison.told_by(found).most_rows is None
    np.testing.assert_allclose(found.base[:, 0] + found.values[:, :, 0].sum(1), fitted.decision_function(block[50:60]),
                               atol=1e-5)  # fmt: skip
