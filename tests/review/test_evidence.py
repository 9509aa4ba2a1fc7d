"""What a pipeline made is held against what was asked for; what is missing or old is not evaluated and never passes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from reviewed import write_notebook

from nbproof.cli.main import carry_out
from nbproof.notebook.document import read
from nbproof.review.checks import evidence
from nbproof.review.checks.findings import Finding, Inspected, NotEvaluated
from nbproof.review.checks.static import static_outcomes
from nbproof.run.freshness import Verdict
from nbproof.settings import Settings

SETTINGS = Settings(experiment="x")
Look = Callable[[Inspected], Any]


def threshold(name: str, limit: float, *, by: str = "", direction: str = "at_least") -> dict[str, Any]:
    return {
        "name": name,
        "metric": name,
        "slice": f"test{by}",
        "direction": direction,
        "limit": limit,
        "phase": "train",
    }


ASKED = [threshold("auc", 0.8), threshold("brier", 0.1, direction="at_most"), threshold("impact", 0.8, by=" by sex")]
MEASURED = [
    {**ASKED[0], "value": 0.85, "low": 0.83, "high": 0.87, "verdict": "met"},
    {**ASKED[1], "value": 0.07, "low": 0.06, "high": 0.08, "verdict": "met"},
    {**ASKED[2], "value": 0.93, "low": 0.91, "high": 0.95, "verdict": "met"},
]
AUDIT = [{"name": "completeness", "verdict": "pass"}, {"name": "deletion", "verdict": "not evaluated"}]
PIPELINE = """tasks:
- source: scope.ipynb
  product: {nb: build/scope.ipynb, requirements: build/requirements.yaml, pip: build/pip.txt}
- source: train.ipynb
  product:
    nb: build/train.ipynb
    metrics: build/metrics.json
    explanation: build/explanation.json
    data_catalog: build/data_catalog.json
    schema: build/schema.yaml
    panel: build/panel.csv
"""
SCHEMA = """schema_type: dataframe
columns:
  age: {dtype: int64, nullable: false, checks: {in_range: {min_value: 18, max_value: 99}}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two notebooks of a pipeline, and all that they would have made."""
    write_notebook(tmp_path / "scope.ipynb", [("p", ["parameters"], "upstream = None\nproduct = None"), ("a", [], "1")])
    reads = "from pathlib import Path\nupstream = ['scope']\nproduct = None\nraw: Path = Path('raw.csv')"
    write_notebook(tmp_path / "train.ipynb", [("p", ["parameters"], reads), ("a", [], "1")])
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "raw.csv").write_text("age\n40\n")
    (tmp_path / "build").mkdir()
    source = {"file": "raw.csv", "sha256": hashlib.sha256(b"age\n40\n").hexdigest()}
    for name, content in (
        ("metrics.json", {"thresholds": MEASURED}),
        ("explanation.json", {"audit": AUDIT}),
        ("data_catalog.json", {"sources": [source]}),
    ):
        (tmp_path / "build" / name).write_text(json.dumps(content))
    (tmp_path / "build/requirements.yaml").write_text(yaml.safe_dump({"thresholds": ASKED}))
    (tmp_path / "build/schema.yaml").write_text(SCHEMA)
    (tmp_path / "build/panel.csv").write_text("age\n40\n")
    return tmp_path


def inspected(project: Path, notebook: str = "train.ipynb", *, is_fresh: bool = True) -> Inspected:
    """The notebook, with every product of its pipeline fresh; that is judged elsewhere, and tested below."""
    found = Inspected(read(project / notebook), project, SETTINGS)
    if is_fresh:
        found.kept["plan"] = {name: Verdict(name, "fresh", ()) for name in ("scope", "train")}
    return found


def messages(look: Look, found: Inspected) -> list[str]:
    findings: list[Finding] = list(look(found))
    return [finding.message for finding in findings]


def rewrite(project: Path, name: str, content: Mapping[str, Any]) -> None:
    (project / "build" / name).write_text(json.dumps(content))


def with_measured(project: Path, number: int, **changed: Any) -> None:
    told = [{**one, **changed} if place == number else one for place, one in enumerate(MEASURED)]
    rewrite(project, "metrics.json", {"thresholds": told})


LOOKS = {
    "metrics": evidence.metrics,
    "fairness": evidence.fairness,
    "explanation": evidence.explanation,
    "fingerprints": evidence.fingerprints,
}


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_as_it_was_asked_for_passes(project: Path, look: str) -> None:
    """Limits kept, no failed line, hashes as recorded."""
    assert messages(LOOKS[look], inspected(project)) == []


@pytest.mark.parametrize(
    ("number", "changed", "look", "message"),
    [
        (0, {"value": 0.79, "low": 0.77, "high": 0.795}, "metrics", "`auc` is 0.79 (0.77 to 0.795); it MUST 0.8"),
        (1, {"value": 0.12, "low": 0.11, "high": 0.13}, "metrics",
         "`brier` is 0.12 (0.11 to 0.13); it must be at most 0.1"),
        (2, {"value": 0.7, "low": 0.6, "high": 0.75}, "fairness", "`impact` is 0.7 (0.6 to 0.75); it MUST 0.8"),
        (0, {"low": None}, "metrics", "`auc` is 0.85 (nan to 0.87); it MUST 0.8: NONE"),
        (0, {"low": 0.86}, "metrics", "`auc` is 0.85 (0.86 to 0.87); it MUST 0.8: NONE"),
        (0, {"value": float("nan")}, "metrics", "`auc` is nan (0.83 to 0.87); it MUST 0.8: NONE"),
        (0, {"limit": 0.5}, "metrics", "`auc` was held to another limit than 0.8"),
        (0, {"direction": "at_most"}, "metrics", "`auc` was held to another limit than 0.8"),
        (0, {"name": "other"}, "metrics", "`auc` was not measured"),
        (0, {"value": 0.79, "low": 0.7, "verdict": "undecided"}, "metrics",
         "`auc` is 0.79 (0.7 to 0.87); it MUST 0.8; nobody can tell from so few rows"),
        (0, {"verdict": "failed"}, "metrics",
         "`auc` is 0.85 (0.83 to 0.87); it MUST 0.8, and its own verdict is `failed`"),
    ],
)  # fmt: skip
def test_a_limit_that_is_not_kept_is_named(
    project: Path, number: int, changed: dict[str, Any], look: str, message: str
) -> None:
    """The number counts and not the verdict beside it; a limit that was changed on the way is found, too."""
    with_measured(project, number, **changed)

    told = message.replace("MUST", "must be at least").replace("NONE", "no estimate with an interval around it")
    assert messages(LOOKS[look], inspected(project)) == [told]


def test_a_failed_line_of_the_audit_is_named(project: Path) -> None:
    """Warnings may be lived with; what failed, and verdicts that nobody knows, may not."""
    lines = [*AUDIT, {"name": "stability", "verdict": "warn"},
             {"name": "deletion", "verdict": "fail", "sentence": "no"}, {"name": "x", "verdict": "fine"}]  # fmt: skip
    rewrite(project, "explanation.json", {"audit": lines})

    assert messages(evidence.explanation, inspected(project)) == ["deletion: fail: no", "x: fine: "]


def test_data_that_is_another_one_is_named(project: Path) -> None:
    """Recorded hashes are compared with the files of now; what is read must be recorded."""
    (project / "raw.csv").write_text("age\n41\n")
    assert [message.partition(" (")[0] for message in messages(evidence.fingerprints, inspected(project))] == [
        "raw.csv: it is another one than was recorded"
    ]
    rewrite(project, "data_catalog.json", {"sources": [{"file": "other.csv", "sha256": "0"}]})
    assert messages(evidence.fingerprints, inspected(project)) == [
        "other.csv: it is gone", "raw.csv: it is read, and not in the catalogue",
    ]  # fmt: skip


def test_data_that_dvc_knows_otherwise_is_named(project: Path) -> None:
    """The commit's `.dvc` file tells another content than the one that was read."""
    pointer = "outs:\n- md5: {}\n  path: raw.csv\n"
    (project / "raw.csv.dvc").write_text(pointer.format(hashlib.md5(b"age\n40\n").hexdigest()))
    assert messages(evidence.fingerprints, inspected(project)) == []

    (project / "raw.csv.dvc").write_text(pointer.format("0" * 32))

    assert messages(evidence.fingerprints, inspected(project)) == [
        "raw.csv: it is not what `raw.csv.dvc` says, so no commit names it (dvc add)"
    ]


def test_data_that_breaks_its_schema_is_named(project: Path) -> None:
    """Column, rule and how often."""
    pytest.importorskip("pandera")
    assert messages(evidence.validation, inspected(project)) == []
    (project / "build/panel.csv").write_text("age\n40\n17\n120\n")

    assert messages(evidence.validation, inspected(project)) == ["panel.csv: age: in_range(18, 99): 2 times"]


@pytest.mark.parametrize(
    ("name", "content", "look"),
    [
        ("metrics.json", None, evidence.metrics),
        ("explanation.json", {"audit": []}, evidence.explanation),
        ("explanation.json", {"audit": [{"name": "a", "verdict": "not evaluated"}]}, evidence.explanation),
        ("explanation.json", [], evidence.explanation),
        ("data_catalog.json", {}, evidence.fingerprints),
        ("schema.yaml", {"columns": 3}, evidence.validation),
        ("requirements.yaml", {"thresholds": []}, evidence.metrics),
        ("requirements.yaml", {"thresholds": ASKED[:2]}, evidence.fairness),
    ],
)
def test_what_says_nothing_is_not_evaluated(project: Path, name: str, content: Any, look: Look) -> None:
    """A product that is missing, empty or of another shape is a reason, and no pass."""
    if content is None:
        (project / "build" / name).unlink()
    else:
        rewrite(project, name, content)

    with pytest.raises(NotEvaluated):
        list(look(inspected(project)))


def test_no_product_is_no_pass(project: Path) -> None:
    """A step before the training has none of it, and a pipeline that was never run has nothing of now."""
    codes = ("NBP013", "NBP014", "NBP015", "NBP016", "NBP017")
    before = {held.check.code: held for held in static_outcomes(project / "scope.ipynb", project, SETTINGS)}
    never = {held.check.code: held for held in static_outcomes(project / "train.ipynb", project, SETTINGS)}

    assert {before[code].verdict for code in codes} == {"not evaluated"}
    assert before["NBP015"].reason == "no step up to this one makes `metrics`"
    assert {never[code].verdict for code in codes} == {"not evaluated"}
    assert "is not of now: it has not run yet" in never["NBP015"].reason


@pytest.mark.slow
def test_a_product_counts_while_it_is_fresh(tmp_path: Path) -> None:
    """After a run it is judged; after a change of the product, of the code or of the data it is not."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (tmp_path / "pipeline.yaml").write_text(
        "tasks:\n- {source: train.ipynb, product: {nb: build/n.ipynb, explanation: build/e.json}}\n"
    )
    write = f"from pathlib import Path\nPath(product['explanation']).write_text({json.dumps({'audit': AUDIT})!r})"
    cells = [("p", ["parameters"], "upstream = None\nproduct = None"), ("a", [], write)]
    notebook = write_notebook(tmp_path / "train.ipynb", cells)
    assert carry_out(["run", str(tmp_path)]) == 0

    def verdict() -> tuple[str, str]:
        found = {held.check.code: held for held in static_outcomes(notebook, tmp_path, SETTINGS)}["NBP016"]
        return found.verdict, found.reason

    assert verdict() == ("passed", "")
    made = (tmp_path / "build/e.json").read_text()
    (tmp_path / "build/e.json").write_text(made.replace("pass", "warn"))
    assert verdict() == (
        "not evaluated", "`explanation` of train is not of now: product `explanation` was changed since it was made",
    )  # fmt: skip
    (tmp_path / "build/e.json").write_text(made)
    write_notebook(notebook, [cells[0], ("a", [], write + "\nx = 1")])
    assert verdict()[0] == "not evaluated"
