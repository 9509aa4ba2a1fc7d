"""What the code and its packages might do: bandit over cells, and advisories that lie on this machine."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from reviewed import PARAMETERS, write_notebook

from nbproof.review.checks.findings import Outcome
from nbproof.review.checks.static import static_outcomes
from nbproof.settings import Settings


def looked(folder: Path, *sources: str, **settings: Any) -> dict[str, Outcome]:
    cells = [PARAMETERS, *((f"c{number}", [], source) for number, source in enumerate(sources))]
    notebook = write_notebook(folder / "n.ipynb", cells)
    chosen = Settings(experiment="x", **settings)
    return {held.check.code: held for held in static_outcomes(notebook, folder, chosen)}


def test_dangerous_code_is_found_at_its_line(tmp_path: Path) -> None:
    """Cells are scanned one by one, magics passed over; what is marked as meant is left alone."""
    pytest.importorskip("bandit")
    found = looked(
        tmp_path, "%matplotlib inline\nimport pickle\nx = 1\nmodel = pickle.load(open('m', 'rb'))", "assert x",
        "import subprocess\nsubprocess.run(x, shell=True)", "eval(x)  # nosec: x is ours", "!ls | wc",
    )["NBP011"]  # fmt: skip

    assert [(one.cell, one.line, one.message[:4]) for one in found.findings] == [("c0", 4, "B301"), ("c2", 2, "B602")]
    assert (found.verdict, found.severity) == ("failed", "warning")


def test_harmless_code_passes(tmp_path: Path) -> None:
    """Nothing found is a pass, and a cell that nobody can read is none."""
    pytest.importorskip("bandit")

    assert looked(tmp_path, "x = sum(range(rows))")["NBP011"].verdict == "passed"
    assert looked(tmp_path, "x = (")["NBP011"].verdict == "not evaluated"


def test_a_lock_locks_each_package(tmp_path: Path) -> None:
    """A line without `==` leaves the version open; options, hashes and comments are none."""
    (tmp_path / "lock.txt").write_text(
        "# c\n--index-url https://x\nnumpy==2.0.0 \\\n    --hash=sha256:00\n"
        "pandas>=2\nscipy\nx[a]==1 ; python_version>'3'\n"
    )

    found = looked(tmp_path, "1", review_lock="lock.txt")["NBP010"]

    assert [one.message for one in found.findings] == [
        "`lock.txt`: `pandas>=2` leaves the version open", "`lock.txt`: `scipy` leaves the version open",
    ]  # fmt: skip


def advisory(name: str, events: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": f"PYSEC-{name}", "summary": "it bites", "affected": [{**affected, **more}]}


def events(**said: str) -> list[dict[str, str]]:
    return [{kind: value} for kind, value in said.items()]


@pytest.mark.parametrize(
    ("found", "is_affected"),
    [
        (advisory("jinja2", events(introduced="0", fixed="3.1.4")), True),
        (advisory("Jinja2", events(introduced="0", fixed="3.1.3")), False),
        (advisory("jinja2", events(introduced="3.1.4")), False),
        (advisory("jinja2", events(introduced="2.0", last_affected="3.1.3")), True),
        (advisory("jinja2", events(introduced="2.0", last_affected="3.1.2")), False),
        (advisory("jinja2", [], versions=["3.1.3"]), True),
        (advisory("jinja2", [], versions=["3.1.2"]), False),
        (advisory("flask", events(introduced="0")), False),
        ({**advisory("jinja2", events(introduced="0")), "withdrawn": "2025-01-01T00:00:00Z"}, False),
        ({**advisory("jinja2", events(introduced="0")), "affected": [{"package": {"ecosystem": "npm", "name": "jinja2"},
          "versions": ["3.1.3"]}]}, False),
    ],
)  # fmt: skip
def test_known_vulnerabilities_are_found(tmp_path: Path, found: dict[str, Any], is_affected: bool) -> None:
    """Ranges and lists of versions, of this ecosystem, not withdrawn; the name is the same however it is written."""
    (tmp_path / "lock.txt").write_text("Jinja2==3.1.3\n")
    with zipfile.ZipFile(tmp_path / "osv.zip", "w") as archive:
        archive.writestr("a.json", json.dumps(found))
        archive.writestr("b.json", json.dumps(advisory("unheard", events(introduced="0"))))

    held = looked(tmp_path, "1", review_lock="lock.txt", review_advisories="osv.zip")["NBP012"]

    assert (held.verdict == "failed") == is_affected
    if is_affected:
        assert held.findings[0].message.startswith("jinja2 3.1.3: PYSEC-")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "no database of advisories is named"),
        ({"review_advisories": "osv"}, "no lock says which packages are meant"),
        ({"review_advisories": "none", "review_lock": "lock.txt"}, "`none` is not there"),
        ({"review_advisories": "osv", "review_lock": "lock.txt"}, "holds no advisory"),
        ({"review_advisories": "lock.txt", "review_lock": "lock.txt"}, "neither a folder nor a ZIP"),
    ],
)
def test_without_a_database_nothing_has_passed(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    """Nothing is asked of any server; what was not looked up is not evaluated."""
    (tmp_path / "lock.txt").write_text("Jinja2==3.1.3\n")
    (tmp_path / "osv").mkdir()

    found = looked(tmp_path, "1", **settings)["NBP012"]

    assert (found.verdict, reason in found.reason) == ("not evaluated", True)
