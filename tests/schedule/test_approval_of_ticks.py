"""What nobody has approved is neither scheduled nor started, also when it was approved once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from reviewed import CELLS, write_key, write_notebook, write_project

from nbproof.cli.main import carry_out

pytestmark = pytest.mark.slow


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook that Ana has approved; the caller stands in its project."""
    found = write_project(tmp_path / "project", table="warm = false\n")
    write_key(tmp_path / "ana", 1)
    write_key(tmp_path / "bela", 50)
    monkeypatch.chdir(tmp_path / "project")
    assert carry_out(["review", "request", str(found), "--key", str(tmp_path / "bela")]) == 0
    assert carry_out(["review", "approve", str(found), "--key", str(tmp_path / "ana")]) == 0
    return found


def fired(capsys: pytest.CaptureFixture[str], name: str) -> tuple[int, str, str]:
    """The exit code of an event that is waited for, the state of its tick, and why."""
    capsys.readouterr()
    code = carry_out(["schedule", "fire", name, "--reason", "a test", "--wait", "--json"])
    told = json.loads(capsys.readouterr().out)
    return code, told["state"], told["reason"]


def test_a_package_is_verified_when_it_is_scheduled_and_when_it_starts(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An approved one runs; one that was changed, or whose reviewer counts no more, does not, and is not scheduled."""
    assert carry_out(["export", str(notebook)]) == 0
    add = ["schedule", "add", "exports/score"]
    assert carry_out([*add, "-p", "raws=1"]) == 2
    assert carry_out([*add, "--on", "nowhere"]) == 2
    assert carry_out([*add, "-p", "rows=4"]) == 0

    assert fired(capsys, "score") == (0, "done", "")
    assert carry_out(["jobs", "list", "--json"]) == 0
    assert [job["state"] for job in json.loads(capsys.readouterr().out)] == ["done"]

    package = tmp_path / "project/exports/score"
    with changed(package / "src/score/__init__.py", "# changed\n"):
        exit_code, state, reason = fired(capsys, "score")
        assert (exit_code, state) == (3, "refused")
        assert "is not what was exported" in reason
    with changed(package / "PROVENANCE.json", "\n"):
        assert "another package lies there than was submitted" in fired(capsys, "score")[2]
    (tmp_path / "project/approvals/allowed_signers").write_text("")
    assert fired(capsys, "score")[:2] == (3, "refused")
    assert carry_out([*add, "--name", "again"]) == 3


@contextlib.contextmanager
def changed(path: Path, more: str) -> Iterator[None]:
    """A file that is another one for a while."""
    written = path.read_text()
    path.write_text(written + more)
    yield
    path.write_text(written)


def test_a_pipeline_needs_an_approval_where_the_project_asks_for_it(
    notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `approved_only` its notebooks must be approved, when it is scheduled and when it starts."""
    settings = tmp_path / "project/pyproject.toml"
    assert carry_out(["schedule", "add", str(notebook), "--name", "free"]) == 0
    settings.write_text(settings.read_text() + "\n[tool.nbproof.schedule]\napproved_only = true\n")
    assert carry_out(["schedule", "add", str(notebook), "--name", "asked"]) == 0
    assert fired(capsys, "asked") == (0, "done", "")

    write_notebook(notebook, [*CELLS[:1], ("a", [], "value = sum(range(rows)) + 1\nprint(value)"), CELLS[2]])

    assert carry_out(["schedule", "add", str(notebook), "--name", "late"]) == 3
    for name in ("asked", "free"):
        exit_code, state, reason = fired(capsys, name)
        assert (exit_code, state) == (3, "refused")
        assert "the notebook notebooks/score.ipynb changed" in reason
