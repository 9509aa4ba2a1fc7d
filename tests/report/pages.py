"""A small evidence of a model, and a page of a report as a test looks at it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

THRESHOLD = {
    "name": "auc_validation", "slice": "validation", "direction": "at_least", "limit": 0.85, "value": 0.8812345,
    "low": 0.87, "high": 0.89, "rows": 9000, "why": "ranks", "owner": "development", "verdict": "met",
}  # fmt: skip
LINE = {
    "name": "deletion by SHAP", "verdict": "pass", "value": 3.5, "sentence": "3.5 standard errors better than chance.",
    "threshold": "at least 3", "source": "Petsiuk (2018)",
    "numbers": {"shap_deletion_area": 1.25, "shap_deletion_random": 0.86},
}  # fmt: skip
CASE = {
    "client_id": 17, "chosen_as": "highest", "score": 0.98, "answer": 4.4, "base": -2.8, "lime_says": 2.1,
    "r_squared": 0.3,
    "features": {"pay": {"value": 5.0, "shap": 5.9, "lime": 2.2}, "limit": {"value": 1e5, "shap": -0.1, "lime": -0.2}},
    "reasons": [{"text": "the payment status", "push": 5.9}],
}  # fmt: skip
COLUMNS = {"pay": {"verdict": "red", "psi": 0.93, "ks": None, "reason": "PSI 0.93 is at or above 0.2"}}
PRODUCTS: dict[str, dict[str, Any]] = {
    "01_scoping": {
        "requirements.yaml": {
            "intended_use": "warn early", "users": ["analysts"], "out_of_scope": ["pricing"],
            "decision": {"action": "review", "cutoff": 0.2}, "owners": {"auc": "development"},
        },
    },
    "06_training": {
        "metrics.json": {
            "thresholds": [THRESHOLD, {**THRESHOLD, "name": "brier", "value": 0.09, "verdict": "failed"}],
            "metrics": {"validation": {"auc": {"value": 0.8812345, "low": 0.87, "high": 0.89}}},
            "baseline": {"validation": {"auc": 0.85}},
            "slices": {"sex": {"a/b": {"rows": 5, "auc": None, "mean_probability": 0.1, "observed_rate": 0.2}}},
            "fairness": {"sex": {"disparate_impact": {"value": 0.9, "low": 0.8, "high": 1.0}, "groups": ["a/b"]}},
            "stability": {"spread": 0.001, "out_of_time_auc": [0.88, 0.881]},
            "checks": {"no_threshold_failed": {"passed": False, "found": "brier"}},
        },
        "explanation.json": {
            "method": "trees", "unit": "log-odds", "is_exact": True, "rows": 500, "seed": 0,
            "mean_abs_shap": {"pay": 0.9}, "mean_abs_shap_interval": {"pay": {"value": 0.9, "low": 0.8, "high": 1.0}},
            "dependence": {"pay": [{"above": -2.0, "up_to": 0.0, "rows": 9, "mean_share": -0.3}]},
            "audit": [LINE], "beside": {"unit": "log-odds", "cases": [CASE], "audit": [{**LINE, "verdict": "fail"}]},
        },
    },
    "07_registration": {"registration.json": {"name": "credit", "semver": "1.0.0"}},
    "10_monitoring": {
        "drift.json": {
            "windows": {
                "2005-09": {
                    "verdict": "red", "rows": 9000, "story": "2005-09 is red.", "columns": COLUMNS,
                    "performance": {"auc": 0.65, "mean_score": 0.13, "observed": 0.22},
                },
            },
        },
        "retraining.json": {"triggered": True, "owner": "operations", "rule": "a window is red"},
    },
}  # fmt: skip


def left(root: Path, content: dict[str, dict[str, Any]] | None = None) -> dict[str, dict[str, str]]:
    """Write products below `root`; returns them by phase and key."""
    products: dict[str, dict[str, str]] = {}
    for phase, files in (PRODUCTS if content is None else content).items():
        for name, held in files.items():
            path = root / phase / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(held) if name.endswith(".yaml") else json.dumps(held), encoding="utf-8")
            products.setdefault(phase, {})[path.stem] = f"{phase}/{name}"
    return products


@dataclass(slots=True)
class Seen:
    """A page taken apart: its tags with their attributes, and its texts with the elements around them."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[tuple[str, tuple[dict[str, str], ...]]] = field(default_factory=list)

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    def addresses(self) -> list[str]:
        return [value for _, held in self.tags for name, value in held.items() if name in ("src", "href")]


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "img"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen, self._open = Seen(), list[dict[str, str]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {"": tag, **{name: value or "" for name, value in attrs}}
        self.seen.tags.append((tag, {name: value for name, value in held.items() if name}))
        if tag not in self.VOID:
            self._open.append(held)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[""] != tag:
            continue

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.seen.texts.append((data, tuple(self._open)))


def taken_apart(page: str) -> Seen:
    """The page as a list of tags and texts."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.seen


def words_of(held: Any) -> set[str]:
    """Every name and every text that a value holds, and none of its numbers."""
    if isinstance(held, dict):
        return {str(key) for key in held} | {word for each in held.values() for word in words_of(each)}
    if isinstance(held, list):
        return {word for each in held for word in words_of(each)}
    return {held} if isinstance(held, str) else set()
