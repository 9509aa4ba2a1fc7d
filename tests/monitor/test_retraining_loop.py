"""The loop of `make loop` on the small cut of its data: alarm, retraining, review, promotion, and the way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.engagement
@pytest.mark.timeout(1500)
def test_september_leads_to_a_successor_and_back(tmp_path: Path) -> None:
    """July is no alarm, September's coding is, its lost ranking retrains; only an approved candidate is promoted."""
    out = tmp_path / "seen.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.retraining_loop", "--small", "--out", out],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=1400,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr

    seen = json.loads(out.read_text())
    assert seen["windows"]["2005-07"]["psi_pay_status"] < 0.1 < 0.2 < seen["windows"]["2005-09"]["psi_pay_status"]
    assert seen["windows"]["2005-09"]["psi_score"] < 0.1
    assert {"2005-09 drift: pay_status red", "2005-09 performance: score against outcome red"} <= set(seen["alarms"])
    assert not any(alarm.startswith("2005-07") and "performance" in alarm for alarm in seen["alarms"])
    assert seen["september"]["auc_1.1.0"] > seen["september"]["auc_1.0.0"] + 0.02
    assert seen["changes"] == ["promotion", "promotion", "rollback", "rollback"]
