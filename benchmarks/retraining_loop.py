"""The retraining loop on the credit data, played from the first champion to its successor.

Months come in their order. The service scores them, the watcher looks at them, outcomes arrive a month later. September
changes its coding: its inputs alarm at once, and once its outcomes are known the ranking is lost, so that a retraining
starts. It ends in a candidate, which is compared, reported, approved with a key made for this play, promoted and
served; then it is taken back, and put forth again.

    python -m benchmarks.retraining_loop [--small] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.machine import machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nbproof.cli.main import carry_out
from nbproof.monitor.drift import auc
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.keys import PrivateKey
from nbproof.review.signers import line_of
from nbproof.serve.package import read
from nbproof.serve.process import running

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/retraining_loop.json"
MODEL, PIPELINE = "credit-late", Path("pipelines/retraining")
DATA = "../credit/data/taiwan_credit_panel_monthly"
COLUMNS = "limit_bal,pay_status:category,bill_amt,pay_amt,pay_status_prev:category,bill_prev,utilisation,pay_ratio"
MOST_ROWS, LONGEST_S = 1000, 1200


class Play:
    """One project that the loop is played in, and what was seen on the way."""

    def __init__(self, folder: Path, *, is_small: bool) -> None:
        self.folder, self.panel = folder, f"{DATA}{'_2000clients' if is_small else ''}.parquet"
        self.keys = {name: PrivateKey(Ed25519PrivateKey.generate()) for name in ("Ana", "Bela")}
        self.seen: dict[str, Any] = {"clients": "2,000" if is_small else "30,000", "seconds": {}}
        shutil.copytree(ROOT / PIPELINE, folder / PIPELINE, ignore=shutil.ignore_patterns("build", ".*"))
        shutil.copytree(ROOT / "pipelines/credit/data", folder / "pipelines/credit/data")
        (folder / "pyproject.toml").write_text("[tool.nbproof]\nworkers = 1\n")
        (folder / "approvals").mkdir()
        signers = [line_of(name, key.public) for name, key in self.keys.items()]
        (folder / "approvals/allowed_signers").write_text("\n".join([*signers, ""]))
        (folder / "approvals/reviewers.toml").write_text('[[reviewer]]\nname = "Ana"\nroles = ["validator"]\n')
        for name in ("log", "serving"):
            (folder / name).mkdir()

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """One step, told and timed."""
        print(f"→ {words}", flush=True)
        began = time.monotonic()
        yield
        self.seen["seconds"][words] = round(time.monotonic() - began, 1)

    def nbproof(self, *words: str, code: int = 0) -> Any:
        """What a command prints as JSON; it must end with `code`."""
        said, complained = io.StringIO(), io.StringIO()
        # In this process, since each new one would import MLflow again; a retraining has its own all the same.
        with contextlib.chdir(self.folder), redirect_stdout(said), redirect_stderr(complained):
            found = carry_out([*words, "--json"])
        assert found == code, f"{words}: {found}\n{said.getvalue()}\n{complained.getvalue()}"
        return json.loads(said.getvalue()) if said.getvalue().startswith(("{", "[")) else complained.getvalue()

    def product(self, name: str) -> Path:
        return self.folder / PIPELINE / "build" / name

    def champion(self) -> str | None:
        """The semantic version that serves."""
        held = self.nbproof("models", "list")[0]
        number = held["aliases"].get("champion")
        return next((each["version"] for each in held["versions"] if each["number"] == number), None)

    def approve(self) -> None:
        """Bela asks about the candidate's bytes, Ana says yes; both sign."""
        model = self.product("register/service").relative_to(self.folder)
        notebook = self.folder / PIPELINE / "register.ipynb"
        request(self.folder, notebook, key=self.keys["Bela"], files={"model": model.as_posix()})
        decide(self.folder, notebook, Verdict(decision="approved"), self.keys["Ana"])

    def kept(self, version: str) -> Path:
        """The package of a version, put aside as whoever serves it would."""
        return Path(shutil.copytree(self.product("register/service"), self.folder / "serving" / version))

    def months(self) -> dict[str, pd.DataFrame]:
        """The later months of the clients that no model has learnt from, with their outcomes."""
        clients = pd.read_parquet(self.product("select/reference.parquet"), columns=["client_id"])["client_id"].unique()
        rows = pd.read_parquet(self.folder / PIPELINE / self.panel)
        published = pd.read_parquet(self.folder / "pipelines/credit/data/taiwan_credit_default_october.parquet")
        rows = rows[rows["client_id"].isin(clients)].merge(published, on="client_id")
        rows["label"] = rows["y2"].astype("Float64").fillna(rows["default_october"].astype("Float64")).astype("int64")
        rows["window"] = rows["month"].dt.strftime("%Y-%m")
        rows = rows.dropna(subset=["pay_status_prev"]).astype({"pay_status_prev": "int64", "bill_prev": "int64"})
        return {
            month: rows[rows["window"] == month].reset_index(drop=True) for month in ("2005-07", "2005-08", "2005-09")
        }


def scored(address: str, package: Path, rows: pd.DataFrame) -> list[float]:
    """The scores that the live service gives."""
    plain, found = read(package).signature.rows(rows), []
    for start in range(0, len(plain), MOST_ROWS):
        body = json.dumps({"rows": plain[start : start + MOST_ROWS]}).encode()
        asked = urllib.request.Request(f"{address}/predict", body, {"content-type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=60) as answer:
            found += json.loads(answer.read())["scores"]
    return found


def play(folder: Path, *, is_small: bool) -> dict[str, Any]:
    """Play the loop in an empty folder; what was seen comes back. Raises `AssertionError` where the story breaks."""
    stage = Play(folder, is_small=is_small)
    seen = stage.seen
    panel = ("-p", f"panel={stage.panel}")
    with stage.step("the first model learns from May and June"):
        stage.nbproof("run", str(PIPELINE), "-p", "last_month=2005-06", *panel)
    with stage.step("nobody has approved it, so it is not promoted; approved, it is"):
        stage.nbproof("models", "promote", MODEL, code=3)
        stage.approve()
        stage.nbproof("models", "promote", MODEL)
    first, months = stage.kept("1.0.0"), stage.months()
    reference = folder / "reference.parquet"
    shutil.copy(stage.product("train/scored.parquet"), reference)
    accepted = json.loads(stage.product("train/comparison.json").read_text())["challenger"]["auc"]
    watch = (
        "monitor", "watch", "log", "--once", "--reference", str(reference), "--columns", COLUMNS, "--score", "score",
        "--label", "label", "--labels", "outcomes.parquet", "--key", "client_id,window", "--slices", "sex,age",
        "--cutoff", "0.2", "--reference-auc", str(accepted), "--retrain-for", "performance", "--pipeline",
        str(PIPELINE), "-p", "last_month={window}", "-p", "months=3", "-p", f"champion={first}", *panel,
    )  # fmt: skip
    events: list[dict[str, Any]] = []
    with running(first) as service:
        outcomes: list[pd.DataFrame] = []
        for month, rows in months.items():
            with stage.step(f"{month} is scored, and looked at"):
                window = rows.drop(columns=["y2", "label", "default_october"]).assign(
                    score=scored(service.base_url, first, rows)
                )
                window.to_parquet(folder / f"log/.{month}.parquet", index=False)
                (folder / f"log/.{month}.parquet").rename(folder / f"log/{month}.parquet")
                events += stage.nbproof(*watch)
            with stage.step(f"the outcomes of {month} arrive, and it is looked at again"):
                outcomes.append(rows[["client_id", "window", "label"]])
                pd.concat(outcomes).to_parquet(folder / "outcomes.parquet", index=False)
                events += stage.nbproof(*watch)
        with stage.step("a retraining has started; the champion goes on serving"):
            assert [each["kind"] for each in events].count("retraining-asked") == 1, events
            ended = _until_ended(stage)
            assert ended["facts"]["outcome"] == "done", ended
            assert stage.champion() == "1.0.0"
            assert stage.nbproof(*watch) == []
    seen["windows"] = {
        event["window"]: {"verdict": event["verdict"], **_numbers(event)}
        for event in events
        if event["kind"] == "window"
    }
    seen["alarms"] = [f"{each['window']} {each['facts']['area']}: {each['facts']['of']} {each['verdict']}"
                      for each in events if each["kind"] == "alarm"]  # fmt: skip
    comparison = json.loads(stage.product("train/comparison.json").read_text())
    seen["candidate"] = {name: comparison[name] for name in ("auc_gain", "importance_ndcg")}
    seen["candidate"] |= {side: comparison[side]["auc"] for side in ("champion", "challenger")}
    with stage.step("the candidate's report is written"):
        seen["report_values"] = stage.nbproof("report", str(PIPELINE), "-p", "last_month=2005-09", "-p", "months=3",
                                              "-p", f"champion={first}", *panel)["values"]  # fmt: skip
    with stage.step("nobody has approved it, so it is not promoted; approved, it is, and serves"):
        stage.nbproof("models", "promote", MODEL, code=3)
        stage.approve()
        stage.nbproof("models", "promote", MODEL)
        second, rows = stage.kept("1.1.0"), months["2005-09"]
        with running(second) as service:
            now = auc(rows["label"], scored(service.base_url, second, rows))
        seen["september"] = {"auc_1.0.0": seen["windows"]["2005-09"]["auc"], "auc_1.1.0": now}
        assert stage.champion() == "1.1.0"
    with stage.step("it is taken back in one command, and put forth again"):
        stage.nbproof("models", "rollback", MODEL)
        assert stage.champion() == "1.0.0"
        stage.nbproof("models", "rollback", MODEL)
        assert stage.champion() == "1.1.0"
    seen["changes"] = [each["kind"] for each in stage.nbproof("models", "show", MODEL)["changes"]]
    seen["seconds"]["all"] = round(sum(seen["seconds"].values()), 1)
    return seen


def _until_ended(stage: Play) -> dict[str, Any]:
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        for event in stage.nbproof("monitor", "events"):
            if event["kind"] == "retraining-ended":
                return event
        time.sleep(1)
    raise AssertionError("the retraining has not ended")


def _numbers(event: dict[str, Any]) -> dict[str, Any]:
    found = event["facts"]["findings"]
    return {
        "rows": event["facts"]["rows"],
        "auc": found["performance: score against outcome"]["auc"],
        "psi_pay_status": found["drift: pay_status"]["psi"],
        "psi_score": found["prediction: score"]["psi"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="2,000 clients, and no figures are kept")
    parser.add_argument("--keep", type=Path, help="an empty folder to play in, which stays")
    parser.add_argument("--out", type=Path, help="where the figures go")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        seen = play(folder.resolve(), is_small=asked.small)
    print(json.dumps(seen, indent=1))
    out = asked.out or (None if asked.small else RESULT)
    if out is not None:
        out.write_text(json.dumps({"machine": machine(), **seen}, indent=1) + "\n")


if __name__ == "__main__":
    main()
