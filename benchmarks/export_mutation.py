"""How many faults the tests of exported packages find: mutmut changes the code, and the tests should notice.

    python -m benchmarks.export_mutation exports/scoring exports/training      # folders of packages
    python -m benchmarks.export_mutation --mutants 60 exports/*                # so many of each, drawn by chance
    python -m benchmarks.export_mutation --python VENV/bin/python exports/*    # the one with mutmut

Prints a line for each package and each mutant that survives, with its file and line, and writes
`results/export_mutation.json`. What the exporter itself puts into every package is left out, unless `--all` says
otherwise: its tests are nbproof's own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .machine import machine

RESULT = Path(__file__).parent / "results" / "export_mutation.json"
THE_EXPORTERS_OWN = ("__main__.py", "_checking.py", "_command.py", "_results.py", "_surroundings.py")
BOUND = 0.80
KILLED = {1, 3}
# mutmut's own words for what became of a mutant.
OUTCOMES = {0: "survived", 5: "no tests", 33: "no tests", 36: "timeout", 24: "timeout", -24: "timeout", 152: "timeout",
            255: "timeout", -11: "segfault", -9: "killed by the system"}  # fmt: skip
LISTING = """
import json, sys
from pathlib import Path
import mutmut.__main__ as program
program.set_mutant_under_test("mutant_generation")
Path("mutants").mkdir(exist_ok=True)
program.copy_src_dir(); program.copy_also_copy_files(); program.setup_source_paths(); program.create_mutants(1)
"""
# A mutant is tried in a process that has run the tests before: what fails there without any would look like a kill.
CLEAN = """
import os, sys
import pytest
os.chdir("mutants"); sys.path.insert(0, os.path.abspath("src"))
os.environ["MUTANT_UNDER_TEST"] = ""
for _ in range(3):
    if pytest.main(["-q", "-x", "-W", "ignore", "-p", "no:cacheprovider", "-p", "no:randomly", "tests"]):
        sys.exit("the tests fail though nothing was changed")
"""
SHOWING = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name) for name in json.load(sys.stdin)}))
"""
LINES = """
import json, sys
from coverage import CoverageData
data = CoverageData(sys.argv[1]); data.read()
print(json.dumps({name: sorted(data.lines(name) or []) for name in data.measured_files()}))
"""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test noticed: where it is, what it changed, and whether the tests run that line at all."""

    name: str
    outcome: str
    file: str
    line: int
    before: str
    after: str
    is_run: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """One package: how many mutants there are, how many were tried, and how many the tests killed."""

    package: str
    mutants: int
    tried: int
    killed: int
    timeouts: int
    seconds: float
    survivors: list[Survivor] = field(default_factory=list)
    problem: str = ""

    @property
    def score(self) -> float:
        # A mutant that makes the code run for ever is noticed by whoever waits.
        return (self.killed + self.timeouts) / self.tried if self.tried else 0.0

    @property
    def score_where_run(self) -> float:
        """The score over mutants of lines that the tests run at all."""
        asleep = sum(not each.is_run for each in self.survivors)
        return (self.killed + self.timeouts) / (self.tried - asleep) if self.tried > asleep else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--mutants", type=int, default=0, help="so many of each package, drawn by chance (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--children", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="also the modules that every package has")
    parser.add_argument("--data", type=Path, help="where files lie that are too large to travel with a package")
    parser.add_argument("--output", type=Path, default=RESULT)
    asked = parser.parse_args()
    measured = []
    for package in asked.packages:
        measured.append(_measured(package.resolve(), asked))
        _tell(measured[-1])
    median = statistics.median(each.score for each in measured)
    print(f"median score {median:.1%} over {len(measured)} packages, bound {BOUND:.0%}: "
          f"{'met' if median >= BOUND else 'falls short'}")  # fmt: skip
    found = {"machine": machine(), "mutants_of_each": asked.mutants, "seed": asked.seed, "median": median,
             "packages": [{"score": each.score, "score_where_run": each.score_where_run, **asdict(each)}
                          for each in measured]}  # fmt: skip
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if median >= BOUND else 1


def _measured(package: Path, asked: argparse.Namespace) -> Measured:
    began = time.monotonic()
    name = next(place.parent.name for place in sorted((package / "src").glob("*/__init__.py")))
    with tempfile.TemporaryDirectory(prefix="export-mutation-") as place:
        folder = Path(place) / "package"
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache", "mutants"))
        _configure(folder, [] if asked.all else [f"*/{name}/{each}" for each in THE_EXPORTERS_OWN])
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        if asked.data:
            environ[f"{name.upper()}_DATA"] = str(asked.data)
        try:
            return _carried_out(folder, name, asked, environ, began)
        except subprocess.CalledProcessError as error:
            words = (error.stderr or error.stdout or "").strip().splitlines()[-3:]
            return Measured(name, 0, 0, 0, 0, time.monotonic() - began, problem=" / ".join(words))


def _carried_out(folder: Path, name: str, asked: argparse.Namespace, environ: dict[str, str], began: float) -> Measured:
    def called(*arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [asked.python, *arguments], cwd=folder, env=environ, input=text, capture_output=True, text=True, check=True
        )
        return done.stdout

    called("-m", "coverage", "run", "--data-file=.coverage", f"--source=src/{name}", "-m", "pytest", "-q", "-x",
           "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore", "tests")  # fmt: skip
    lines = {Path(file).relative_to(folder.resolve()).as_posix(): set(found)
             for file, found in json.loads(called("-c", LINES, ".coverage")).items()}  # fmt: skip
    called("-c", LISTING)
    called("-c", CLEAN)
    every = sorted(_outcomes(folder))
    chosen = sorted(random.Random(asked.seed).sample(every, asked.mutants)) if 0 < asked.mutants < len(every) else every
    if chosen:
        called("-m", "mutmut", "run", "--max-children", str(asked.children), *chosen)
    outcomes = {mutant: code for mutant, code in _outcomes(folder).items() if mutant in set(chosen)}
    told = {mutant: OUTCOMES.get(code, "suspicious" if code is not None else "not tried")
            for mutant, code in outcomes.items() if code not in KILLED}  # fmt: skip
    left = [mutant for mutant, outcome in told.items() if outcome != "timeout"]
    shown = json.loads(called("-c", SHOWING, text=json.dumps(left))) if left else {}
    survivors = [_survivor(mutant, told[mutant], shown[mutant], folder, lines) for mutant in left]
    timeouts = sum(outcome == "timeout" for outcome in told.values())
    killed = sum(code in KILLED for code in outcomes.values())
    return Measured(name, len(every), len(chosen), killed, timeouts, time.monotonic() - began, survivors)


def _configure(folder: Path, left_out: list[str]) -> None:
    """Tell mutmut where the code is and how its tests run."""
    lines = [
        "", "[tool.mutmut]", 'source_paths = ["src/"]', 'also_copy = ["tests/"]', "track_dependencies = false",
        "use_git_change_detection = false", "use_setproctitle = false",
        'pytest_add_cli_args = ["-W", "ignore", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]',
        'pytest_add_cli_args_test_selection = ["tests/"]', f"do_not_mutate = {json.dumps(left_out)}",
    ]  # fmt: skip
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _outcomes(folder: Path) -> dict[str, int | None]:
    """What became of each mutant, by mutmut's exit codes; None: it was not tried."""
    found: dict[str, int | None] = {}
    for place in (folder / "mutants").rglob("*.meta"):
        found |= json.loads(place.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def _survivor(name: str, outcome: str, difference: str, folder: Path, lines: dict[str, set[int]]) -> Survivor:
    file = difference.splitlines()[0].removeprefix("--- ").strip()
    before = [line[1:] for line in difference.splitlines()[2:] if line.startswith("-")]
    after = [line[1:] for line in difference.splitlines()[2:] if line.startswith("+")]
    function = re.sub(r"__mutmut_\d+$", "", name.rpartition(".")[2]).split("ǁ")[-1].removeprefix("x_")
    source = (folder / file).read_text(encoding="utf-8").splitlines()
    begins = next((at for at, line in enumerate(source, start=1)
                   if re.match(rf"\s*(async )?def {re.escape(function)}\(", line)), 1)  # fmt: skip
    hunk = re.search(r"^@@ -(\d+)", difference, re.MULTILINE)
    within = int(hunk[1]) if hunk else 1
    for line in difference[hunk.end() if hunk else 0 :].splitlines()[1:]:
        if line.startswith("-"):
            break
        within += not line.startswith("+")
    at = begins + within - 1
    # Of a statement over several lines, the first one is said to have run.
    is_run = any(each in lines.get(file, set()) for each in range(at, max(begins, at - 12), -1)
                 if each == at or source[each - 1].rstrip().endswith(("(", "[", "{", ",")))  # fmt: skip
    return Survivor(name, outcome, file, at, " ".join(before).strip(), " ".join(after).strip(), is_run)


def _tell(measured: Measured) -> None:
    if measured.problem:
        print(f"{measured.package}: {measured.problem}", flush=True)
        return
    print(f"{measured.package}: {measured.score:.1%} of {measured.tried} tried of {measured.mutants} mutants, "
          f"{measured.score_where_run:.1%} where the tests run; {measured.seconds:.0f} s")  # fmt: skip
    for each in measured.survivors:
        where = "" if each.is_run else ", never run"
        print(f"  {each.outcome}{where}: {each.file}:{each.line}: {each.before[:110]}  ->  {each.after[:110]}")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
