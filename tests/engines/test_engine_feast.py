"""Features exported to a real Feast: what training is given at a moment is what serving is given then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import Record, environment

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
TTL_DAYS, FEATURES = 40, ["amount", "level", "kind", "is_open"]
NOW = pd.Timestamp("2026-06-30", tz="UTC")
# Run by Feast's own Python: a join at the moments of `asked.parquet`, then what the online store holds at one of them.
PROGRAM = """
import json, sys
from datetime import datetime
import pandas as pd
from feast import FeatureStore

repository, asked, joined, now, began = sys.argv[1:]
store = FeatureStore(repository)
names = json.loads(sys.stdin.read())
history = store.get_historical_features(entity_df=pd.read_parquet(asked), features=names).to_df()
history.to_parquet(joined, index=False)
store.materialize(datetime.fromisoformat(began), datetime.fromisoformat(now))
clients = [{"client": client} for client in range(40)]
online = store.get_online_features(features=names, entity_rows=clients).to_dict()
print("ONLINE", json.dumps(online))
"""


def rows() -> pd.DataFrame:
    """Features of some clients, known at odd moments; some are the last ones for longer than they count."""
    drawn = np.random.default_rng(7)
    hours = np.unique(drawn.integers(0, 24 * 180, 400))
    frame = pd.DataFrame({"client": drawn.integers(0, 30, len(hours)), "known": hours})
    frame["known"] = NOW - pd.to_timedelta(frame["known"], unit="h")
    frame["amount"] = drawn.normal(size=len(frame)).round(6)
    frame.loc[::9, "amount"] = np.nan
    frame["level"] = drawn.integers(-2, 9, len(frame))
    frame["kind"] = drawn.choice(["north", "south"], len(frame))
    frame["is_open"] = drawn.random(len(frame)) < 0.5
    return frame


def asked_at(frame: pd.DataFrame) -> pd.DataFrame:
    """Moments of clients: any, that at which a row was known, and the last at which it counts, and the next."""
    drawn = np.random.default_rng(8)
    odd = pd.DataFrame({
        "client": drawn.integers(0, 40, 200),
        "event_timestamp": NOW - pd.to_timedelta(drawn.integers(0, 60 * 24 * 180, 200), unit="min"),
    })  # fmt: skip
    edges = []
    for more in ("0s", f"{TTL_DAYS}D", f"{TTL_DAYS}D 1s"):
        last = frame.sample(40, random_state=9)[["client", "known"]].rename(columns={"known": "event_timestamp"})
        edges.append(last.assign(event_timestamp=last["event_timestamp"] + pd.Timedelta(more)))
    at_once = pd.DataFrame({"client": range(40), "event_timestamp": NOW})
    return pd.concat([odd, *edges, at_once]).drop_duplicates().reset_index(drop=True)


def as_of(frame: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """What pandas says was known, of the last row and no older than it counts."""
    return pd.merge_asof(
        asked.sort_values("event_timestamp"), frame.sort_values("known"), left_on="event_timestamp", right_on="known",
        by="client", tolerance=pd.Timedelta(days=TTL_DAYS),
    )  # fmt: skip


def plain(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """Rows of features in the order of their clients and moments, with None for what is missing."""
    ordered = frame.sort_values(["client", "event_timestamp"])
    return [
        tuple(None if pd.isna(each) else float(each) if not isinstance(each, str) else each for each in row)
        for row in ordered[FEATURES].itertuples(index=False)
    ]


def test_training_and_serving_get_the_same_features(tmp_path: Path, record: Record) -> None:
    """Feast's join at hundreds of moments, and its online store, against pandas."""
    programs = environment("feast")
    frame, own = rows(), {**os.environ, "HOME": str(tmp_path), "FEAST_USAGE": "False"}
    own.pop("PYTHONPATH", None)
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    asked = asked_at(frame)
    asked.to_parquet(tmp_path / "asked.parquet", index=False)

    with record.row("Feast 0.67", "`data export --to feast`, `feast apply`, a join, an online read") as say:
        export = ["data", "export", "panel.parquet", "--to", "feast", "--entity", "client", "--time", "known",
                  "--ttl-days", str(TTL_DAYS), "--out", "repository"]  # fmt: skip
        subprocess.run([sys.executable, "-m", "nbproof", *export], cwd=tmp_path, check=True, capture_output=True)
        applied = subprocess.run(
            [programs / "feast", "-c", "repository", "apply"], cwd=tmp_path, env=own, capture_output=True, text=True
        )
        assert applied.returncode == 0, applied.stderr
        began = NOW - pd.Timedelta(days=TTL_DAYS)
        ran = subprocess.run(
            [programs / "python", "-c", PROGRAM, "repository", "asked.parquet", "joined.parquet",
             NOW.isoformat(), began.isoformat()],
            input=json.dumps([f"panel:{name}" for name in FEATURES]), cwd=tmp_path, env=own, capture_output=True,
            text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        expected = as_of(frame, asked)
        joined = pd.read_parquet(tmp_path / "joined.parquet")

        assert len(joined) == len(asked)
        assert plain(joined) == plain(expected)
        told = next(line for line in ran.stdout.splitlines() if line.startswith("ONLINE "))
        online = pd.DataFrame(json.loads(told.removeprefix("ONLINE "))).assign(event_timestamp=NOW)
        then = expected[expected["event_timestamp"] == NOW].drop_duplicates("client")
        assert len(then) == len(online) == 40
        assert plain(online) == plain(then)
        known = int(then["level"].notna().sum())
        assert 0 < known < 40
        say(f"{len(asked)} moments have what `merge_asof` of pandas gives; {known} of 40 entities are served the same")
