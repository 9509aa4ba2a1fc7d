"""The audit on real credit data: what it costs, and that it says the same of a real model every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import planted
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from nbproof.explain import auditing, question
from nbproof.explain.auditing import Audit
from nbproof.explain.explanation import Explanation
from nbproof.explain.question import Question

PANEL = Path(__file__).parents[2] / "pipelines/credit/data/taiwan_credit_panel_monthly_2000clients.parquet"
COLUMNS = [
    "limit_bal", "sex", "education", "marriage", "age", "pay_status", "bill_amt", "pay_amt", "pay_status_prev",
    "bill_prev", "utilisation",
]  # fmt: skip


def paths(asked: Question, seed: int) -> Explanation:
    return planted.enumerated(asked, seed, draws=10)


@pytest.fixture(scope="module")
def asked() -> Question:
    """A boosted model of default on 1800 clients in their third month, and 100 others to explain."""
    panel = pd.read_parquet(PANEL)
    month = panel[panel["month"] == sorted(panel["month"].unique())[2]].reset_index(drop=True)
    table, happened = month[COLUMNS], month["y2"].astype(bool).to_numpy()
    known = np.arange(len(table)) < 1800
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(table[known], happened[known])
    return question.ask(model, table[~known][:100], background=table[known][:500])


@pytest.fixture(scope="module")
def found(asked: Question) -> Audit:
    return auditing.audit(asked, paths(asked, 0), planted.lime(asked, 0), explain_shap=paths, explain_lime=planted.lime)


def test_an_audit_of_a_hundred_clients_asks_little(found: Audit) -> None:
    """It asks a credit model about fewer rows than three thousand for each client, LIME's points included."""
    assert (found.rows, found.unit) == (100, "log-odds")
    assert found.cost.model_rows < 3000 * found.rows


def test_a_real_model_is_told_from_noise(found: Audit) -> None:
    """On real data, too, honest shares pass what noise must fail, and nobody is accused of gaming."""
    verdicts = {each.name: each.verdict for each in found.lines}

    assert verdicts["completeness of SHAP"] == "pass"
    assert verdicts["deletion by SHAP"] == "pass"
    assert verdicts["insertion by SHAP"] == "pass"
    assert verdicts["infidelity of SHAP against saying nothing"] == "pass"
    assert verdicts["SHAP–LIME agreement: signs"] == "pass"
    assert {verdicts["could SHAP be gamed"], verdicts["could LIME be gamed"]} <= {"pass", "warn"}


def test_noise_about_a_real_model_fails(asked: Question) -> None:
    """Values drawn at random about the same clients fail deletion, insertion and infidelity."""
    noisy = auditing.audit(asked, planted.noise(asked), None, explain_shap=planted.noise, explain_lime=None)

    failed = {each.name for each in noisy.judged("fail")}
    assert {"deletion by SHAP", "insertion by SHAP", "infidelity of SHAP against saying nothing"} <= failed


def test_columns_of_kinds_are_named(found: Audit) -> None:
    """Sex, education and marriage were not declared to be kinds, and a reviewer reads so."""
    named = {each.feature for each in found.cautions if each.check == "undeclared categories"}

    assert {"sex", "education", "marriage"} <= named
