"""A new project, as `nbproof init` writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nbproof.cli.main import carry_out
from nbproof.cli.starting import project_files, project_name


@pytest.mark.parametrize(
    ("folder", "name"), [("demo", "demo"), ("Credit risk (2026)", "credit-risk-2026"), ("…", "project")]
)
def test_any_folder_gives_a_name(folder: str, name: str) -> None:
    """Whatever a folder is called, the project's name is one that packaging accepts."""
    assert project_name(folder) == name


def test_a_project_has_our_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new project holds settings, notebooks and one pipeline under its own name, and no placeholder is left."""
    assert carry_out(["init", str(tmp_path / "demo"), "--json"]) == 0

    written = json.loads(capsys.readouterr().out)["files"]
    assert sorted(written) == [
        ".gitignore",
        "README.md",
        "notebooks/measure.ipynb",
        "notebooks/report.ipynb",
        "notebooks/summarise.ipynb",
        "pipelines/demo/pipeline.yaml",
        "pyproject.toml",
    ]
    assert all("PROJECT_NAME" not in (tmp_path / "demo" / path).read_text() for path in written)


def test_notebooks_come_without_outputs() -> None:
    """What `init` writes has never been run."""
    for path, content in project_files("demo"):
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
            assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)


def test_a_folder_with_content_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written into a folder that holds something; the exit code says that the request was wrong."""
    (tmp_path / "mine.txt").write_text("mine")

    assert carry_out(["init", str(tmp_path)]) == 2

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert capsys.readouterr().err == (
        f"error: `{tmp_path}` holds mine.txt; expected an empty folder or none\nhint: nbproof init ANOTHER_FOLDER\n"
    )


def test_a_folder_inside_a_file_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing can be written, the error is one line and exit code 2."""
    (tmp_path / "file").write_text("")

    assert carry_out(["init", str(tmp_path / "file" / "demo")]) == 2

    assert "expected a writable folder" in capsys.readouterr().err
