"""The limits of monitoring as the scoping phase declared them: read here, and nowhere set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataUnusable
from . import quality, slices
from .drift import Thresholds
from .look import Limits

# The name of a threshold in requirements.yaml, and what it sets. What nobody declares has the default of its kind.
NAMES = {
    "psi_amber": "psi_warn", "psi_red": "psi_alert", "ks_amber": "ks_warn", "auc_drop": "auc_drop",
    "monitored_calibration_gap": "calibration_gap", "false_alarms": "alpha",
}  # fmt: skip
PHASE = "10_monitoring"
LEAST_NDCG, SHARE_AMBER, SHARE_RED = "explanation_ndcg", "quality_share_amber", "quality_share_red"


@dataclass(frozen=True, slots=True)
class Declared:
    """Limits with the names of those that the scope declares, and who answers for each of them."""

    limits: Limits
    owners: Mapping[str, str]
    cutoff: float | None
    attributes: tuple[str, ...]
    latency_s: float | None


def read(file: Path) -> Declared:
    """Read requirements.yaml; raises `DataUnusable` when it is none."""
    import yaml

    try:
        return declared(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataUnusable(
            f"`{file}`", f"a file that cannot be read ({first})", "requirements.yaml", hint=_HINT
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataUnusable(f"`{file}`", f"no list of thresholds ({error})", "requirements.yaml", hint=_HINT) from None


def declared(requirements: Mapping[str, Any]) -> Declared:
    """The limits in what the scoping phase wrote; raises `KeyError` or `ValueError` where they are none.

    Fairness is held against the strictest limit that training was held against.
    """
    found = {each["name"]: each for each in requirements["thresholds"]}
    own = {name: each for name, each in found.items() if each["phase"] == PHASE}
    drift = {NAMES[name]: float(each["limit"]) for name, each in own.items() if name in NAMES}
    # Without a declared limit a KS distance is told and not judged.
    drift.setdefault("ks_warn", 1.0)
    thresholds = Thresholds(**drift)
    share = quality.Limits(*(float(own[name]["limit"]) if name in own else default
                             for name, default in ((SHARE_AMBER, 0.01), (SHARE_RED, 0.1))))  # fmt: skip
    impact = [float(each["limit"]) for each in found.values() if each["metric"] == "disparate_impact"]
    gap = [float(each["limit"]) for each in found.values() if each["metric"] == "equal_opportunity_gap"]
    rows = requirements.get("verdict_rule", {}).get("minimum_rows_per_group", slices.Limits().least_rows)
    fairness = slices.Limits(
        disparate_impact=max(impact, default=slices.Limits().disparate_impact),
        opportunity_gap=min(gap, default=slices.Limits().opportunity_gap),
        least_rows=int(rows),
        alpha=thresholds.alpha,
    )
    ndcg = float(own[LEAST_NDCG]["limit"]) if LEAST_NDCG in own else Limits().least_ndcg
    latency = found.get("latency_p95_ms")
    cutoff = requirements.get("decision", {}).get("cutoff")
    return Declared(
        Limits(thresholds, share, fairness, ndcg),
        {name: str(each["owner"]) for name, each in found.items() if each.get("owner")},
        None if cutoff is None else float(cutoff),
        tuple(requirements.get("protected_attributes", ())),
        None if latency is None else float(latency["limit"]) / 1000,
    )


_HINT = "nbproof run notebooks/01_scoping.ipynb writes one"
