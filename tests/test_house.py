"""Promises about the repository as a whole that nobody would check again by hand."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nbproof.assemble import load_pipeline, open_project
from nbproof.cli.graph import svg
from nbproof.cli.main import commands
from nbproof.cli.reference import reference, walk
from nbproof.notebook.phases import PHASES

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HEAVY = {
    "IPython", "fastapi", "jupyter_client", "jupytext", "lime", "matplotlib", "mlflow", "nbclient", "nbformat",
    "numpy", "pandas", "pandera", "papermill", "ploomber", "pyarrow", "pydantic", "shap", "sklearn", "skops", "torch",
    "uvicorn",
}  # fmt: skip
LAYOUT = {
    ".ci", ".gitignore", ".pre-commit-hooks.yaml", "LICENSE", "Makefile", "README.md", "changelog.d",
    "constraints.txt", "docs", "environment.yml", "extensions", "mkdocs.yml", "notebooks", "pipelines",
    "pyproject.toml", "src", "tests",
}  # fmt: skip
# Spelled in two parts, so that this file does not hold what it looks for.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "yarn" + "pkg.com"]
HOME_PATH = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/")


def tracked(*patterns: str) -> list[Path]:
    """The files that git knows and that are still there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh Python has loaded after `statement`."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(ran.stdout.splitlines()[-1])}


def test_importing_nbproof_loads_nothing_heavy() -> None:
    """`import nbproof` costs nothing: neither an engine, nor a tracker, nor the command line."""
    assert loaded_by("import nbproof") & (HEAVY | {"click", "rich", "yaml"}) == set()


def test_help_loads_nothing_heavy() -> None:
    """`nbproof --help` answers at once, since commands import what they need when they run."""
    assert loaded_by("from nbproof.cli.main import carry_out; carry_out(['--help'])") & (HEAVY | {"rich"}) == set()


@pytest.fixture(scope="module")
def project_that_is_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline of two notebooks, a script among them, has been carried out."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\nworkers = 1\n")
    (folder / "helper.py").write_text("one = 1\n")
    first = '# %% tags=["parameters"]\nupstream = None\nproduct = None\nrows: int = 1\n\n# %%\nimport helper\n'
    (folder / "first.py").write_text(first)
    second = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {"cell_type": "code", "id": name, "metadata": {"tags": tags}, "source": source, "outputs": [],
             "execution_count": None}
            for name, tags, source in (("a", ["parameters"], "upstream = ['first']\nproduct = None"), ("b", [], "1"))
        ],
    }  # fmt: skip
    (folder / "second.ipynb").write_text(json.dumps(second))
    (folder / "pipeline.yaml").write_text(
        "tasks:\n- {source: first.py, product: build/first.ipynb, params: {rows: 2}}\n"
        "- {source: second.ipynb, product: build/second.ipynb}\n"
    )
    subprocess.run([sys.executable, "-m", "nbproof", "run"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("command", ["status", "run"])
def test_a_command_with_nothing_to_do_loads_nothing_heavy(project_that_is_done: Path, command: str) -> None:
    """Neither Ploomber nor any library of notebooks is needed to see that all is fresh."""
    idle = {
        "asyncio",
        "filelock",
        "jsonschema",
        "nbconvert",
        "networkx",
        "parso",
        "rich",
        "sqlite3",
        "traitlets",
        "yaml",
    }

    loaded = loaded_by(
        f"import os\nos.chdir({str(project_that_is_done)!r})\n"
        f"from nbproof.cli.main import carry_out\nassert carry_out([{command!r}]) == 0"
    )

    assert loaded & (HEAVY | idle) == set()
    assert "click" in loaded


def test_a_run_with_something_to_do_loads_no_ploomber(project_that_is_done: Path) -> None:
    """The runner needs neither Ploomber nor Papermill nor Jupyter; only a script needs jupytext to be read."""
    loaded = loaded_by(
        f"import os\nos.chdir({str(project_that_is_done)!r})\n"
        "from nbproof.cli.main import carry_out\nassert carry_out(['run', '--force']) == 0"
    )

    assert loaded & HEAVY <= {"jupytext", "nbformat", "jupyter_client"}


def test_the_top_level_is_what_the_readme_says() -> None:
    """Nothing lies at the top that the layout does not name, and nothing that it names is missing."""
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}

    assert found - {"benchmarks"} == LAYOUT


def test_every_command_is_documented() -> None:
    """The reference of the command line is what the commands say of themselves (to mend: make docs)."""
    assert (ROOT / "docs/reference/cli.md").read_text() == reference()


@pytest.mark.parametrize("path", [path for path, _ in walk(commands, ())], ids=" ".join)
def test_every_command_shows_an_example(path: tuple[str, ...]) -> None:
    """Each command's help has an example that begins with the command itself, and each but a group offers --json."""
    command = dict(walk(commands, ()))[path]

    assert f"Example:\n      nbproof {' '.join(path)}" in (command.help or "").replace("\b\n", "")
    assert hasattr(command, "commands") or "--json" in {name for option in command.params for name in option.opts}


def test_the_picture_shows_the_pipeline() -> None:
    """The picture in the README is the pipeline as it stands, all eleven phases of it (to mend: make docs)."""
    project = open_project(ROOT)
    loaded = load_pipeline(project, ROOT / "pipelines/credit")

    assert sorted(task.name for task in loaded.pipeline.tasks) == [phase.name for phase in PHASES]
    assert (ROOT / "docs/pipeline.svg").read_text() == svg(loaded.pipeline)


def ranges(requirements: Iterable[str]) -> dict[str, str]:
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(found.name): str(found.specifier) for found in parsed if found.name != "nbproof"}


def test_conda_users_get_what_pyproject_says() -> None:
    """environment.yml has the Python, names and ranges of pyproject.toml, but for the developers' tools."""
    declared = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    *packages, ourselves = next(entry["pip"] for entry in declared if isinstance(entry, dict))
    extras = PROJECT["optional-dependencies"]
    used = [text for extra in extras if extra != "dev" for text in extras[extra]]

    assert declared[0] == f"python{PROJECT['requires-python']}"
    assert ourselves == "-e ."
    assert ranges(packages) == ranges([*PROJECT["dependencies"], *used])


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    """constraints.txt names one version of each package that pyproject.toml names, and that version is allowed."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    texts = [*PROJECT["dependencies"], *(text for extra in PROJECT["optional-dependencies"].values() for text in extra)]

    for requirement in map(Requirement, texts):
        if requirement.name != "nbproof":
            assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_no_file_names_a_machine_or_a_registry() -> None:
    """What is committed holds no path of somebody's machine and no host of a package registry."""
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {host}" for host in REGISTRIES if host in text]
        found += [f"{path.relative_to(ROOT)}: {match}" for match in HOME_PATH.findall(text)]

    assert found == []


def test_notebooks_are_committed_without_outputs() -> None:
    """Outputs belong to runs: a committed notebook has none, and no execution count."""
    notebooks = [path for path in tracked("*.ipynb") if "tests" not in path.relative_to(ROOT).parts]
    run = [
        f"{path.name}: {cell['id']}"
        for path in notebooks
        for cell in json.loads(path.read_text())["cells"]
        if cell.get("outputs") or cell.get("execution_count") is not None
    ]

    assert len(notebooks) >= len(PHASES)
    assert run == []


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_every_phase_has_its_notebook_and_its_guide(phase: Any) -> None:
    """Each of the eleven phases is one notebook, one guide page and one row of the concept page."""
    row = f"| [`{phase.name}`](../guides/{phase.name}.md) {phase.title} | {phase.layer} | {phase.purpose} |"

    assert (ROOT / "notebooks" / f"{phase.name}.ipynb").is_file()
    assert (ROOT / phase.guide).read_text().startswith("# ")
    assert row in (ROOT / "docs/concepts/phases.md").read_text().splitlines()


def test_links_in_the_documentation_lead_somewhere() -> None:
    """Every relative link of a page leads to a file of the repository."""
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in [*tracked("docs/*.md", "README.md", "pipelines/*.md")]
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert broken == []


def test_imports_run_one_way() -> None:
    """Every import contract of pyproject.toml is kept."""
    ran = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout


TEACHERS = [path for path in sorted((ROOT / "src").rglob("*.py")) if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", TEACHERS, ids=lambda path: path.stem)
def test_examples_in_docstrings_are_true(path: Path) -> None:
    """What a docstring shows is what happens."""
    module = importlib.import_module(".".join(path.relative_to(ROOT / "src").with_suffix("").parts))

    result = doctest.testmod(module)

    assert result.attempted > 0
    assert result.failed == 0


def test_ci_runs_what_the_readme_says() -> None:
    """Continuous integration runs the test command of the README, and can be started."""
    script = ROOT / ".ci/run"

    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()
    assert "make test" in (ROOT / "README.md").read_text()
