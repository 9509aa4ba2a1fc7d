"""The engagement's models score its rows from their files, and give what their notebook gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from engagement_project import Engagement

from nbproof.explain.torch_files import filled, weights
from nbproof.review.gate import UnsafeBypass
from nbproof.score.asked import Asked
from nbproof.score.device import CPU
from nbproof.score.network import Network
from nbproof.score.scoring import score

pytestmark = [pytest.mark.engagement, pytest.mark.slow]
KEYS = ["client_id", "month"]


def scored(engagement: Engagement, model: str, to: Path) -> pd.DataFrame:
    """The scores of the test rows, in small batches and parts, by a model as the training left it."""
    champion = engagement.read("06_training", "champion")
    asked = Asked(
        features=tuple(champion["feature_names"]), keep=tuple(KEYS), name="score", batch_rows=100, part_rows=500,
        trust=tuple(champion["trusted_types"]),
    )  # fmt: skip
    # The engagement is for reading only: the ledger that notes the bypass is of another project.
    (to / "pyproject.toml").write_text("[tool.nbproof]\n")
    score(
        engagement.product("06_training", model), engagement.product("04_features", "test"), to / "scores", asked,
        project=to, unsafe=UnsafeBypass("Bela", "a test"),
    )  # fmt: skip
    return pd.read_parquet(to / "scores")


def test_the_champion_scores_as_in_its_notebook(engagement: Engagement, tmp_path: Path) -> None:
    """Every client and month has the score that the notebook wrote down, in the order of the rows."""
    found = scored(engagement, "model", tmp_path)

    told = pd.read_parquet(engagement.product("06_training", "predictions"))
    told = told[told["split"] == "test"].reset_index(drop=True)
    assert len(told) == 600
    pd.testing.assert_frame_equal(found[KEYS], told[KEYS], check_dtype=False)
    np.testing.assert_allclose(found["score"], told["score"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_a_candidate_scores_as_in_its_notebook(engagement: Engagement, tmp_path: Path, name: str) -> None:
    """The scores of each candidate have the very AUC that the notebook measured."""
    from sklearn.metrics import roc_auc_score

    found = scored(engagement, name, tmp_path)

    measured = engagement.read("06_training", "candidates")["candidates"][name]["metrics"]["out_of_time"]["auc"]
    label = pd.read_parquet(engagement.product("04_features", "test"))["label"]
    assert roc_auc_score(label, found["score"]) == pytest.approx(measured["value"], abs=1e-12)


def test_the_network_scores_as_in_its_notebook(engagement: Engagement) -> None:
    """Its weights are read without running code, and answer in double precision, as they were trained."""
    import skops.io

    held = weights(engagement.product("06_training", "network"), "network.pt")
    sizes = [held[name].shape for name in held if name.endswith("weight")]

    def network() -> torch.nn.Module:
        layers: list[torch.nn.Module] = []
        for out, into in sizes:
            layers += [torch.nn.Linear(into, out), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    features = engagement.read("04_features", "features")
    pipeline = skops.io.load(engagement.product("04_features", "pipeline"), trusted=features["trusted_types"])
    rows = pd.read_parquet(engagement.product("04_features", "test"))
    inputs = pipeline.transform(rows[[each["name"] for each in features["features"]]])
    names = tuple(f"x{at}" for at in range(inputs.shape[1]))
    module = filled(network, held, "network.pt")
    scorer = Network(module, names, CPU, name="logit", model="network.pt")

    pieces = [
        scorer.begin(np.ascontiguousarray(inputs[start : start + 64])).wait() for start in range(0, len(inputs), 64)
    ]

    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()
    assert scorer.dtype == scorer.answer_dtype == np.float64
    np.testing.assert_allclose(np.concatenate(pieces), expected, rtol=1e-12)
