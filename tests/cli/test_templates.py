"""What `nbproof init` can start with: pipelines that train and explain a model, and what runs at every change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbproof.assemble import load_pipeline, open_project
from nbproof.cli.main import carry_out
from nbproof.cli.starting import CI, TEMPLATES, template_files

PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def started(tmp_path: Path, template: str) -> Path:
    """A new project of that template."""
    assert carry_out(["init", str(tmp_path / "mine"), "--template", template]) == 0
    return tmp_path / "mine"


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_a_pipeline_that_can_be_read(template: str, tmp_path: Path) -> None:
    """Data, training and explanation follow one another; every parameter has its type and its default."""
    project = started(tmp_path, template)

    loaded = load_pipeline(open_project(project), project / "pipelines/mine")

    assert [(task.name, task.upstream) for task in loaded.pipeline.tasks] == [
        ("prepare", ()), ("train", ("prepare",)), ("explain", ("prepare", "train")),
    ]  # fmt: skip
    assert all(not held.is_required for found in loaded.contracts.values() for held in found.parameters)
    assert any(name.startswith("least_") for name in loaded.contracts["train"].names)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_has_never_run_and_keeps_no_placeholder(template: str) -> None:
    """Its notebooks come without outputs, end in a check, and carry the project's name."""
    for path, content in template_files("mine", template):
        assert b"PROJECT_NAME" not in content, path
        if path.suffix == ".ipynb":
            cells = [cell for cell in json.loads(content)["cells"] if cell["cell_type"] == "code"]
            assert {(tuple(cell["outputs"]), cell["execution_count"]) for cell in cells} == {((), None)}
            assert cells[-1]["id"] == "check"
            assert "assert " in "".join(cells[-1]["source"])


def test_what_a_template_needs_stands_in_its_settings(tmp_path: Path) -> None:
    """`pip install .` brings it."""
    assert '"nbproof[explain]", "torch>=2.4"' in (started(tmp_path, "image") / "pyproject.toml").read_text()


@pytest.mark.slow
def test_the_pipeline_for_tables_runs(tmp_path: Path) -> None:
    """It trains a model that meets its condition, and explains it; more than it can give fails, and only that."""
    project = started(tmp_path, "tabular")
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment["OMP_NUM_THREADS"] = "1"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "nbproof", "run", "--json", *arguments], cwd=project,
                              env=environment, capture_output=True, text=True, check=False)  # fmt: skip

    first = run("-p", "explain.rows=4")
    assert first.returncode == 0, first.stdout + first.stderr
    build = project / "pipelines/mine/build"
    assert json.loads((build / "metrics.json").read_text())["auc"] >= 0.97
    assert sorted(path.name for path in (build / "explained").iterdir()) == [
        "audit.json", "lime.npz", "manifest.json", "shap.npz",
    ]  # fmt: skip
    assert (build / "importance.svg").read_text().startswith("<svg")
    # One of its products is a folder.
    report = [sys.executable, "-m", "nbproof", "report"]
    for words in (["-p", "explain.rows=4"], ["--verify", "pipelines/mine/build/report/report.html"]):
        ran = subprocess.run(
            [*report, *words], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr

    # The same model is the same file: what reads it need not run again.
    run("-p", "explain.rows=4", "--force", "--task", "train")
    again = json.loads(run("-p", "explain.rows=4").stdout)
    assert [task["outcome"] for task in again["finished"]] == ["fresh"] * 3, again

    second = run("-p", "explain.rows=4", "-p", "train.least_auc=1")

    assert second.returncode == 1
    assert "expected at least 1" in second.stdout + second.stderr
    assert (build / "importance.svg").is_file()


EXAMPLES = sorted(path.parent.name for path in (Path(__file__).parents[2] / "pipelines").glob("*/pipeline.yaml"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_pipeline_that_can_be_read(example: str) -> None:
    """Its notebooks and its data are there, and a page says how it is run; `benchmarks.examples` runs it."""
    folder = Path(__file__).parents[2] / "pipelines" / example
    loaded = load_pipeline(open_project(folder), folder / "pipeline.yaml")

    assert (folder / "README.md").read_text().count(f"nbproof run pipelines/{example}") >= 1
    for task in loaded.pipeline.tasks:
        declared = loaded.notebooks[task.name].said.contract.paths(task.parameters)
        data = [loaded.pipeline.folder / path for paths in declared.values() for path in paths]
        made = [product for upstream in loaded.pipeline.tasks for product in upstream.products.values()]
        assert [path for path in data if not path.exists() and path.resolve() not in made] == []


@pytest.mark.parametrize("template", ["image", "text"])
def test_an_example_is_what_its_template_writes(template: str) -> None:
    """The notebooks are the same to the byte, so that what is proven of the one holds for the other."""
    root = Path(__file__).parents[2]
    written = {path.name: path for path in (root / f"src/nbproof/cli/templates/{template}/notebooks").iterdir()}

    shown = {path.name: path for path in (root / "pipelines" / template).glob("*.ipynb")}

    assert {name: path.read_bytes() for name, path in shown.items()} == {
        name: path.read_bytes() for name, path in written.items()
    }


def test_the_examples_reach_beyond_tables() -> None:
    """Tables, texts, pictures, and data without labels."""
    assert {"anomaly", "credit", "image", "retraining", "text"} <= {*EXAMPLES}


# At every change


def parsed(service: str, project: Path) -> dict[Any, Any]:
    """The file of that service."""
    found: dict[Any, Any] = yaml.safe_load((project / CI[service]).read_text())
    return found


def test_github_runs_the_pipeline_with_pinned_actions(tmp_path: Path) -> None:
    """Each action of somebody else is named by a commit, which nobody can move; the job may read, and no more."""
    assert carry_out(["init", str(tmp_path / "mine"), "--ci", "github"]) == 0

    found = parsed("github", tmp_path / "mine")
    steps = found["jobs"]["notebooks"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert len(used) == 3
    assert [action for action in used if not PINNED.fullmatch(action)] == []
    assert [step["run"] for step in steps if step.get("run") == "nbproof run"] == ["nbproof run"]
    assert found["permissions"] == {"contents": "read"}
    assert set(found[True]) == {"push", "pull_request"}


def test_gitlab_runs_the_pipeline_in_a_pinned_image(tmp_path: Path) -> None:
    """Its jobs belong to its stages, and keep what was made also when it failed."""
    assert carry_out(["init", str(tmp_path / "mine"), "--ci", "gitlab"]) == 0

    found = parsed("gitlab", tmp_path / "mine")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", found["image"])
    assert [found[stage]["stage"] for stage in found["stages"]] == found["stages"] == ["read", "run"]
    assert found["run"]["script"] == ["nbproof run"]
    assert found["run"]["artifacts"]["when"] == "always"


def test_a_project_that_is_there_gets_the_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a folder it is added to the project that one stands in; a file that is there stays."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\n")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")

    assert carry_out(["init", "--ci", "github"]) == 0
    assert carry_out(["init", "--ci", "github"]) == 2

    assert (tmp_path / CI["github"]).is_file()
    assert "is there already; expected none" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--template", "text"], ["--ci", "github", "--from", "x"]])
def test_a_new_project_needs_a_folder(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Only what runs at every change is added to a project that is there."""
    assert carry_out(["init", *arguments]) == 2
    assert "found no DIR" in capsys.readouterr().err


def test_two_starts_at_once_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebooks are those of a template or those of a folder."""
    assert carry_out(["init", str(tmp_path / "x"), "--template", "text", "--from", str(tmp_path)]) == 2
    assert "expected one of them" in capsys.readouterr().err
