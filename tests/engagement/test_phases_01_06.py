"""Phases 01 to 06 of the reference engagement: what they declare, what they leave, and what they refuse."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
import yaml
from engagement_project import CUT, PIPELINE, REPOSITORY, Engagement
from packaging.utils import canonicalize_name
from sklearn.metrics import brier_score_loss, roc_auc_score

from nbproof.notebook import contract, document
from nbproof.serve.package import TRUSTED_ROOTS

PHASES = ("01_scoping", "02_data_audit", "03_environment", "04_features", "05_tracking", "06_training")
SPLITS = ("train", "calibration", "validation", "test", "live")
TASKS = {
    task["name"]: task
    for task in yaml.safe_load((REPOSITORY / PIPELINE / "pipeline.yaml").read_text(encoding="utf-8"))["tasks"]
}
ran = [pytest.mark.engagement, pytest.mark.slow]


def _notebook(phase: str) -> Path:
    return (REPOSITORY / PIPELINE / TASKS[phase]["source"]).resolve()


def _imported(notebook: Path) -> set[str]:
    code = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("phase", PHASES)
def test_defaults_are_the_paths_of_the_pipeline(phase: str) -> None:
    """Run alone, a notebook reads and writes where the pipeline would have it read and write."""
    declared = contract.read(document.read(_notebook(phase)))

    products = {key: path for key, path in TASKS[phase]["product"].items() if key != "nb"}
    upstream = declared.upstream_default or {}

    assert declared.product == products
    assert upstream == {
        name: {key: TASKS[name]["product"][key] for key in products} for name, products in upstream.items()
    }


@pytest.mark.parametrize("phase", PHASES)
def test_notebooks_are_committed_bare(phase: str) -> None:
    """No output and no execution count; every cell has a name that can be read."""
    cells = nbformat.read(_notebook(phase), as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]

    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []
    assert [cell.id for cell in cells if not cell.id.replace("_", "").isalpha()] == []
    assert cells[0].cell_type == "markdown"


@pytest.mark.engagement
@pytest.mark.slow
def test_limits_are_declared_in_scoping_alone(engagement: Engagement) -> None:
    """Every threshold has an owner, a slice and one of the eleven phases; names are distinct."""
    thresholds = engagement.read("01_scoping", "requirements")["thresholds"]

    assert all(each["owner"] and each["slice"] and each["why"] for each in thresholds)
    assert {each["phase"] for each in thresholds} <= {path.stem for path in (engagement.root / "notebooks").iterdir()}
    assert len({each["name"] for each in thresholds}) == len(thresholds)


class TestOnTheCut:
    """What the phases leave on 2000 clients, computed again from the outside."""

    pytestmark = ran

    def test_every_check_of_every_phase_is_there_and_passed(self, engagement: Engagement) -> None:
        """A phase that did not judge itself would not count as accepted."""
        judging = {
            "01_scoping": "requirements", "02_data_audit": "quality", "03_environment": "environment",
            "04_features": "features", "05_tracking": "tracking", "06_training": "metrics",
        }  # fmt: skip

        checks = {phase: engagement.read(phase, key)["checks"] for phase, key in judging.items()}

        assert all(len(found) >= 3 for found in checks.values())
        assert [name for found in checks.values() for name, each in found.items() if each["passed"] is not True] == []

    def test_findings_are_those_of_the_data(self, engagement: Engagement) -> None:
        """The audit counts what the published table holds, the change of coding in September included."""
        source = engagement.root / PIPELINE / "data/taiwan_credit_panel_monthly_2000clients.parquet"
        raw = pd.read_parquet(source)

        found = {each["finding"]: each["count"] for each in engagement.read("02_data_audit", "quality")["findings"]}

        september = raw[raw["month"] == "2005-09-30"]
        assert found["months with payment code 1 in September"] == (september["pay_status"] == 1).sum() > 200
        assert found["negative bills"] == (raw["bill_amt"] < 0).sum()
        assert found["utilisation above 1"] == (raw["bill_amt"] > raw["limit_bal"]).sum()

    def test_septembers_label_is_the_published_outcome(self, engagement: Engagement) -> None:
        """It comes from the second source; the other months' labels are the next month's status."""
        panel = pd.read_parquet(engagement.product("02_data_audit", "panel"))
        outcome = pd.read_parquet(engagement.root / PIPELINE / "data/taiwan_credit_default_october.parquet")

        september = panel[panel["month"] == "2005-09-30"].merge(outcome, on="client_id")
        july = panel[panel["month"] == "2005-07-31"].set_index("client_id")
        august = panel[panel["month"] == "2005-08-31"].set_index("client_id")

        assert (september["label"] == september["default_october"]).all()
        assert (july["label"] == (august["pay_status"] >= 2)).all()

    def test_every_import_of_a_notebook_is_locked(self, engagement: Engagement) -> None:
        """The lock covers what the notebooks of all phases import from outside the standard library."""
        lock = engagement.product("03_environment", "lock").read_text(encoding="utf-8").splitlines()
        locked = {line.split("==")[0] for line in lock}
        known = packages_distributions()
        imported = {
            name for notebook in (engagement.root / "notebooks").glob("*.ipynb") for name in _imported(notebook)
        }

        outside = imported - set(sys.stdlib_module_names) - {"nbproof"}
        unlocked = {name for name in outside if not {canonicalize_name(each) for each in known.get(name, [])} & locked}

        assert len(outside) > 10
        assert unlocked == set()

    def test_no_client_is_learnt_from_and_judged_on(self, engagement: Engagement) -> None:
        """The split is by client and by month."""
        tables = {name: pd.read_parquet(engagement.product("04_features", name)) for name in SPLITS}

        learnt = {*tables["train"]["client_id"], *tables["calibration"]["client_id"]}
        judged = {*tables["validation"]["client_id"], *tables["test"]["client_id"], *tables["live"]["client_id"]}
        months = {name: sorted(set(table["month"].dt.month)) for name, table in tables.items()}

        assert (len(learnt), len(judged), learnt & judged) == (1400, 600, set())
        assert months == {"train": [5, 6], "calibration": [7], "validation": [7], "test": [8], "live": [9]}

    def test_no_feature_is_a_protected_attribute(self, engagement: Engagement) -> None:
        """Sex, age, education and marriage travel beside the features only."""
        champion = engagement.read("06_training", "champion")

        assert not {"sex", "age", "education", "marriage", "label"} & set(champion["feature_names"])

    def test_predictions_are_those_of_the_kept_model(self, engagement: Engagement) -> None:
        """Whoever loads the model gets the scores that were written down."""
        champion = engagement.read("06_training", "champion")
        model = skops.io.load(engagement.product("06_training", "model"), trusted=champion["trusted_types"])
        predictions = pd.read_parquet(engagement.product("06_training", "predictions"))

        for name in SPLITS:
            table = pd.read_parquet(engagement.product("04_features", name))
            written = predictions[predictions["split"] == name]["score"].to_numpy()
            np.testing.assert_array_equal(model.predict_proba(table[champion["feature_names"]])[:, 1], written)

    def test_the_model_is_made_of_types_that_serving_trusts(self, engagement: Engagement) -> None:
        """A model that could not be served would be found out here."""
        trusted = engagement.read("06_training", "champion")["trusted_types"]

        assert {name.split(".")[0] for name in trusted} <= set(TRUSTED_ROOTS)

    def test_metrics_are_those_of_the_predictions(self, engagement: Engagement) -> None:
        """AUC and Brier score agree with scikit-learn's; each value lies in its interval."""
        predictions = pd.read_parquet(engagement.product("06_training", "predictions"))
        written = engagement.read("06_training", "metrics")["metrics"]

        for data_slice, name in (("validation", "validation"), ("out_of_time", "test")):
            label = pd.read_parquet(engagement.product("04_features", name))["label"]
            score = predictions[predictions["split"] == name]["score"]
            assert written[data_slice]["auc"]["value"] == pytest.approx(roc_auc_score(label, score), abs=1e-12)
            assert written[data_slice]["brier"]["value"] == pytest.approx(brier_score_loss(label, score), abs=1e-12)
            assert (
                written[data_slice]["auc"]["low"]
                < written[data_slice]["auc"]["value"]
                < written[data_slice]["auc"]["high"]
            )

    def test_verdicts_follow_the_declared_rule(self, engagement: Engagement) -> None:
        """A broken limit is undecided only where the rows are few and the interval holds the limit."""
        decisive = engagement.read("01_scoping", "requirements")["verdict_rule"]["decisive_rows"]

        for each in engagement.read("06_training", "metrics")["thresholds"]:
            sign = 1 if each["direction"] == "at_least" else -1
            keeps = sign * (each["value"] - each["limit"]) >= 0
            hopeless = (each["high"] < each["limit"]) if sign == 1 else (each["low"] > each["limit"])
            expected = "met" if keeps else "failed" if hopeless or each["rows"] >= decisive else "undecided"
            assert (each["name"], each["verdict"]) == (each["name"], expected)

    def test_three_candidates_are_compared(self, engagement: Engagement) -> None:
        """Each has its metrics and its calibration; the champion breaks no threshold on validation."""
        found = engagement.read("06_training", "candidates")["candidates"]
        champion = engagement.read("06_training", "champion")["name"]

        assert set(found) == {"logistic_regression", "gradient_boosting", "network"}
        assert found[champion]["breaks"] == []
        assert len({each["metrics"]["validation"]["auc"]["value"] for each in found.values()}) == 3

    def test_the_networks_weights_load_without_running_code(self, engagement: Engagement) -> None:
        """They are tensors and nothing else."""
        weights = torch.load(engagement.product("06_training", "network"), weights_only=True)

        assert [tuple(each.shape) for each in weights.values()][-2:] == [(1, 16), (1,)]

    def test_the_explanation_gives_every_feature_a_share(self, engagement: Engagement) -> None:
        """The status of the month explains most; no feature was lost between columns and features."""
        found = engagement.read("06_training", "explanation")

        assert max(found["mean_abs_shap"], key=found["mean_abs_shap"].get) == "pay_status"
        assert min(found["mean_abs_shap"].values()) > 0
        assert found["additivity_error"] < 1e-6
        assert [each["chosen_as"] for each in found["beside"]["cases"]] == [
            "lowest",
            "nearest to the cutoff",
            "highest",
        ]

    def test_the_explanation_comes_with_its_audit(self, engagement: Engagement) -> None:
        """It says by which method it was made, and how far it can be trusted: nothing failed, much was measured."""
        found = engagement.read("06_training", "explanation")
        verdicts = [each["verdict"] for each in found["audit"]]

        assert found["is_exact"] is True
        assert found["unit"] == "log-odds before calibration"
        assert "fail" not in verdicts
        assert verdicts.count("pass") >= 4
        assert {each["verdict"] for each in found["audit"] if each["value"] is None} == {"not evaluated"}

    def test_both_methods_stand_side_by_side_in_one_unit(self, engagement: Engagement) -> None:
        """SHAP adds up to the answer of each chosen account; LIME says how well its line fits; four reasons at most."""
        beside = engagement.read("06_training", "explanation")["beside"]

        for case in beside["cases"]:
            shares = sum(each["shap"] for each in case["features"].values())
            assert abs(case["base"] + shares - case["answer"]) < 1e-5
            assert 0 <= case["r_squared"] <= 1
            assert len(case["reasons"]) <= 4
            assert all(each["push"] > 0 for each in case["reasons"])
        assert {"fidelity", "agreement"} <= {
            word for line in beside["audit"] if line["value"] is not None for word in ("fidelity", "agreement")
            if word in line["name"]
        }  # fmt: skip

    def test_the_mean_shares_have_intervals_and_groups(self, engagement: Engagement) -> None:
        """Each mean lies within its interval; a group of few rows says nothing but how many they are."""
        found = engagement.read("06_training", "explanation")

        for name, mean in found["mean_abs_shap"].items():
            interval = found["mean_abs_shap_interval"][name]
            assert interval["low"] < interval["value"] == mean < interval["high"]
        groups = [group for of in found["mean_abs_shap_by_group"].values() for group in of.values()]
        assert all((set(group) == {"rows"}) == (group["rows"] < 30) for group in groups)


class TestRefusals:
    """Each gate closes when it should."""

    pytestmark = ran

    def test_a_prohibited_purpose_is_not_scoped(self, fresh_engagement: Engagement) -> None:
        """The notebook fails with the article that forbids it."""
        result = fresh_engagement.run("notebooks/01_scoping.ipynb", parameters=("purpose=social_scoring",))

        assert result.returncode == 1
        assert "permitted_use: prohibited practice, EU AI Act Article 5(1)(c)" in result.stdout + result.stderr

    def test_bad_data_is_refused_with_every_violation(self, fresh_engagement: Engagement) -> None:
        """A wrong code and a doubled row are named together."""
        folder = fresh_engagement.root / PIPELINE / "data"
        panel = pd.read_parquet(folder / "taiwan_credit_panel_monthly_2000clients.parquet")
        panel.loc[panel.index[:6], "sex"] = 7
        pd.concat([panel, panel.iloc[[40]]]).to_parquet(folder / "bad.parquet", index=False)

        result = fresh_engagement.run(
            "notebooks/02_data_audit.ipynb", parameters=("02_data_audit.panel=data/bad.parquet",)
        )

        assert result.returncode == 1
        assert "sex: isin([1, 2]) (6 values)" in result.stdout + result.stderr
        assert "multiple_fields_uniqueness" in result.stdout + result.stderr
        assert not fresh_engagement.product("02_data_audit", "panel").exists()

    def test_a_feature_from_the_future_is_found(self, own_engagement: Engagement) -> None:
        """Last month's status taken from next month does not pass as a feature."""
        own_engagement.edit(
            "04_features.ipynb",
            'made["bill_prev"] = by_client["bill_amt"].shift(1)',
            'made["bill_prev"] = by_client["bill_amt"].shift(-1).fillna(0)',
        )

        result = own_engagement.run("notebooks/04_features.ipynb")

        assert result.returncode == 1
        assert "point_in_time" in result.stdout + result.stderr

    def test_a_limit_out_of_reach_stops_the_model(self, own_engagement: Engagement) -> None:
        """A threshold raised in scoping is the one that training is held against."""
        result = own_engagement.run("notebooks/06_training.ipynb", parameters=(CUT, "minimum_auc=0.99"))

        assert result.returncode == 1
        assert "auc_validation" in result.stdout + result.stderr


class TestAgain:
    """The same inputs give the same bytes."""

    pytestmark = ran

    def test_a_second_run_has_nothing_to_do(self, own_engagement: Engagement) -> None:
        """A copy of the project with its products is fresh."""
        result = own_engagement.run("notebooks/06_training.ipynb")

        assert result.returncode == 0
        assert "everything is fresh" in result.stdout

    def test_a_forced_run_leaves_identical_products(self, own_engagement: Engagement) -> None:
        """Trained, explained and written again, no product differs by a byte."""
        before = own_engagement.hashes()

        result = own_engagement.run("notebooks/06_training.ipynb", "--force")

        assert result.returncode == 0, result.stdout + result.stderr
        assert len(before) == 27
        assert own_engagement.hashes() == before
