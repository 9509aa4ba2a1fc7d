"""How pleasant the code of exported packages is: what linters and type checkers find, and how long functions are.

Notebooks are drafted as `nbproof export` does it, each in a copy of its folder; tools judge the files that come of it.
Packages that are there already are judged as they are; modules that came from beside the notebook are their authors'.

    python -m benchmarks.export_code [FOLDER_OR_NOTEBOOK_OR_PACKAGE …] [--keep FOLDER] [--timeout SECONDS] [--most N]
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.machine import machine

from nbproof.errors import NbproofError
from nbproof.export.draft import draft
from nbproof.export.packaging import provenance
from nbproof.export.shaping.tidying import program

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks/results/export_code.json"
GIVEN = (ROOT / "tests/notebooks/public", ROOT / "tests/export/notebooks")
RUFF = ("--isolated", "--target-version", "py311", "--extend-select", "D,ANN", "--ignore", "D203,D213",
        "--exclude", "_data,_modules")  # fmt: skip
MYPY = ("--python-version", "3.11", "--ignore-missing-imports", "--disallow-untyped-defs", "--allow-redefinition",
        "--no-error-summary", "--exclude", "/_(data|modules)/")  # fmt: skip


@dataclass(slots=True)
class Judged:
    """One notebook: why there is no package of it, or what was found in the code of its package."""

    notebook: str
    refused: str = ""
    shape: str = ""
    seconds: float = 0.0
    ruff: dict[str, int] = field(default_factory=dict)
    mypy: dict[str, int] = field(default_factory=dict)
    unformatted: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    parameters: int = 0
    errors: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", type=Path, default=list(GIVEN))
    parser.add_argument("--keep", type=Path, help="leave the packages there")
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.relative_to(ROOT)}")
    asked = parser.parse_args()
    found = []
    for at, notebook in enumerate(list(_notebooks(asked.places))[: asked.most]):
        found.append(judged(notebook, asked.timeout, asked.keep and asked.keep / f"p{at}_{_name(notebook)}"))
        print(_row(found[-1]), flush=True)
    print(_summary(found))
    if asked.write:
        RESULT.write_text(json.dumps({"machine": machine(), "notebooks": [asdict(each) for each in found]}, indent=1))


def _notebooks(places: list[Path]) -> Iterator[Path]:
    for place in places:
        made = [path.parent for path in sorted([*place.glob("pyproject.toml"), *place.glob("*/pyproject.toml")])]
        if place.suffix == ".ipynb":
            yield place
        elif made:
            yield from made
        else:
            yield from sorted(path for path in place.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def _name(notebook: Path) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in notebook.stem.lower())


def judged(notebook: Path, timeout_s: float, kept: Path | None) -> Judged:
    """Draft a notebook in a copy of its folder, and ask the tools about the files."""
    found = Judged(notebook.name)
    if notebook.is_dir():
        found.shape = json.loads((notebook / provenance.FILE).read_text())["shape"]
        _judge(next(notebook.glob("src/*/steps.py")).parent, found)
        return found
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "work"
        shutil.copytree(notebook.parent, copy)
        began = time.perf_counter()
        try:
            made = draft(copy / notebook.name, timeout_s=timeout_s, checks_types=True)
        except NbproofError as error:
            found.refused = str(error).partition("was not exported: ")[2] or str(error)
            return found
        found.seconds, found.shape = round(time.perf_counter() - began, 1), made.shape
        package = (kept or Path(place)) / "drafted"
        package.mkdir(parents=True, exist_ok=True)
        for name, text in made.files.items():
            (package / name).write_text(text, encoding="utf-8")
        _judge(package, found)
    return found


def _judge(package: Path, found: Judged) -> None:
    told = subprocess.run([program(), "check", *RUFF, "--output-format", "json", package], capture_output=True)
    findings = json.loads(told.stdout)
    found.ruff = dict(Counter(each["code"] or "syntax" for each in findings))
    found.errors += [f"{each['filename']}:{each['location']['row']}: {each['code']}" for each in findings]
    shown = subprocess.run(
        [program(), "format", "--isolated", "--exclude", "_data,_modules", "--check", package],
        capture_output=True,
        text=True,
    )
    found.unformatted = shown.stdout.count("Would reformat")
    cache = Path(tempfile.gettempdir()) / "nbproof-benchmark-mypy"
    told_types = subprocess.run(
        [sys.executable, "-m", "mypy", *MYPY, "--cache-dir", cache, package],
        capture_output=True,
        text=True,
        cwd=package.parent,
    )
    errors = [line for line in told_types.stdout.splitlines() if ": error:" in line]
    found.mypy = dict(Counter(line.rpartition("[")[2].rstrip("]") for line in errors))
    found.errors += errors
    text = (package / "steps.py").read_text(encoding="utf-8")
    found.marks = dict(Counter(code for line in text.splitlines() for code in _codes(line)))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            found.parameters = max(found.parameters, len(every))


def _codes(line: str) -> list[str]:
    codes = line.partition("# noqa: ")[2].partition("(")[0]
    ignored = line.partition("# type: ignore[")[2].partition("]")[0]
    return [
        code.strip()
        for code in (*codes.split(","), *(f"mypy {each}" for each in ignored.split(",") if each))
        if code.strip()
    ]


def _row(each: Judged) -> str:
    if each.refused:
        return f"{each.notebook[:40]:40} refused: {each.refused[:110]}"
    median = statistics.median(each.lengths) if each.lengths else 0
    return (
        f"{each.notebook[:40]:40} {each.shape:12} ruff {sum(each.ruff.values()):3} mypy {sum(each.mypy.values()):3} "
        f"noqa {sum(each.marks.values()):3} lines {median:5.1f} / {max(each.lengths, default=0):3} "
        f"parameters {each.parameters:2} {'unformatted' if each.unformatted else ''} {each.seconds:.1f} s"
    )


def _summary(found: list[Judged]) -> str:
    made = [each for each in found if not each.refused]
    lengths = [length for each in made for length in each.lengths]
    ruff, mypy, marks = Counter[str](), Counter[str](), Counter[str]()
    for each in made:
        ruff, mypy, marks = ruff + Counter(each.ruff), mypy + Counter(each.mypy), marks + Counter(each.marks)
    return "\n".join([
        f"{len(made)} of {len(found)} notebooks became packages",
        f"ruff clean: {sum(not each.ruff for each in made)}; findings {dict(ruff)}",
        f"mypy clean: {sum(not each.mypy for each in made)}; findings {dict(mypy)}",
        f"formatted: {sum(not each.unformatted for each in made)}",
        f"marked in the code: {dict(marks.most_common())}",
        f"functions: {len(lengths)}, lines: median {statistics.median(lengths or [0])}, longest {max(lengths or [0])}",
        f"packages whose median is above 25 lines: {sum(statistics.median(each.lengths or [0]) > 25 for each in made)}",
        f"most parameters: {max((each.parameters for each in made), default=0)}",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
