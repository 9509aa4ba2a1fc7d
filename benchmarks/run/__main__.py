"""nbproof beside its peers: the same notebooks, the same machine, the same minutes.

    python -m benchmarks.run                     # everything, about 25 minutes on two cores
    python -m benchmarks.run --quick             # what the acceptance lines need, about four
    python -m benchmarks.run --cases 'empty*' --contenders 'nbproof*,papermill*' --rounds 7

Contenders take turns in every round, in an order that changes, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from .acceptance import judge
from .cases import CASES, MEMORY, Case
from .contenders import Contender, ContenderFailed, contenders, seed
from .measuring import Sample, open_account
from .memory import measure_memory
from .notebooks import Project, WrongResult
from .report import acceptance_table, document, tables
from .results import Results

RESULT = Path(__file__).parents[1] / "results" / "run.json"
QUICK_S, WHOLE_S = 240.0, 1500.0


@dataclass(frozen=True, slots=True)
class Patience:
    """A measurement during which others used more than `outside` of the machine is repeated, if it is a short one."""

    deadline: float
    outside: float
    repeats: int
    longest_s: float = 20.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.deadline

    def is_content(self, tried: Sequence[Sample]) -> bool:
        last = tried[-1]
        is_long = last.wall_s > self.longest_s
        return last.outside <= self.outside or len(tried) > self.repeats or is_long or self.is_over


@dataclass(slots=True)
class Projects:
    """One project for each case and contender, made when it is first asked for."""

    folder: Path
    made: dict[tuple[str, str], Project] = field(default_factory=dict)

    def of(self, case: Case, contender: Contender) -> Project:
        key = case.name, contender.name
        if key not in self.made:
            project = Project(self.folder / f"project-{len(self.made)}", case.shape)
            project.write(executor=contender.executor)
            if case.verb in ("again", "status"):
                seed(contender.name.split()[0], project)
            self.made[key] = project
        return self.made[key]


def main() -> None:
    asked = _options().parse_args()
    cases, results, began = _chosen(asked), Results(), time.monotonic()
    deadline = began + (asked.budget_s or (QUICK_S if asked.quick else WHOLE_S))
    _carry_out(cases, results, Patience(deadline, asked.outside, asked.repeats))
    names = [case.name for case in cases]
    if _matches(MEMORY, asked.cases):
        names.append(MEMORY)
        try:
            measure_memory(results)
        except ContenderFailed as error:
            results.failures.append(f"{MEMORY}: {error}")
    verdicts = judge(results.medians(), names)
    print(tables(results, names) + "\n\n" + acceptance_table(verdicts))
    out = asked.out or (None if asked.quick or asked.cases or asked.contenders else RESULT)
    if out is not None:
        found = document(
            results, verdicts, accounting=_accounting(), took_s=time.monotonic() - began, outside_allowed=asked.outside
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=2) + "\n")
    print("\n".join(f"FAILED {failure}" for failure in results.failures))
    sys.exit(1 if results.failures else 0)


def _carry_out(cases: Sequence[Case], results: Results, patience: Patience) -> None:
    """Rounds outside, cases inside: when the time is up, every case has had about as many."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbproof-benchmark-")))
        everybody = {each.name: stack.enter_context(closing(each)) for each in contenders()}
        projects = Projects(folder)
        _read_libraries(cases)
        for number in range(max((case.rounds for case in cases), default=0)):
            for case in (case for case in cases if number < case.rounds):
                if number and patience.is_over:
                    return
                names = list(case.contenders)
                random.Random(f"{number} {case.name}").shuffle(names)
                for name in names:
                    try:
                        tried = _measure(case, everybody[name], projects.of(case, everybody[name]), patience)
                    except (ContenderFailed, WrongResult) as error:
                        results.failures.append(f"{case.name}, {name}: {error}")
                        print(f"FAILED {results.failures[-1]}", file=sys.stderr)
                        continue
                    results.add(case.name, name, tried)
                    print(f"{case.name}, round {number + 1}: {name} {tried[-1].wall_s:.2f} s", file=sys.stderr)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round of what the acceptance lines need")
    parser.add_argument("--cases", default="", metavar="NAME,…", help="only these; * stands for anything")
    parser.add_argument("--contenders", default="", metavar="NAME,…", help="only these; * stands for anything")
    parser.add_argument("--rounds", type=int, help="this many rounds of every case")
    parser.add_argument("--budget-s", type=float, help="start no further round after this time")
    parser.add_argument("--outside", type=float, default=0.1, help="repeat when others used more of the machine")
    parser.add_argument("--repeats", type=int, default=1, help="how often one measurement may be repeated for that")
    parser.add_argument("--out", type=Path, help=f"where the JSON goes; a whole run writes results/{RESULT.name}")
    return parser


def _chosen(asked: argparse.Namespace) -> list[Case]:
    chosen = []
    for case in CASES:
        # A case that is named is measured, also in a hurry.
        names = (case.quick or (case.contenders if asked.cases else ())) if asked.quick else case.contenders
        names = tuple(name for name in names if _matches(name, asked.contenders))
        rounds = asked.rounds or (1 if asked.quick else case.rounds)
        if names and _matches(case.name, asked.cases):
            chosen.append(replace(case, contenders=names, rounds=rounds))
    return chosen


def _matches(name: str, patterns: str) -> bool:
    return not patterns or any(fnmatch(name, pattern.strip()) for pattern in patterns.split(","))


def _read_libraries(cases: Sequence[Case]) -> None:
    """Import once, uncounted, what the notebooks import: whoever comes first would wait for the disk."""
    names = sorted({name for case in cases for name in case.shape.imports})
    subprocess.run([sys.executable, "-c", "\n".join(f"import {name}" for name in names)], check=True)


def _measure(case: Case, contender: Contender, project: Project, patience: Patience) -> list[Sample]:
    """The tries at one measurement, each of them checked."""
    tried: list[Sample] = []
    while not tried or not patience.is_content(tried):
        contender.prepare(project, case.verb)
        if case.verb == "run":
            project.clear()
        tried.append(contender.measure(project, case.verb))
        if case.verb != "help":
            project.check(all_ran=case.verb == "run", has_notebooks=contender.makes_notebooks)
    return tried


def _accounting() -> str:
    """How CPU seconds were counted."""
    with closing(open_account("method")) as account:
        return account.method


if __name__ == "__main__":
    main()
