"""The tests of a package pass on it, and name the step and the value of each fault that is put into it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from exported import Cell, exported, write_notebook, write_project

from nbproof.export.exporting import Asked, export
from nbproof.export.golden.coverage import Coverage

NAME = "demo_draft"
CELLS = (
    "# Load",
    "import math\nfrom pathlib import Path\nimport pandas as pd\n"
    "LIMIT = 2\n"
    "def scaled(value, factor):\n    return value * factor\n"
    "rows = pd.read_csv('rows.csv')\nrows['kind'] = rows['kind'].astype('category')\nprint('read', len(rows), 'rows')",
    "# Clean",
    "kept = rows[rows['amount'] > LIMIT].reset_index(drop=True)\n"
    "kept['double'] = [scaled(value, 2) for value in kept['amount']]\n"
    "try:\n    low = math.sqrt(-1)\nexcept ValueError:\n    low = -1\nkept",
    "# Draw",
    "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.bar([1, 2], [3, 4], label='bars')\n"
    "axes.set_title('amounts')\nplt.show()",
    "# Judge",
    "import numpy as np\nfrom sklearn.linear_model import LinearRegression\n"
    "model = LinearRegression().fit(kept[['amount']], kept['double'])\n"
    "weights = np.array([1.5, -2.0, 0.25])\nsides = (kept['amount'] > 3).to_numpy()",
    "# Leave",
    "Path('out.txt').write_text('sum %s' % kept['double'].sum())\n"
    "total = float(model.predict(kept[['amount']]).sum() + weights.sum())",
)  # fmt: skip
# Each fault: what replaces what, and the words that a failing test has to say.
FAULTS = {
    "a constant": ("value * factor", "value * factor + 1", "scaled#1.gives"),
    "a sign": ("-2.0", "2.0", "judge.gives.weights"),
    "a row is lost": ('rows["amount"] > LIMIT', 'rows["amount"] > LIMIT + 1', "clean.gives"),
    "another column": ('kept["double"] =', 'kept["twice"] =', "clean.gives.kept.columns"),
    "a narrower type": ("np.array([1.5, -2.0, 0.25])", 'np.array([1.5, -2.0, 0.25], "f4")', "weights.dtype"),
    "another order": (".reset_index(drop=True)", "[::-1].reset_index(drop=True)", "clean.gives"),
    "a figure's title": ('"amounts"', '"Amounts"', "titles[1]: 'Amounts', expected 'amounts'"),
    "a bar's height": ("[3, 4]", "[3, 5]", "patches[1].height"),
    "a printed text": ('"rows")', '"lines")', "load.prints"),
    "another error is let through": ("except ValueError", "except KeyError", "clean.raises"),
    "an error is swallowed": ("low = math.sqrt(-1)", "low = 0", "clean.keeps.low: 0, expected -1"),
    "a written file": ('"sum ', '"Sum ', "leave.writes"),
    "an estimator's setting": ("LinearRegression()", "LinearRegression(fit_intercept=False)", "judge.gives.model"),
    "what is displayed": ('show("', '(lambda *_: None)("', "clean.shows"),
    "a category is text": ('.astype("category")', "", "load.gives.rows['kind'].dtype"),
}
# One process that has loaded the libraries, and another for each package.
TESTING = """
import os, sys
import matplotlib.pyplot, pandas, pyarrow.parquet, pytest, sklearn.linear_model
for folder in sys.argv[1:]:
    child = os.fork()
    if not child:
        said = os.open(os.path.join(folder, "said.txt"), os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1), os.dup2(said, 2), os.chdir(folder)
        sys.path.insert(0, os.path.join(folder, "src"))
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-W", "error", "-rs", "--rootdir", folder, "tests"])
        sys.stdout.flush(), os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A package with its tests, and what these cover."""

    folder: Path
    coverage: Coverage


def made_of(place: Path, cells: tuple[Cell, ...]) -> Made:
    """Export a draft of a notebook with these cells."""
    notebook = write_notebook(place / "notebooks" / "demo.ipynb", *cells)
    (notebook.parent / "rows.csv").write_text("kind,amount\na,1\nb,2\na,3\nb,4\na,5\n")
    made = export(Asked(place, notebook, is_draft=True, timeout_s=300, others_s=0.01))
    return Made(made.folder, made.coverage)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_of(tmp_path_factory.mktemp("golden"), CELLS)


def outcomes(*packages: Path) -> list[tuple[int, str]]:
    """Run the tests of packages: the exit code of each, and what was said."""
    environ = {**os.environ, "PYTHONHASHSEED": "2", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", TESTING, *map(str, packages)], env=environ, capture_output=True, text=True, timeout=500
    )
    codes = [int(line) for line in done.stdout.split()]
    return [(code, (package / "said.txt").read_text()) for code, package in zip(codes, packages, strict=True)]


@pytest.fixture(scope="module")
def with_faults(made: Made, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What the tests say of packages with one fault each."""
    packages = []
    for fault, (before, after, _) in FAULTS.items():
        package = tmp_path_factory.mktemp(fault.replace(" ", "-")) / NAME
        shutil.copytree(made.folder, package, ignore=shutil.ignore_patterns("said.txt", "__pycache__"))
        steps = package / "src" / NAME / "steps.py"
        text = steps.read_text()
        assert before in text
        steps.write_text(text.replace(before, after))
        packages.append(package)
    return dict(zip(FAULTS, outcomes(*packages), strict=True))


def test_the_tests_of_a_package_pass_on_it(made: Made) -> None:
    """Every step is tested in a whole run, and by itself where it needs nothing but what it takes."""
    [(code, said)] = outcomes(made.folder)

    assert code == 0, said
    assert [step.rpartition(":")[2] for step in made.coverage.steps] == ["load", "clean", "draw", "judge", "leave"]
    assert set(made.coverage.steps) <= set(made.coverage.alone)
    assert "steps:scaled#1" in made.coverage.alone
    assert made.coverage.missing == {}
    assert made.coverage.loose == {}


def test_no_file_of_them_runs_code_when_it_is_read(made: Made) -> None:
    """What is recorded is JSON, arrays and tables; frames are tables."""
    kinds = {path.suffix for path in (made.folder / "tests" / "recorded").iterdir()}

    assert kinds <= {".json", ".npy", ".parquet"}
    assert ".parquet" in kinds


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(with_faults: dict[str, tuple[int, str]], fault: str) -> None:
    """The failing test says which step, and which value."""
    code, said = with_faults[fault]

    assert code == 1, said
    assert FAULTS[fault][2] in said


def test_what_runs_disagree_on_is_not_held_against_a_package(tmp_path: Path) -> None:
    """A clock says nothing, nor what else is installed; what stands beside it is compared, the rest is named."""
    cell = (
        "import time\nfrom importlib import metadata\nat = time.time_ns()\nseconds = time.time()\n"
        "beside = sorted({each.name for each in metadata.distributions()})\n"
        "fixed = [1, 2]\nlater = (n for n in fixed)"
    )
    made = made_of(tmp_path, ("# Tell", cell))

    [(code, said)] = outcomes(made.folder)

    assert code == 0, said
    missing = {place.rpartition(".")[2].partition("[")[0] for place in made.coverage.missing}
    assert {"at", "seconds", "beside"} <= missing
    assert "fixed" not in missing
    assert "it can be gone through only once" in " ".join(made.coverage.missing.values())
    assert "skipped" in said
    steps = made.folder / "src" / NAME / "steps.py"
    steps.write_text(steps.read_text().replace("[1, 2]", "[1, 3]"))
    assert outcomes(made.folder)[0][0] == 1


def test_what_the_notebook_does_not_reproduce_is_not_tested(tmp_path: Path) -> None:
    """Memory that nobody has filled: two runs of the package may find the same in it, those of the notebook did not."""
    cell = "import numpy as np\nleft = np.empty((2, 3))\nfull = np.zeros(2)\nleft"
    made = made_of(tmp_path, ("# Tell", cell))

    recorded = json.loads((made.folder / "tests" / "recorded" / "steps.json").read_text())

    loose = {at: bound for places in recorded["loose"].values() for at, bound in places.items()}
    assert loose["tell.keeps.left"] is loose["results.left"] is None
    assert any(at.startswith("tell.shows.") and bound is None for at, bound in loose.items())
    assert not any("full" in at for at in loose)
    assert outcomes(made.folder)[0][0] == 0


PARAMETERS = (
    "from datetime import date\nfrom pathlib import Path\nfrom typing import Annotated, Literal\n"
    "from annotated_types import Ge, Lt\n"
    "rows: Annotated[int, Ge(1), Lt(9)] = 2\nshare: Annotated[float, Ge(0)] = 0.5\n"
    "kind: Literal['fast', 'slow'] = 'fast'\nday: date = date(2020, 1, 31)\nplace: Path = Path('out')\n"
    "is_loud: bool = False\nweights: list[float] = [1.0, 2.0]\nlimit: int | None = None",
    ["parameters"],
)
WITH_PARAMETERS = (
    PARAMETERS,
    "# Use them",
    "used = [rows, share, kind, str(day), place.name, is_loud, weights, limit]",
)
LOOSER = {
    "a lower bound": ('"ge": 1', '"ge": 0'),
    "an upper bound": ('"lt": 9', '"lt": 10'),
    "another choice": ('("fast", "slow")', '("fast", "slow", "no such value")'),
    "another type": ('Type("bool")', 'Type("int")'),
}


@pytest.fixture(scope="module")
def with_parameters(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_of(tmp_path_factory.mktemp("parameters"), WITH_PARAMETERS)


def test_a_contract_is_tested_at_its_bounds(with_parameters: Made) -> None:
    """For each parameter there are values that fit and, where its type refuses any, values that do not."""
    asked = json.loads((with_parameters.folder / "tests/recorded/command_line.json").read_text())

    [(code, said)] = outcomes(with_parameters.folder)

    assert code == 0, said
    assert {"1", "2", "8"} <= asked["taken"]["rows"].keys()
    assert {"0", "9", "0.5", "null", "true"} <= set(asked["refused"]["rows"])
    assert asked["taken"]["day"] == {"2020-01-31": "2020-01-31", "2020-02-29": "2020-02-29"}
    assert asked["taken"]["limit"] == {"7": 7, "-7": -7, "null": None}
    assert asked["refused"]["place"] == [""]


def test_a_looser_contract_is_found(with_parameters: Made, tmp_path: Path) -> None:
    """A bound, a choice or a type that is not the notebook's fails a test."""
    packages = []
    for fault, (before, after) in LOOSER.items():
        package = tmp_path / fault.replace(" ", "-") / NAME
        shutil.copytree(with_parameters.folder, package, ignore=shutil.ignore_patterns("said.txt", "__pycache__"))
        contract = package / "src" / NAME / "_contract.py"
        assert before in contract.read_text()
        contract.write_text(contract.read_text().replace(before, after))
        packages.append(package)

    found = outcomes(*packages)

    assert [code for code, _ in found] == [1] * len(LOOSER), found


def test_where_somebody_stands_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who exports from within the notebook's own folder, where its modules lie, gets the same tests."""
    notebook = write_project(tmp_path / "project")
    monkeypatch.chdir(notebook.parent)

    package = exported(notebook)

    recorded = json.loads((package / "tests/recorded/steps.json").read_text())
    assert len(recorded["steps"]) == 3
    assert {
        step for step in recorded["steps"] if (package / f"tests/recorded/{step.replace(':', '.')}.json").exists()
    } == set(recorded["steps"])
