"""The tables that a person reads, and the document that a program reads."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from ..machine import machine
from .acceptance import Verdict
from .results import BASES, Results

PACKAGES = (
    "nbproof", "papermill", "nbclient", "nbconvert", "ploomber", "ploomber-engine", "ipykernel", "ipython",
    "jupyter-client", "pandas", "torch", "shap", "mlflow", "scikit-learn",
)  # fmt: skip


def tables(results: Results, names: Sequence[str]) -> str:
    """One table a case: medians, and how many times as long as nbproof's command and nbproof in a process."""
    return "\n".join(line for name in names for line in _table(results, name))


def _table(results: Results, case: str) -> Iterator[str]:
    found = {key[1:]: median for key, median in results.medians().items() if key[0] == case}
    names = list(dict.fromkeys(contender for contender, _ in found))
    if not names:
        return
    command, *processes = BASES
    process = next((name for name in processes if name in names), "")
    if any(quantity == "memory_mib" for _, quantity in found):
        yield f"\n{case:32}{'MiB':>14}{'× process':>14}"
        for name in names:
            yield f"{name:32}{found[name, 'memory_mib']:14.0f}{_times(found, 'memory_mib', name, process):>14}"
        return
    heads = ("wall s", "× run", "× process", "cpu s", "× run", "parent cpu s", "others")
    yield f"\n{case:32}" + "".join(f"{head:>14}" for head in heads)
    for name in sorted(names, key=lambda name: found[name, "wall_s"]):
        cells = (
            _seconds(found.get((name, "wall_s"))),
            _times(found, "wall_s", name, command),
            _times(found, "wall_s", name, process),
            _seconds(found.get((name, "cpu_s"))),
            _times(found, "cpu_s", name, command),
            _seconds(found.get((name, "parent_cpu_s"))),
            f"{found[name, 'outside']:.0%}",
        )
        yield f"{name:32}" + "".join(f"{cell:>14}" for cell in cells)


def _times(found: Mapping[tuple[str, str], float], quantity: str, name: str, base: str) -> str:
    mine, theirs = found.get((name, quantity)), found.get((base, quantity))
    return f"{mine / theirs:.2f}×" if mine is not None and theirs else "–"


def acceptance_table(verdicts: Sequence[Verdict]) -> str:
    widest = max((len(verdict.text) for verdict in verdicts), default=0)
    return "\n".join(
        f"{verdict.text:{widest}}  {'–' if verdict.found is None else f'{verdict.found:.2f}':>8}"
        f"  {verdict.bound:>6}  {verdict.outcome}"
        for verdict in verdicts
    )


def document(results: Results, verdicts: Sequence[Verdict], **asked: Any) -> dict[str, Any]:
    return {
        "benchmark": "run",
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": machine(),
        "versions": {name: version(name) for name in PACKAGES},
        **asked,
        "acceptance": [
            {"line": verdict.text, "found": verdict.found, "bound": verdict.bound, "outcome": verdict.outcome}
            for verdict in verdicts
        ],
        "failures": results.failures,
        "cases": results.to_json(),
    }


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
