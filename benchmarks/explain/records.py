"""Figures of explanations, how they are printed, and the command line that the cases share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Record:
    """One figure: what `contender` needed or reached in `case`, and the value that the acceptance allows, if any."""

    case: str
    contender: str
    figure: str
    value: float
    allowed: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the value is allowed; None where nothing is asked of it."""
        if not self.allowed:
            return None
        sign, bound = self.allowed.split()
        return self.value <= float(bound) if sign == "<=" else self.value >= float(bound)


def table_of(records: Sequence[Record]) -> str:
    """The records as lines, each case under its name."""
    lines: list[str] = []
    for at, each in enumerate(records):
        if at == 0 or each.case != records[at - 1].case:
            lines += ["", each.case]
        told = "" if each.is_met is None else f"{each.allowed}  {'met' if each.is_met else 'falls short'}"
        lines.append(f"  {each.contender:<40} {each.figure:<34} {each.value:>10.4g}  {told}".rstrip())
    return "\n".join(lines).strip()


def carried_out(module: str, told: str | None, measure: Callable[..., list[Record]]) -> None:
    """Measure on one thread, and print a table, or the records for a program."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        # The libraries of numpy learn it when they are loaded, so a new process is asked.
        command = [sys.executable, "-m", f"benchmarks.explain.{module}", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **ONE_THREAD})
    parser = argparse.ArgumentParser(
        f"python -m benchmarks.explain.{module}",
        description=told,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", default="*", help="only those whose name matches; * stands for anything")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the large file, where there is one")
    parser.add_argument("--json", action="store_true", help="print records for a program")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    records = measure(asked.cases, rows=asked.rows)
    print(json.dumps([asdict(each) for each in records]) if asked.json else table_of(records))
