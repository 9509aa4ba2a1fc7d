"""`nbproof report`: written over a run that is whole, refused over any other, and read again by who doubts it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from reviewed import write_key, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.report import printing

PAGE = Path("build/report/report.html")
PARAMETERS = ("p", ["parameters"], "upstream = None\nproduct = None\nseed: int = 7")
LEAVE = (
    "leave", [],
    "import json, pathlib\nfrom nbproof import track\ntrack.metrics(auc=0.91)\n"
    'metrics = {"metrics": {"validation": {"auc": {"value": 0.91, "low": 0.9, "high": 0.92}}}}\n'
    'pathlib.Path(product["metrics"]).write_text(json.dumps(metrics))',
)  # fmt: skip


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a pipeline of one phase, reviewed by Ana and owned by Bela; the caller stands in its folder."""
    write_project(tmp_path / "project", table='[tool.nbproof.review.thresholds]\nauc = ">= 0.85"\n')
    write_key(tmp_path / "ana", 1)
    write_key(tmp_path / "bela", 50)
    monkeypatch.chdir(tmp_path / "project")
    Path("pipeline.yaml").write_text(
        "tasks:\n- source: notebooks/train.ipynb\n  name: 06_training\n"
        "  product: {nb: build/train.ipynb, metrics: build/metrics.json}\n"
    )
    return write_notebook(Path("notebooks/train.ipynb").absolute(), [PARAMETERS, LEAVE])


@pytest.fixture
def nbproof(capsys: pytest.CaptureFixture[str]) -> Any:
    def carry(*words: object) -> tuple[int, str, str]:
        code = carry_out(list(map(str, words)))
        said = capsys.readouterr()
        return code, said.out, said.err

    return carry


def test_what_has_not_run_is_refused(notebook: Path, nbproof: Any) -> None:
    """There is nothing to report on; the next command is named, and no file is written."""
    code, _, err = nbproof("report")

    assert (code, "`06_training` stale: it has not run yet" in err, "hint: nbproof run pipeline.yaml" in err) == (
        3, True, True,
    )  # fmt: skip
    assert not PAGE.exists()


def test_from_a_run_to_a_signed_report(notebook: Path, nbproof: Any, tmp_path: Path) -> None:
    """Written, read again, bound by a decision; a later one shows the decision, and the signed one still holds."""
    assert nbproof("run")[0] == 0
    code, out, _ = nbproof("report", "--json")
    told = json.loads(out)
    page = PAGE.read_text()
    assert (code, told["report"], told["pdf"]) == (0, str(PAGE.absolute()), None)
    assert told["values"] > 30
    # The run, the cell that wrote the metrics, the seed, and that there is no decision yet.
    run_id = next(Path(".nbproof/runs").glob("*.jsonl")).stem
    row = next(line for line in page.splitlines() if 'data-file="build/metrics.json"' in line)
    assert f">{run_id}<" in row
    assert ">leave (cell 2)<" in row
    assert '/tasks/06_training/seed" data-value="7">7<' in page
    assert '/metrics/06_training/auc" data-value="0.91">0.91<' in page
    assert "Decisions about what is there now" in page
    assert "nobody has done so" in page
    assert (
        nbproof("report", "--verify", PAGE)[1] == f"{PAGE}: {told['values']} of {told['values']} values found again\n"
    )

    assert nbproof("review", "request", notebook, "--key", tmp_path / "bela", "--report", PAGE)[0] == 0
    assert (
        nbproof("review", "approve", notebook, "--key", tmp_path / "ana", "--condition", "watch it@2999-01-31")[0] == 0
    )
    assert nbproof("report", "--out", "build/report/approved.html")[0] == 0

    later = Path("build/report/approved.html").read_text()
    assert re.search(r'/decisions/0/reviewer" data-value="&(#34|quot);Ana&(#34|quot);">Ana<', later)
    assert "watch it (until 2999-01-31)" in later
    assert '/changes/06_training/same" data-value="true">yes<' in later
    assert nbproof("report", "--verify", PAGE)[0] == 0
    assert nbproof("review", "verify", notebook)[0] == 0


def test_a_run_with_other_parameters_is_named_by_them(notebook: Path, nbproof: Any) -> None:
    """What the pipeline would do by itself is another run; with the same parameter the report is about this one."""
    assert nbproof("run", "-p", "seed=3")[0] == 0

    code, _, err = nbproof("report")
    assert (code, "parameter `seed` changed from 3 to 7" in err) == (3, True)
    assert nbproof("report", "-p", "seed=3")[0] == 0
    assert '/tasks/06_training/seed" data-value="3">3<' in PAGE.read_text()


@pytest.mark.slow
def test_what_changed_since_the_approval_is_told(notebook: Path, nbproof: Any, tmp_path: Path) -> None:
    """Cells line by line, and each metric that was approved beside the one of this run."""
    assert nbproof("run")[0] == 0
    assert nbproof("review", "check", notebook)[0] == 0
    assert nbproof("review", "request", notebook, "--key", tmp_path / "bela")[0] == 0
    assert nbproof("review", "approve", notebook, "--key", tmp_path / "ana")[0] == 0

    write_notebook(notebook, [PARAMETERS, (LEAVE[0], LEAVE[1], LEAVE[2].replace("0.91", "0.95"))])
    assert nbproof("run")[0] == 0
    assert nbproof("report")[0] == 0

    page = PAGE.read_text()
    assert '/changes/06_training/same" data-value="false"' in page
    assert '/changes/06_training/metrics/0/before" data-value="0.91">0.91<' in page
    assert '/changes/06_training/metrics/0/after" data-value="0.95">0.95<' in page
    lines = page.split('/changes/06_training/cells/0/text"')[1].split("</td>")[0].splitlines()
    assert "- track.metrics(auc=0.91)" in lines
    assert "+ track.metrics(auc=0.95)" in lines
    assert "the approval of" in page


def test_a_stale_task_or_a_touched_product_is_refused(notebook: Path, nbproof: Any) -> None:
    """Neither a notebook that was edited since nor a product that is not what the run left is reported on."""
    assert nbproof("run")[0] == 0
    kept = Path("build/metrics.json").read_bytes()

    Path("build/metrics.json").write_bytes(kept.replace(b"0.91", b"0.99"))
    code, _, err = nbproof("report")
    assert (code, "06_training" in err, PAGE.exists()) == (3, True, False)

    Path("build/metrics.json").write_bytes(kept)
    assert nbproof("report")[0] == 0
    write_notebook(notebook, [PARAMETERS, (LEAVE[0], LEAVE[1], LEAVE[2].replace("0.91", "0.93"))])
    code, _, err = nbproof("report")
    assert (code, "code cell 2 changed" in err) == (3, True)


def test_a_page_that_says_more_than_its_sources_is_found(notebook: Path, nbproof: Any) -> None:
    """The exit code is that of a refusal, and the place is named."""
    assert nbproof("run")[0] == 0
    assert nbproof("report")[0] == 0
    PAGE.write_text(PAGE.read_text().replace('data-value="0.91">0.91<', 'data-value="0.99">0.99<'))

    code, out, err = nbproof("report", "--verify", PAGE)

    assert code == 3
    assert re.search(r"s\d+/metrics/validation/auc/value: the page says 0.99, the source 0.91", err)
    assert re.search(r"(\d+) of (\d+) values found again", out)


def test_answers_of_people_are_read_from_beside_the_pipeline(notebook: Path, nbproof: Any) -> None:
    """An answer takes the place of what is owed; one to a question that nobody asked is refused."""
    assert nbproof("run")[0] == 0
    Path("answers.yaml").write_text("provider: {words: Example Bank, by: Ana, date: 2026-11-20}\n")
    assert nbproof("report")[0] == 0
    page = PAGE.read_text()
    assert "Owed by model owner" not in page
    assert '/provider/words" data-value="&#34;Example Bank&#34;">Example Bank<' in page.replace("&quot;", "&#34;")

    Path("answers.yaml").write_text("providor: {words: Example Bank, by: Ana, date: 2026-11-20}\n")
    code, _, err = nbproof("report")
    assert (code, "`providor` is nothing that is owed" in err) == (3, True)


def test_without_a_chromium_there_is_no_pdf(notebook: Path, nbproof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is built, with what brings one."""
    monkeypatch.setattr(printing, "NAMES", ("no-such-browser",))

    code, _, err = nbproof("report", "--pdf")

    assert (code, "found no Chromium" in err, "apt-get install chromium" in err) == (3, True, True)
