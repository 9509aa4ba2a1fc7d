"""Exporting what was approved: the decisions go along, and hold anywhere, or nothing is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from reviewed import CELLS, write_key, write_notebook, write_project

from nbproof.cli.main import carry_out


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook that Ana has approved; the caller stands in its project."""
    found = write_project(tmp_path / "project")
    write_key(tmp_path / "ana", 1)
    monkeypatch.chdir(tmp_path / "project")
    write_key(tmp_path / "bela", 50)
    assert carry_out(["review", "request", str(found), "--key", str(tmp_path / "bela")]) == 0
    assert carry_out(["review", "approve", str(found), "--key", str(tmp_path / "ana")]) == 0
    return found


def test_what_was_approved_is_exported_with_its_approval(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package says who, carries the signed decision, and verifies where the project is not."""
    code = carry_out(["export", str(notebook)])
    package = tmp_path / "project/exports/score"
    told = json.loads((package / "PROVENANCE.json").read_bytes())["approval"]
    shutil.move(package, tmp_path / "score")
    shutil.move(tmp_path / "project", tmp_path / "elsewhere")
    capsys.readouterr()
    verified = carry_out(["verify", str(tmp_path / "score")])

    assert (code, verified) == (0, 0)
    assert (told["state"], [each["reviewer"] for each in told["decisions"]]) == ("approved by Ana", ["Ana"])
    assert "approved by Ana (" in capsys.readouterr().out
    assert "IS_DRAFT" not in (tmp_path / "score/src/score/__init__.py").read_text()
    assert carry_out(["verify", str(tmp_path / "score"), "--project", str(tmp_path / "elsewhere")]) == 0


def test_an_approval_of_something_else_exports_nothing(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that changed since: exit code 3 and what changed; --draft writes a copy that says so."""
    write_notebook(notebook, [*CELLS[:1], ("a", [], "value = sum(range(rows)) + 1\nprint(value)"), CELLS[2]])

    code = carry_out(["export", str(notebook)])

    assert (code, "the notebook notebooks/score.ipynb changed" in capsys.readouterr().err) == (3, True)
    assert not (tmp_path / "project/exports").exists()
    assert carry_out(["export", str(notebook), "--draft"]) == 0
    assert [path.name for path in (tmp_path / "project/exports").iterdir()] == ["score_draft"]


def test_whoever_counts_no_more_takes_the_approval_along(notebook: Path, tmp_path: Path) -> None:
    """Asked of a project where somebody else decides, the package is refused."""
    write_project(tmp_path / "other", people=(("Carla", 3),))
    carry_out(["export", str(notebook)])
    package = tmp_path / "project/exports/score"

    assert carry_out(["verify", str(package), "--project", str(tmp_path / "other")]) == 3
    assert carry_out(["verify", str(package)]) == 0


@pytest.mark.slow
def test_what_an_approved_notebook_runs_has_to_be_approved_too(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`%run` takes the cells of another notebook along, and nobody has signed them with the first one."""
    setup = notebook.parent / "setup.ipynb"
    write_notebook(setup, [("s", ["parameters"], "size: int = 1"), ("m", [], "more = size")])
    write_notebook(notebook, [*CELLS, ("r", [], "%run setup.ipynb\nmore")])

    def approve(path: Path) -> int:
        asked = carry_out(["review", "request", str(path), "--key", str(tmp_path / "bela")])
        return asked or carry_out(["review", "approve", str(path), "--key", str(tmp_path / "ana")])

    assert approve(notebook) == 0
    capsys.readouterr()
    code = carry_out(["export", str(notebook)])
    assert (code, "setup.ipynb" in capsys.readouterr().err) == (3, True)
    assert not (tmp_path / "project/exports/score").exists()
    assert approve(setup) == 0
    assert carry_out(["export", str(notebook)]) == 0
