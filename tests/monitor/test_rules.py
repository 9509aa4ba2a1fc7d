"""Prometheus: the numbers of a look are metrics that it reads, and its rules alarm where the look does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from nbproof.monitor.look import Limits, Look, Question, Rows, look
from nbproof.monitor.rules import rules, textfile

OWNERS = {"psi_red": "model operations", "auc_drop": "model operations"}


def looked(shift: float) -> Look:
    rng = np.random.default_rng(0)
    before, now = rng.normal(size=3000), rng.normal(shift, size=3000)
    truth = (rng.random(3000) < 0.3).astype(float)
    return look(
        Rows({"x": before, "score": before}, truth),
        Rows({"x": now, "score": before}, truth),
        Question({"x": "number"}, score="score", reference_auc=0.5),
    )


def test_every_number_is_a_sample_that_prometheus_reads() -> None:
    """What was not computed has no sample, and a label may hold anything."""
    text = textfile(looked(1.0), model='a "model"', window="2026-08\n", at=1.5)

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    psi = {sample.labels["of"]: sample.value for sample in samples if sample.name == "nbproof_drift_psi"}
    assert psi["x"] > 0.5
    assert {sample.labels["model"] for sample in samples} == {'a "model"'}
    assert {sample.labels["window"] for sample in samples} == {"2026-08\n"}
    assert not any(sample.name == "nbproof_explanation_ndcg" for sample in samples)
    assert ("nbproof_window_rows", 3000) in [(sample.name, sample.value) for sample in samples]


def test_the_limits_are_those_of_the_scope() -> None:
    """The rules are YAML with the declared limits and owners."""
    found = yaml.safe_load(rules(Limits(), owners=OWNERS, stale_after_s=86400, latency_s=0.25))

    by_name = {rule["alert"]: rule for group in found["groups"] for rule in group["rules"]}
    assert by_name["NbproofPsiDriftRed"]["expr"].startswith("nbproof_drift_psi >= 0.2 and on")
    assert by_name["NbproofPsiDriftRed"]["labels"] == {"severity": "red", "owner": "model operations"}
    assert by_name["NbproofRankingLost"]["expr"].startswith("nbproof_performance_auc_drop > 0.05")
    assert "> 0.25" in by_name["NbproofServiceSlow"]["expr"]
    assert len(by_name) == 12


@pytest.fixture
def promtool() -> str:
    """Prometheus' own judge of rules and metrics."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    return found


@pytest.mark.parametrize(("shift", "alarms"), [(1.0, True), (0.0, False)])
def test_prometheus_alarms_where_the_look_does(promtool: str, tmp_path: Path, shift: float, alarms: bool) -> None:
    """Its own tool takes rules and metrics, and fires on the samples of a window that moved, and of no other."""
    text = textfile(looked(shift), model="m", window="w", at=0)
    (tmp_path / "rules.yml").write_text(rules(Limits(), owners=OWNERS, stale_after_s=86400))
    series = [
        {"series": line.rpartition(" ")[0], "values": f"{float(line.rpartition(' ')[2]):.12f}x3"}
        for line in text.splitlines()
        if not line.startswith("#")
    ]
    expected = [
        {"exp_labels": {"severity": "red", "owner": "model operations", "model": "m", "window": "w", "of": "x"}}
    ]
    test = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [
                    {"eval_time": "2m", "alertname": "NbproofPsiDriftRed", "exp_alerts": expected if alarms else []}
                ],
            }
        ],
    }
    if alarms:
        value = next(each["values"] for each in series if each["series"].startswith("nbproof_drift_psi"))
        told = f"m: x has PSI {float(value.removesuffix('x3')):.12f}".rstrip("0")
        expected[0]["exp_annotations"] = {"summary": f"{told} in w; the limit is 0.2"}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))

    for words in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        ran = subprocess.run([promtool, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
