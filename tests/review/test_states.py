"""Any two states of a notebook can be compared: what lies there, what was decided about, what a run gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reviewed import BELA, PARAMETERS, key, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.errors import ApprovalInvalid, ReviewAskedWrongly
from nbproof.records import ContentHash
from nbproof.review.deciding import Verdict, decide, request
from nbproof.review.difference import Part, Side, compare, explained, text, to_json
from nbproof.review.page import page
from nbproof.review.sides import importance, of_digest, of_now

A = Part("a", "code", "plot()")
B = Part("b", "code", "x = 1")


def side(*parts: Part, **facts: Any) -> Side:
    return Side(ContentHash.of(repr(parts).encode()), parts, **facts)


def test_data_modules_and_environment_are_compared() -> None:
    """Each with its name, before and after; nothing is made up where a side does not know it."""
    before = side(A, data={"x.csv": "aa", "y.csv": "bb"}, modules={"m.py": "cc"}, environment={"numpy": "2.0"})
    after = side(A, data={"x.csv": "dd", "y.csv": "bb"}, modules={"m.py": "ee"}, environment={"numpy": "2.1"})

    found = compare(before, after)

    assert found.data == (("x.csv", "aa", "dd"), ("m.py", "cc", "ee"))
    assert found.environment == (("numpy", "2.0", "2.1"),)
    assert found.unknown == ("figures", "importance")
    assert "environment" in compare(before, side(A, environment={"lock.txt": "ff"})).unknown
    assert compare(before, side(A)).data == ()


def test_figures_are_followed_with_their_cells() -> None:
    """A picture that changed, came or went is told with its place, also when its cell has moved."""
    png = ("image/png", "AAAA")

    changed = compare(side(A, B, figures={"a": png}), side(B, A, figures={"a": ("image/png", "BBBB")}))
    same = compare(side(A, B, figures={"a": png}), side(B, A, figures={"a": png}))
    gone = compare(side(A, B, figures={"a": png}), side(B, figures={}))

    assert [(one.cell, one.before, one.after) for one in changed.figures] == [(2, png, ("image/png", "BBBB"))]
    assert same.figures == ()
    assert [(one.cell, one.after) for one in gone.figures] == [(1, None)]


def test_explanations_are_compared_by_ndcg() -> None:
    """The lower of both nDCGs, computed by hand, and the features that changed most."""
    found = explained({"a": 3.0, "b": 1.0}, {"a": 1.0, "b": 3.0})

    assert found is not None
    # Gains 3 and 1 in the wrong order: (1 + 3 / log2 3) / (3 + 1 / log2 3).
    assert found.ndcg == pytest.approx((1 + 3 / 1.584962500721156) / (3 + 1 / 1.584962500721156), abs=1e-12)
    assert found.shares == (("a", 0.75, 0.25), ("b", 0.25, 0.75))
    same = explained({"a": 3.0}, {"a": 3.0})
    assert same is not None
    assert (same.ndcg, same.shares) == (1.0, ())
    lost = explained({"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 1.0})
    assert lost is not None
    assert lost.ndcg < 0.9
    assert explained({"a": 0.0}, {"a": 1.0}) is None
    assert explained(None, {"a": 1.0}) is None


def test_what_holds_no_importance_says_none() -> None:
    """Another shape of the product is not known, and no explanation of zeros."""
    assert importance(b'{"mean_abs_shap": {"a": 1, "b": 0.5}}') == {"a": 1.0, "b": 0.5}
    assert [importance(content) for content in (b"", b"{}", b"[]", b'{"mean_abs_shap": [1]}')] == [None] * 4


def test_the_page_holds_everything_and_carries_nothing_out() -> None:
    """Every kind of difference is on it; what a notebook holds stays text, and nothing is fetched."""
    nasty = "<script>alert(1)</script>"
    before = side(
        A, Part("b", "code", nasty), parameters={nasty: 1}, metrics={"auc": 0.8}, data={"x": "1"}, modules={},
        environment={"n": "1"}, figures={"a": ("image/svg+xml", f"<svg>{nasty}</svg>")},
        importance={nasty: 2.0, "b": 1.0}, title=nasty,
    )  # fmt: skip
    after = side(
        A, parameters={nasty: 2}, metrics={"auc": 0.9}, data={"x": "2"}, environment={"n": "2"}, modules={},
        figures={"a": ('image/png" onload="x', "AA")}, importance={nasty: 1.0, "b": 2.0}, title="after",
    )  # fmt: skip

    found = page(compare(before, after), title=nasty)

    assert "<script" not in found
    assert 'onload="' not in found
    assert "http" not in found.replace("http-equiv", "")
    for words in ("Parameters", "Data and modules", "Environment", "Metrics", "Cells", "Figures", "nDCG", "removed"):
        assert words in found
    assert "There is no difference" in page(compare(after, after), title="x")


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A project whose notebook was approved, then changed and rejected, then changed again."""
    found = write_project(tmp_path / "project")
    for source, decision in (("x = 1", "approved"), ("x = 2", "rejected")):
        write_notebook(found, [PARAMETERS, ("a", [], source)])
        request(found.parents[1], found, key=BELA)
        decide(found.parents[1], found, Verdict(decision=decision), key(1))  # type: ignore[arg-type]
    write_notebook(found, [PARAMETERS, ("a", [], "x = 3")])
    return found


def digests(notebook: Path) -> list[str]:
    lines = (notebook.parents[1] / "approvals/ledger.jsonl").read_text().splitlines()
    return list(dict.fromkeys(json.loads(line)["digest"] for line in lines))


def test_two_digests(notebook: Path) -> None:
    """What was decided about is kept: two digests are compared by cells, and named with what was decided."""
    one, two = digests(notebook)
    found = compare(of_digest(notebook.parents[1], one[:8]), of_digest(notebook.parents[1], f"sha256:{two}"))

    assert [(change.fate, change.lines) for change in found.cells] == [("changed", ("- x = 1", "+ x = 2"))]
    assert found.titles[0].startswith(f"digest {one[:12]}, approved 2")
    assert found.environment == ()


def test_a_digest_and_what_lies_there(notebook: Path) -> None:
    """The later state is that of the disk unless another is named."""
    found = compare(of_digest(notebook.parents[1], digests(notebook)[0]), of_now(notebook.parents[1], notebook))

    assert found.cells[0].lines == ("- x = 1", "+ x = 3")
    assert "metrics" in found.unknown


def test_a_digest_that_names_nothing(notebook: Path) -> None:
    """Too short, unknown, or not kept whole: refused."""
    project = notebook.parents[1]
    for start in ("", "abc", "0" * 12):
        with pytest.raises(ReviewAskedWrongly):
            of_digest(project, start)
    kept = project / "approvals/content" / f"{digests(notebook)[0]}.json"
    kept.write_bytes(kept.read_bytes().replace(b"x = 1", b"x = 9"))
    with pytest.raises(ApprovalInvalid):
        of_digest(project, digests(notebook)[0])


def test_by_command(notebook: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two digests in the terminal and as a page; a state that is none is asked wrongly."""
    monkeypatch.chdir(notebook.parents[1])
    one, two = digests(notebook)

    words = ["review", "diff", "notebooks/score.ipynb", "--from", one[:10], "--to", two[:10], "--html", "diff.html"]
    assert carry_out(words) == 0
    assert "    - x = 1\n    + x = 2" in capsys.readouterr().out
    assert "<del>- x = 1</del>" in (notebook.parents[1] / "diff.html").read_text()
    assert carry_out(["review", "diff", "notebooks/score.ipynb", "--from", "nothing"]) == 2


@pytest.mark.slow
def test_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A run is compared with what lies there by what it gave, as long as that is still what it made."""
    notebook = write_project(tmp_path / "project")
    project = notebook.parents[1]
    declared = ("p", ["parameters"], "from pathlib import Path\nupstream = None\nproduct = None\n"
                                     "data: Path = Path('panel.csv')\nrows: int = 3")  # fmt: skip
    explain = "import json\nPath(product['explanation']).write_text(json.dumps({'mean_abs_shap': {'a': 2, 'b': rows}}))"
    write_notebook(
        notebook, [declared, ("a", [], f"{explain}\nfrom nbproof import track\ntrack.metrics(auc=rows / 10)")]
    )
    (notebook.parent / "panel.csv").write_text("a\n")
    pipeline = ("tasks:\n- {source: score.ipynb, product: {nb: build/RUN.ipynb, explanation: build/RUN.json}, "
                "params: {rows: 3}}\n")  # fmt: skip
    monkeypatch.chdir(notebook.parent)
    for number, rows in enumerate((3, 1), start=1):
        said = pipeline.replace("RUN", f"run{number}").replace("rows: 3", f"rows: {rows}")
        (notebook.parent / "pipeline.yaml").write_text(said)
        assert carry_out(["run"]) == 0
    capsys.readouterr()
    assert carry_out(["runs", "list", "--json"]) == 0
    later, earlier = [run["run_id"] for run in json.loads(capsys.readouterr().out)]

    assert carry_out(["review", "diff", str(notebook), "--from", earlier, "--to", later, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["parameters"] == [{"name": "rows", "before": "3", "after": "1"}]
    assert found["metrics"] == [{"name": "auc", "before": "0.3", "after": "0.1"}]
    assert found["explanation"]["ndcg"] < 1
    assert found["cells"] == []
    (notebook.parent / "build/run1.ipynb").write_text("{}")
    assert carry_out(["review", "diff", str(notebook), "--from", earlier]) == 2
    assert "no executed notebook that is still the one it made" in capsys.readouterr().err
    assert project.exists()


def test_the_words_of_a_difference() -> None:
    """Every kind has its line, and its part of the JSON."""
    before = side(A, data={"x": "1"}, importance={"a": 2.0, "b": 1.0}, figures={}, title="one")
    found = compare(before, side(A, data={"x": "2"}, importance={"a": 1.0, "b": 2.0}, figures={"a": ("image/png", "A")},
                                 title="two"))  # fmt: skip

    lines = text(found).splitlines()
    assert lines[0].endswith("(one → two)")
    assert {"data x: 1 → 2", "cell 1: its figure is new"} <= set(lines)
    assert any(line.startswith("explanation: nDCG 0.") for line in lines)
    assert to_json(found)["figures"] == [{"cell": 1, "fate": "is new"}]
