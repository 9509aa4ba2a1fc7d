"""The checks that read: what each finds, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from reviewed import PARAMETERS, printed, write_notebook

from nbproof.review.checks.catalogue import ALL
from nbproof.review.checks.detecting import detected
from nbproof.review.checks.findings import Outcome
from nbproof.review.checks.static import static_outcomes
from nbproof.settings import Settings

SETTINGS = Settings(experiment="x")
CODE = ("a", [], "print(rows)")
# In parts, since no file of ours names a folder of somebody's machine.
HOME = "/ho" + "me/ana"
MAC = "/Us" + "ers/ana"
# Spelled in parts, so that no scanner takes this file for a leak.
AWS = "AKIA" + "Z7WQ3MPLXV2KD9TB"
TOKEN = "ghp_" + "a8Zk3LqW9xT2vB7nM4cR6yH1jD5fG0sPqXwE"
PEM = "-----BEGIN RSA " + "PRIVATE KEY-----"


def looked(
    folder: Path, *sources: str, outputs: dict[str, tuple[int, Any]] | None = None, settings: Settings = SETTINGS
) -> dict[str, Outcome]:
    """Every static check of a notebook with these cells below its parameters."""
    cells = [PARAMETERS, *((f"c{number}", [], source) for number, source in enumerate(sources))]
    notebook = write_notebook(folder / "n.ipynb", cells, outputs)
    return {found.check.code: found for found in static_outcomes(notebook, folder, settings)}


def places(found: Outcome) -> list[tuple[str | None, int | None]]:
    return [(finding.cell, finding.line) for finding in found.findings]


def test_codes_are_kept() -> None:
    """A code, once given, is of the same check for ever; each has a sentence and a hint."""
    assert {check.code: check.name for check in ALL} == {
        "NBP001": "contract", "NBP002": "syntax", "NBP003": "hidden-state", "NBP004": "absolute-path",
        "NBP005": "install", "NBP006": "secret", "NBP007": "lint", "NBP008": "owed", "NBP009": "undefined-name",
        "NBP010": "lock", "NBP011": "safety", "NBP012": "advisories", "NBP013": "fingerprints",
        "NBP014": "validation", "NBP015": "requirements", "NBP016": "explanation", "NBP017": "fairness",
        "NBP101": "rerun", "NBP102": "outputs", "NBP103": "determinism", "NBP104": "metrics",
    }  # fmt: skip
    assert all(check.sentence and check.hint for check in ALL)


def test_a_plain_notebook_passes(tmp_path: Path) -> None:
    """Nothing is found where nothing is wrong; what was not looked at says so."""
    found = looked(tmp_path, "total = rows * 2", "print(total, limit)")

    by_tools, of_pipelines = {"NBP007", "NBP011"}, {"NBP012", "NBP013", "NBP014", "NBP015", "NBP016", "NBP017"}
    assert {found[code].verdict for code in of_pipelines} == {"not evaluated"}
    assert {code: held.verdict for code, held in found.items() if code not in by_tools | of_pipelines} == {
        "NBP001": "passed", "NBP002": "passed", "NBP003": "passed", "NBP004": "passed", "NBP005": "passed",
        "NBP006": "passed", "NBP008": "not evaluated", "NBP009": "passed", "NBP010": "failed",
    }  # fmt: skip
    assert found["NBP010"].severity == "note"


def test_the_contract_must_be_complete(tmp_path: Path) -> None:
    """A parameter without a default is named with its line; so is a missing cell."""
    open_ended = write_notebook(tmp_path / "a.ipynb", [("p", ["parameters"], "rows: int = 1\nlimit: float"), CODE])
    none = write_notebook(tmp_path / "b.ipynb", [("p", [], "rows = 1")])

    first, second = (static_outcomes(notebook, tmp_path, SETTINGS)[0] for notebook in (open_ended, none))

    assert (first.findings[0].message, *places(first)) == ("`limit` has no default", ("p", 2))
    assert "no cell tagged `parameters`" in second.findings[0].message


def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The line is that of the cell; what needs the whole source is not evaluated."""
    found = looked(tmp_path, "x = 1", "y = 2\nz = (")

    assert places(found["NBP002"])[0][0] == "c1"
    assert (found["NBP009"].verdict, found["NBP009"].reason) == ("not evaluated", "cell 3 cannot be read")


@pytest.mark.parametrize(
    ("counts", "cells"),
    [
        ((1, 2, 3), []),
        ((None, None, None), []),
        ((1, 3, 4), ["c0"]),
        ((3, 2, 1), ["p", "c0", "c1"]),
        ((1, None, 2), ["c0"]),
        ((12, 13, 14), ["p"]),
    ],
)
def test_counts_tell_the_order_of_execution(tmp_path: Path, counts: Sequence[int | None], cells: list[str]) -> None:
    """Only 1 to n from top to bottom is one run; no counts at all are none."""
    names = ("p", "c0", "c1")
    ran = {name: (count, printed("x") if count else []) for name, count in zip(names, counts, strict=True)}

    found = looked(tmp_path, "a = 1", "b = 2", outputs=ran)["NBP003"]  # type: ignore[arg-type]

    assert [cell for cell, _ in places(found)] == cells


def test_an_output_of_nothing_is_hidden_state(tmp_path: Path) -> None:
    """An output whose cell says that it was never run came from somewhere else."""
    found = looked(tmp_path, "a = 1", outputs={"c0": (None, printed("x"))})["NBP003"]  # type: ignore[dict-item]

    assert [finding.message for finding in found.findings][-1] == "has an output and was not run"


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        (f"open('{HOME}/data.csv')", True),
        ("x = 1\nfrom pathlib import Path\nPath('/mnt/share/a.parquet')", True),
        ("open('C:\\\\Users\\\\ana\\\\a.csv')", True),
        ("open('~/data.csv')", True),
        (f"open(f'{MAC}/{{rows}}.csv')", True),
        ("open('data/a.csv')", False),
        ("x = '/api/v1/items'", False),
        ("x = 'a/b'; y = 'https://example.com/home/x'", False),
        (f"'''Reads {HOME}/data.csv no more.'''", False),
        (f"# {HOME}/data.csv\nx = 1", False),
        ("import re\nre.sub('/', '-', 'a/b')", False),
    ],
)
def test_absolute_paths(tmp_path: Path, source: str, is_found: bool) -> None:
    """Folders of one machine are found in strings, and nowhere else."""
    assert (looked(tmp_path, source)["NBP004"].verdict == "failed") == is_found


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("!pip install shap", True),
        ("%pip install shap", True),
        ("x = 1\n!{sys.executable} -m pip install -q shap", True),
        ("%conda install -c conda-forge shap", True),
        ("!apt-get -y install graphviz", True),
        ("%%bash\ncd x\npip install .", True),
        ("import subprocess\nsubprocess.run(['pip', 'install', 'shap'])", True),
        ("import os\nos.system('pip install shap')", True),
        ("print('to use it: pip install shap')", False),
        ("# pip install shap", False),
        ("!pip list", False),
        ("!ls", False),
    ],
)
def test_installs(tmp_path: Path, source: str, is_found: bool) -> None:
    """What installs is found, what only speaks of it is not."""
    assert (looked(tmp_path, source)["NBP005"].verdict == "failed") == is_found


@pytest.mark.parametrize(
    "source",
    [
        f"key = '{AWS}'", f"headers = {{'Authorization': 'Bearer {TOKEN}'}}", f"pem = '''{PEM}\nabc'''",
        "password = 'hunter2-Xy9!'", "url = 'postgres://ana:" + "s3cr3tPass" + "@db/x'",
        "api_key = '" + "9fQ2kLmZx7Vb3RtY" + "'",
    ],
)  # fmt: skip
def test_secrets_in_source(tmp_path: Path, source: str) -> None:
    """Keys, tokens and passwords are found with their line, and never shown again."""
    found = looked(tmp_path, f"x = 1\n{source}")["NBP006"]

    assert places(found)[0] == ("c0", 2)
    assert not any(part in str(found) for part in (AWS, TOKEN, "hunter2", "s3cr3tPass", "9fQ2kLmZx7Vb3RtY"))


def test_secrets_in_outputs(tmp_path: Path) -> None:
    """What a cell printed is looked at, too, in every kind of text."""
    html = [{"output_type": "display_data", "metadata": {}, "data": {"text/html": f"<td>{TOKEN}</td>"}}]
    found = looked(tmp_path, "a", "b", outputs={"c0": (2, printed(f"key {AWS}\n")), "c1": (3, html)})["NBP006"]

    assert [(one.cell, one.message.split(" holds")[0]) for one in found.findings] == [
        ("c0", "its output"),
        ("c1", "its output"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        'token: Secret = "env:TOKEN"', "password = os.environ['PASSWORD']", "password = getpass()", "api_key = ''",
        "password = '<your password>'", "token = '{{ token }}'", "secret = None", "key = 'customer_id'",
        "digest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
        "id = '123e4567-e89b-12d3-a456-426614174000'", "columns = ['passenger_count', 'token_type']",
        "url = 'https://example.com/path/to/some/File2.csv'",
    ],
)  # fmt: skip
def test_what_is_no_secret(source: str) -> None:
    """References, placeholders, hashes, ids and names of columns are none."""
    assert list(detected(source, is_source=True, harmless={"env:TOKEN"})) == []


@pytest.mark.parametrize(
    ("sources", "cells"),
    [
        (("x = missing",), ["c0"]),
        (("x = later", "later = 1"), ["c0"]),
        (("def f():\n    return later", "later = 1\nf()"), []),
        (("for i in range(3):\n    j = i", "print(i, j)"), []),
        (("import numpy as np, os.path", "np.zeros(1), os"), []),
        (("with open('x') as file:\n    text = file.read()", "text"), []),
        (("[y for y in range(2)]", "y"), ["c1"]),
        (("frame = {}", "frame.query('a > b')"), []),
        (("try:\n    import x\nexcept ImportError as error:\n    x = error", "x"), []),
        (("display(rows)", "print(__name__)"), []),
        (("class A:\n    b = 1\n    def c(self):\n        return self.b + A.b", "A().c()"), []),
        (("if (n := rows) > 1:\n    m = n", "n + m"), []),
    ],
)
def test_names_that_nothing_binds(tmp_path: Path, sources: Sequence[str], cells: list[str]) -> None:
    """A name that no cell above binds is what a kernel alone still knew."""
    assert [cell for cell, _ in places(looked(tmp_path, *sources)["NBP009"])] == cells


def test_names_that_cannot_be_seen_are_not_judged(tmp_path: Path) -> None:
    """After a star import nobody can tell, and nothing is said to have passed."""
    found = looked(tmp_path, "from math import *\nsin(1)")["NBP009"]

    assert found.verdict == "not evaluated"


def test_the_linter_speaks_for_itself(tmp_path: Path) -> None:
    """Ruff's findings come with their cell and line; without ruff nothing has passed."""
    if subprocess.run([sys.executable, "-m", "ruff", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("ruff is not installed")
    found = looked(tmp_path, "x = 1", "y = 2\nimport os")["NBP007"]

    assert (found.verdict, found.severity) == ("failed", "warning")
    assert ("c1", 2) in places(found)


def test_a_missing_linter_has_not_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that is not there is a reason and no verdict."""
    monkeypatch.setattr("nbproof.review.checks.stored._ruff", lambda: None)

    found = looked(tmp_path, "x = 1")["NBP007"]

    assert (found.verdict, found.reason) == ("not evaluated", "ruff is not installed")


def test_a_project_decides_how_much_a_check_weighs(tmp_path: Path) -> None:
    """Severity is a setting; what is off is not made."""
    settings = Settings(experiment="x", review_severity={"NBP005": "warning", "NBP010": "off"})

    found = looked(tmp_path, "!pip install x", settings=settings)

    assert (found["NBP005"].verdict, found["NBP005"].severity) == ("failed", "warning")
    assert "NBP010" not in found


def test_words_that_are_owed_are_counted(tmp_path: Path) -> None:
    """A card among the products that shows what a person owes is found."""
    declared = ("p", ["parameters"], "upstream = None\nproduct = None\nrows: int = 1")
    notebook = write_notebook(tmp_path / "card.ipynb", [declared, ("a", [], "1")])
    (tmp_path / "pipeline.yaml").write_text(
        "tasks:\n- source: card.ipynb\n  product: {nb: build/card.ipynb, card: build/model_card.html}\n"
    )
    (tmp_path / "build").mkdir()
    (tmp_path / "build/model_card.html").write_text('<p class="owed">a</p><p class="owed">b</p>')

    found = {held.check.code: held for held in static_outcomes(notebook, tmp_path, SETTINGS)}["NBP008"]

    assert [finding.message for finding in found.findings] == ["model_card.html: 2 fields are owed by a person"]


@pytest.mark.slow
def test_our_own_notebooks_pass() -> None:
    """The reference engagement has nothing that weighs as an error."""
    root = Path(__file__).parents[2]
    failed = [
        (notebook.name, held.check.code, held.findings[0])
        for notebook in sorted((root / "notebooks").glob("*.ipynb"))
        for held in static_outcomes(notebook, root, SETTINGS)
        if held.verdict == "failed" and held.severity == "error"
    ]

    assert failed == []


def test_outcomes_are_json(tmp_path: Path) -> None:
    """Whatever is found can be told to machines."""
    from nbproof.review.checks.findings import Report

    report = Report("n.ipynb", tuple(looked(tmp_path, "!pip install x").values()))

    assert json.loads(json.dumps(report.to_json()))["passes"] is False


def test_the_guide_names_every_check() -> None:
    """Each code stands in the guide with its sentence and its weight."""
    guide = (Path(__file__).parents[2] / "docs/guides/reviewing.md").read_text()

    for check in ALL:
        assert f"| `{check.code}` | {check.sentence} | {check.severity} |" in guide
