"""A namespace with models and tables of all kinds, and an agent that works on it, for tests."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from nbproof.explain.panel.agent import Agent

PATIENCE_S = 120


@cache
def _made() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({
        "income": draw.normal(30, 8, 90).round(1), "age": draw.integers(20, 60, 90), "debt": draw.normal(size=90),
    })  # fmt: skip
    answer = frame["income"] + 3 * frame["debt"]
    repaid = np.where(answer > 30, "yes", "no")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).eval()
    mixed = frame.assign(town=pd.Categorical(draw.choice(["a", "b"], 90)), is_member=draw.random(90) > 0.5)
    return {
        "frame": frame,
        "wide": frame.assign(repaid=repaid)[["repaid", "debt", "age", "income"]],
        "mixed": mixed,
        "matrix": frame.to_numpy(),
        "tensor": torch.tensor(frame.to_numpy(), dtype=torch.float32),
        "forest": RandomForestClassifier(5, max_depth=3, random_state=0).fit(frame, repaid),
        "boosted": XGBClassifier(n_estimators=5, max_depth=2, n_jobs=1).fit(frame, repaid == "yes"),
        "line": LinearRegression().fit(frame, answer),
        "pipeline": make_pipeline(StandardScaler(), LinearRegression()).fit(frame.to_numpy(), answer),
        "network": network,
        "unfitted": Ridge(),
        "scaler": StandardScaler().fit(frame),
    }


def alive() -> dict[str, Any]:
    """A fresh namespace; what is in it is shared and must not be changed."""
    return dict(_made())


class Page:
    """What a page does: it asks an agent, and hears what is told."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self.agent = Agent(lambda: namespace, self.told.put, threading.Lock())
        self._asked = 0

    def ask(self, name: str, **given: Any) -> str:
        self._asked += 1
        self.agent.hear({"id": str(self._asked), "ask": name, "with": given})
        return str(self._asked)

    def hear(self, kind: str, identity: str) -> dict[str, Any]:
        """The next thing of this kind that is told of a request; what else is told is passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            told = self.told.get(timeout=max(deadline - time.monotonic(), 0.001))
            if told["id"] != identity:
                continue
            if told["is"] == kind:
                return dict(told.get("content", {}))
            assert told["is"] not in ("end", "failure"), told

    def explained(self, **given: Any) -> dict[str, Any]:
        """The answer to a request to explain, before it is judged any further."""
        return self.hear("answer", self.ask("explain", is_brief=True, **given))

    def refused(self, name: str, **given: Any) -> dict[str, Any]:
        return self.hear("failure", self.ask(name, **given))
