"""`nbproof review`: every command, its exit codes, and what it writes for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from reviewed import CELLS, PARAMETERS, key, printed, write_key, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.review.checking import check, keep, kept
from nbproof.review.checks.catalogue import ALL
from nbproof.settings import Settings, load

Run = tuple[int, str, str]
# The owner's key, beside the project in whose folder the caller stands.
BELA_KEY = "../bela"


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose reviewer is Ana; the caller stands in its folder."""
    found = write_project(tmp_path / "project")
    write_key(tmp_path / "ana", 1)
    write_key(tmp_path / "bela", 50)
    monkeypatch.chdir(tmp_path / "project")
    return found


@pytest.fixture
def review(capsys: pytest.CaptureFixture[str]) -> Any:
    def carry(*words: object) -> Run:
        code = carry_out(["review", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return carry


def test_from_nothing_to_an_approval_and_its_end(notebook: Path, review: Any, tmp_path: Path) -> None:
    """The whole way by commands, each with its exit code."""
    code, out, err = review("verify", notebook)
    assert (code, "never asked" in out, "nbproof review request" in err) == (3, True, True)

    assert review("request", notebook, "--key", BELA_KEY)[0] == 0
    assert review("verify", notebook)[0] == 3
    code, out, _ = review("approve", notebook, "--key", tmp_path / "ana", "--condition", "watch it@2999-01-31")
    assert (code, out.splitlines()[0].startswith("approved-with-conditions by Ana: notebooks/score.ipynb")) == (0, True)
    code, out, _ = review("verify", notebook)
    assert (code, out.splitlines()[0]) == (
        0, "notebooks/score.ipynb: approved with conditions: approved by Ana, if: watch it",
    )  # fmt: skip

    write_notebook(notebook, [*CELLS[:1], ("a", [], "value = sum(range(rows))\nprint(-value)"), CELLS[2]])
    code, _, err = review("verify", notebook)
    assert (code, "the notebook notebooks/score.ipynb changed" in err) == (3, True)
    code, out, _ = review("diff", notebook)
    assert (code, out.splitlines()[1:]) == (
        0, ["cell 2 (code) changed", "      value = sum(range(rows))", "    - print(value)", "    + print(-value)"],
    )  # fmt: skip
    code, out, _ = review("log", "--json")
    assert [(entry["kind"], entry["by"]) for entry in json.loads(out)["entries"]] == [
        ("requested", "Bela"), ("approved-with-conditions", "Ana"),
    ]  # fmt: skip


def test_a_rejection_by_command(notebook: Path, review: Any, tmp_path: Path) -> None:
    """To say no is signed in the same way."""
    review("request", notebook, "--key", BELA_KEY)

    assert review("reject", notebook, "--key", tmp_path / "ana", "--comment", "it leaks", "--json")[0] == 0
    assert "rejected: Ana rejected it: it leaks" in review("verify", notebook)[1]


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["approve"], 2, "ssh-keygen"),
        (["approve", "--key", "../ana"], 3, "nbproof review request"),
        (["approve", "--key", "../none"], 2, "ssh-keygen"),
        (["approve", "--key", "../ana", "--condition", "x@soon"], 2, ""),
        (["reject", "--key", "../ana", "--bound", "0"], 3, "nbproof review request"),
        (["request"], 2, "--key"),
        (["request", "--by", "Bela"], 3, "--key"),
        (["request", "--key", "../ana", "--by", "Bela"], 3, "allowed_signers"),
        (["request", "--key", BELA_KEY, "--report", "../x"], 2, ""),
        (["diff"], 2, "nbproof review log"),
    ],
)
def test_what_cannot_be_done_says_so(notebook: Path, review: Any, words: list[str], code: int, hint: str) -> None:
    """Asked wrongly is 2, refused is 3; each with what to type next."""
    found, out, err = review(words[0], notebook, *words[1:])

    assert (found, out) == (code, "")
    assert hint in err


def test_a_broken_ledger_is_told_by_every_command(notebook: Path, review: Any) -> None:
    """The first broken line is named, with how to compare."""
    review("request", notebook, "--key", BELA_KEY)
    ledger = notebook.parents[1] / "approvals/ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("Bela", "Ana"))

    for command in (["log"], ["verify", notebook], ["request", notebook, "--key", BELA_KEY]):
        code, _, err = review(*command)
        assert (code, "line 1: found an entry that was changed" in err) == (3, True)


def test_checks_for_other_tools(notebook: Path, review: Any, tmp_path: Path) -> None:
    """SARIF has a rule for every check and a result for every finding; JUnit a case for every check."""
    write_notebook(notebook, [PARAMETERS, ("a", [], "!pip install x\nopen('/mnt/share/x')")])
    sarif, junit = tmp_path / "x.sarif", tmp_path / "junit.xml"

    code, _, err = review("check", "--static", notebook, "--sarif", sarif, "--junit", junit)

    assert (code, "2 checks failed (NBP004, NBP005)" in err) == (1, True)
    log = json.loads(sarif.read_text())
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [check.code for check in ALL]
    found = {result["ruleId"]: result for result in run["results"] if result["level"] == "error"}
    assert set(found) == {"NBP004", "NBP005"}
    assert found["NBP005"]["message"]["text"].startswith("cell 2, line 1: ")
    assert found["NBP004"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "notebooks/score.ipynb"
    told = [note["associatedRule"]["id"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert set(told) >= {"NBP101", "NBP102", "NBP103"}
    suite = ElementTree.fromstring(junit.read_bytes())[0]
    assert (suite.get("failures"), len(suite.findall("testcase"))) == ("2", int(suite.get("tests", 0)))
    assert len(suite.findall("testcase/skipped")) == int(suite.get("skipped", 0)) >= 4


def test_a_notebook_that_fails_is_not_asked_about(notebook: Path, review: Any) -> None:
    """Nobody's time is taken for what a check finds."""
    write_notebook(notebook, [PARAMETERS, ("a", [], "!pip install x")])

    code, _, err = review("request", notebook, "--key", BELA_KEY)

    assert (code, "NBP005: no cell installs anything: not so" in err) == (3, True)


def checked(notebook: Path) -> dict[str, Any]:
    """What every check said when the notebook was run."""
    project = notebook.parents[1]
    return {held.check.code: held for held in check(project, notebook, load(project, {})).outcomes}


def messages(found: Any) -> list[str]:
    return [finding.message for finding in found.findings]


@pytest.mark.slow
def test_a_notebook_is_run_and_left_alone(notebook: Path) -> None:
    """It runs, gives the same twice, and neither it nor anything beside it changes."""
    ran = {"p": (1, []), "a": (2, printed("3\n")), "b": (3, [{"output_type": "execute_result", "metadata": {},
           "execution_count": 3, "data": {"text/plain": "True"}}])}  # fmt: skip
    write_notebook(notebook, CELLS, ran)
    before = {path: path.read_bytes() for path in notebook.parent.rglob("*") if path.is_file()}

    found = checked(notebook)

    assert {code: found[code].verdict for code in ("NBP101", "NBP102", "NBP103", "NBP104")} == {
        "NBP101": "passed", "NBP102": "passed", "NBP103": "passed", "NBP104": "not evaluated",
    }  # fmt: skip
    assert {path: path.read_bytes() for path in notebook.parent.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_outputs_of_another_code_are_found(notebook: Path) -> None:
    """What is stored is compared with what the code gives, cell by cell."""
    write_notebook(notebook, CELLS, {"p": (1, []), "a": (2, printed("4\n")), "b": (3, [])})

    found = checked(notebook)["NBP102"]

    assert [(one.cell, one.message) for one in found.findings] == [
        ("a", "stdout: “4⏎” became “3⏎”"), ("b", "it gave nothing, then text/plain"),
    ]  # fmt: skip


@pytest.mark.slow
def test_what_differs_between_two_runs_is_found(notebook: Path) -> None:
    """Randomness, hash order, clocks as numbers and drawn ids are found; noise, and what is tagged, is not."""
    planted = [
        ("random", [], "import random, tempfile\nprint(random.random())"),
        ("order", [], "print(list({str(n) for n in range(20)}))"),
        ("clock", [], "import time\nprint(time.time())"),
        ("uuid", [], "import uuid\nprint(uuid.uuid4())"),
        ("pid", [], "import os\nprint(os.getpid())"),
        ("id", [], "print(id(object()))"),
        ("hash", [], "print(hash('a'))"),
        ("joined", [], "print(''.join(frozenset('abcdefghij')))"),
        ("sample", [], "print(random.sample(range(1000), 5))"),
        ("shuffle", [], "numbers = list(range(50))\nrandom.shuffle(numbers)\nnumbers"),
        ("token", [], "import secrets\nprint(secrets.token_hex(8))"),
        ("urandom", [], "os.urandom(8)"),
        ("counter", [], "time.perf_counter()"),
        ("cpu", [], "time.process_time_ns()"),
        ("stamp", [], "from datetime import datetime as now\nnow.now().timestamp()"),
        ("uuid1", [], "str(uuid.uuid1())"),
        ("objects", [], "class A: pass\nlist({A(): 0, A(): 1}.items())[0][0].__hash__()"),
        ("name", [], "from pathlib import Path\nPath(tempfile.mkdtemp()).name"),
        ("numpy", [], "import numpy\nnumpy.random.rand()"),
        ("generator", [], "numpy.random.default_rng().random()"),
        ("frame", [], "import pandas\npandas.DataFrame({'a': numpy.random.rand(2)})"),
        ("picture", [], "from IPython.display import Image\nImage(os.urandom(64), format='png')"),
    ]
    quiet = [
        ("address", [], "print(object())"),
        ("moment", [], "import datetime\nprint(datetime.datetime.now())"),
        ("folder", [], "print(tempfile.mkdtemp())"),
        ("warning", [], "import sys\nprint(random.random(), file=sys.stderr)"),
        ("tagged", ["varies"], "print(random.random())"),
        ("seeded", [], "random.seed(1)\nprint(random.random())"),
    ]
    write_notebook(notebook, [PARAMETERS, *planted, *quiet])

    found = checked(notebook)["NBP103"]

    assert [finding.cell for finding in found.findings] == [name for name, _, _ in planted]


def test_a_notebook_that_fails_says_where(notebook: Path) -> None:
    """What does not run to its end is not judged any further, and not passed either."""
    write_notebook(notebook, [PARAMETERS, ("a", [], "1 / 0")])

    found = checked(notebook)

    assert messages(found["NBP101"]) == ["cell 3: ZeroDivisionError: division by zero"]
    assert {found[code].verdict for code in ("NBP102", "NBP103", "NBP104")} == {"not evaluated"}


@pytest.mark.slow
def test_metrics_are_held_to_their_thresholds(tmp_path: Path) -> None:
    """Each threshold is held; what was not measured is not met. The decision keeps the numbers."""
    table = '[tool.nbproof.review.thresholds]\nauc = ">= 0.85"\nbrier = "<= 0.1"\nmissing = "> 0"\n'
    notebook = write_project(tmp_path / "project", table=table)
    write_notebook(notebook, [PARAMETERS, ("a", [], "from nbproof import track\ntrack.metrics(auc=0.9, brier=0.2)")])

    assert messages(checked(notebook)["NBP104"]) == [
        "`brier` is 0.2; it must be <= 0.1", "`missing` was not measured; it must be > 0",
    ]  # fmt: skip


def test_what_comes_before_must_be_there(tmp_path: Path) -> None:
    """A notebook whose upstream was never run is not evaluated, with the reason."""
    notebook = write_project(tmp_path / "project")
    for name, upstream in (("score", "['first']"), ("first", "None")):
        declared = ("p", ["parameters"], f"upstream = {upstream}\nproduct = None")
        write_notebook(notebook.with_name(f"{name}.ipynb"), [declared, ("a", [], "1")])
    (notebook.parent / "pipeline.yaml").write_text(
        "tasks:\n- {source: first.ipynb, product: build/first.ipynb}\n"
        "- {source: score.ipynb, product: build/score.ipynb}\n"
    )

    found = checked(notebook)["NBP101"]

    assert (found.verdict, "its upstream `first`" in found.reason) == ("not evaluated", True)


@pytest.mark.slow
def test_what_the_checks_said_is_signed(notebook: Path, review: Any, tmp_path: Path) -> None:
    """A rule that asks for a check is met only once it was made, about this very content."""
    policy = notebook.parents[1] / "approvals/reviewers.toml"
    policy.write_text('checks = ["NBP101", "NBP103"]\n' + policy.read_text())
    review("request", notebook, "--key", BELA_KEY)
    words = ("approve", notebook, "--key", tmp_path / "ana")

    code, _, err = review(*words)
    assert (code, "the checks NBP101, NBP103 had not passed" in err) == (3, True)
    assert review("check", notebook)[0] == 0
    assert review(*words)[0] == 0
    assert review("verify", notebook)[0] == 0


@pytest.mark.slow
def test_products_are_compared_and_thrown_away(tmp_path: Path) -> None:
    """A notebook of a pipeline reads what its upstream made; what it makes itself is compared, and its own stays."""
    notebook = write_project(tmp_path / "project")
    declared = ("p", ["parameters"], "upstream = ['first']\nproduct = None\nrows: int = 3")
    write = "import random, pathlib\npathlib.Path(product['table']).write_text(f'a\\n{random.random():.18f}')"
    write_notebook(notebook, [declared, ("a", [], f"print(product['table'], upstream)\n{write}")])
    write_notebook(notebook.with_name("first.ipynb"), [
        ("p", ["parameters"], "upstream = None\nproduct = None"), ("a", [], "1"),
    ])  # fmt: skip
    (notebook.parent / "pipeline.yaml").write_text(
        "tasks:\n- {source: first.ipynb, product: build/first.ipynb}\n"
        "- {source: score.ipynb, product: {nb: build/score.ipynb, table: build/table.csv}, params: {rows: 4}}\n"
    )
    (notebook.parent / "build").mkdir()
    (notebook.parent / "build/first.ipynb").write_text("{}")
    (notebook.parent / "build/table.csv").write_text("mine")

    found = checked(notebook)

    assert found["NBP101"].verdict == "passed"
    assert messages(found["NBP103"]) == ["its product `table` is another one in the second run"]
    assert sorted(path.name for path in (notebook.parent / "build").iterdir()) == ["first.ipynb", "table.csv"]
    assert (notebook.parent / "build/table.csv").read_text() == "mine"


def test_verdicts_are_of_the_thresholds_of_now(tmp_path: Path) -> None:
    """What was held to other thresholds, or was of another content, is not what a decision says."""
    notebook = write_project(tmp_path / "project")
    settings = Settings(experiment="x", review_thresholds={"auc": ">= 0.8"})
    report = check(notebook.parents[1], notebook, settings, is_static=True)
    keep(notebook.parents[1], report, settings)

    def known(core: str, settings: Settings) -> bool:
        return kept(notebook.parents[1], "notebooks/score.ipynb", core, settings) is not None

    assert known(report.bound, settings)
    assert not known(report.bound, Settings(experiment="x", review_thresholds={"auc": ">= 0.9"}))
    assert not known("0" * 64, settings)
    assert not known("", settings)


def test_settings_of_reviews_are_read(tmp_path: Path) -> None:
    """The table [tool.nbproof.review] becomes the settings that begin with `review_`; variables win."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.nbproof]\n[tool.nbproof.review]\nname = "Ana"\nkey = "k"\nlock = "l"\n'
        '[tool.nbproof.review.severity]\nNBP007 = "off"\n[tool.nbproof.review.thresholds]\nauc = ">= 0.8"\n'
    )

    found = load(tmp_path, {"NBPROOF_REVIEW_NAME": "Ben"})

    assert found == Settings(
        experiment=tmp_path.name, workers=found.workers, review_name="Ben", review_key="k", review_lock="l",
        review_severity={"NBP007": "off"}, review_thresholds={"auc": ">= 0.8"},
    )  # fmt: skip
    assert key(1).public.line not in repr(found)


def test_the_hook_is_this_command(notebook: Path, review: Any) -> None:
    """What `.pre-commit-hooks.yaml` calls exists, passes a plain notebook, and fails one that installs."""
    (hook,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    program, group, *words = hook["entry"].split()

    assert (program, group, hook["types_or"]) == ("nbproof", "review", ["jupyter"])
    assert review(*words, notebook)[0] == 0
    write_notebook(notebook, [PARAMETERS, ("a", [], "!pip install x")])
    assert review(*words, notebook)[0] == 1
