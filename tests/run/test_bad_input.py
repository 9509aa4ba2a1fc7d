"""What cannot be carried out is refused in two lines, and before any kernel starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Workspace

pytestmark = pytest.mark.slow

NBPROOF = Path(sys.executable).parent / "nbproof"
MAKE = """\
# %% tags=["parameters"]
from typing import Annotated, Literal

from annotated_types import Ge

upstream = None
product = None
rows: Annotated[int, Ge(1)] = 3
kind: Literal["small", "large"] = "small"

# %%
print(rows)
"""
USE = """\
# %% tags=["parameters"]
upstream = ["make"]
product = None

# %%
print(upstream)
"""
PIPELINE = """\
tasks:
  - source: make.py
    product: build/make.ipynb
  - source: use.py
    product: build/use.ipynb
"""
# Notes every worker, every kernel, and every process that forks some, at the start of its interpreter.
WITNESS = """\
import os, sys
if any(name in word for word in sys.orig_argv for name in ("ipykernel", "nbproof.run.worker", "warm/zygote")):
    with open(os.environ["WITNESS"], "a") as file:
        file.write(" ".join(sys.orig_argv) + "\\n")
"""
VERSION_3 = json.dumps(
    {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "code", "language": "python", "input": ["1"], "outputs": []}]}],
    }
)
UNKNOWN_KERNEL = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "nosuch", "display_name": "No such", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": "parameters",
                "metadata": {"tags": ["parameters"]},
                "source": "upstream = None\nproduct = None",
                "outputs": [],
                "execution_count": None,
            }
        ],
    }
)
WITH_SECRET = """\
# %% tags=["parameters"]
from nbproof.notebook.secrets import Secret

upstream = None
product = None
token: Secret = "env:SOME_TOKEN"

# %%
print("ran")
"""


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which every worker and every kernel leaves a line."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(WITNESS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    return tmp_path / "witness"


@pytest.fixture
def pair(workspace: Workspace) -> Workspace:
    """A project with the pipeline `make` → `use`."""
    for name, text in {"make.py": MAKE, "use.py": USE, "pipeline.yaml": PIPELINE}.items():
        workspace.write(name, text)
    return workspace


def refusal(answer: subprocess.CompletedProcess[str]) -> str:
    """The error line, after checking that there is nothing else but one hint."""
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert answer.stdout == ""
    error, hint = answer.stderr.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    assert len(hint) > len("hint: ")
    return error


def test_a_good_pipeline_leaves_a_line_for_each_worker_and_each_kernel(pair: Workspace, witness: Path) -> None:
    """The witness of all the tests below sees what it is there to see."""
    pair.run(env={"NBPROOF_WARM": "false"})

    lines = witness.read_text().splitlines()
    assert sum("nbproof.run.worker" in line for line in lines) == 2
    assert sum("ipykernel" in line for line in lines) == 2


def test_a_good_pipeline_leaves_a_line_for_each_process_that_forks(pair: Workspace, witness: Path) -> None:
    """Warm workers and kernels come from one process each: no other pipeline has started these, for none has the same
    search path."""
    pair.run()

    lines = witness.read_text().splitlines()
    assert sum('"kind": "worker"' in line for line in lines) == 1
    assert sum('"kind": "kernel"' in line for line in lines) == 1
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        pytest.param("color=red", "`color`", id="an unknown parameter"),
        pytest.param("use.rows=3", "unknown parameter `rows`", id="a parameter of another task"),
        pytest.param("nosuch.rows=3", "no task is called `nosuch`", id="an unknown task"),
        pytest.param("rows=many", "`rows` is 'many', expected a whole number", id="a wrong type"),
        pytest.param("rows=0", "`rows` is 0, expected at least 1", id="a number out of range"),
        pytest.param("kind=huge", "`kind` is 'huge'", id="a word that is no choice"),
        pytest.param("rows", "found `rows`, expected name=value", id="no value"),
    ],
)
def test_a_parameter_that_does_not_fit(pair: Workspace, witness: Path, argument: str, said: str) -> None:
    """A wrong parameter is named, with what was expected."""
    answer = pair.run("-p", argument, expect=2)

    assert said in refusal(answer)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"use.py": USE.replace("make", "nosuch")}, "nosuch", id="a missing upstream"),
        pytest.param({"make.py": MAKE.replace("upstream = None", 'upstream = ["use"]')}, "a cycle: ", id="a cycle"),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("build/use.ipynb", "build/make.ipynb")},
            "tasks `make` and `use` with one product",
            id="two tasks with one product",
        ),
        pytest.param({"make.py": "\x00\x01 no notebook"}, "no cell tagged `parameters`", id="no notebook"),
        pytest.param(
            {"make.ipynb": "no notebook", "pipeline.yaml": PIPELINE.replace("make.py", "make.ipynb")},
            "no JSON",
            id="no notebook although it is called one",
        ),
        pytest.param(
            {"make.ipynb": VERSION_3, "pipeline.yaml": PIPELINE.replace("make.py", "make.ipynb")},
            "no cell tagged `parameters`",
            id="a notebook of nbformat 3, which is read, without parameters",
        ),
        pytest.param(
            {"make.py": "# %%\nprint(1)\n"}, "found no cell tagged `parameters`", id="a notebook without parameters"
        ),
        pytest.param(
            {"make.ipynb": UNKNOWN_KERNEL, "pipeline.yaml": PIPELINE.replace("make.py", "make.ipynb")},
            "no kernel is called `nosuch`; known: ",
            id="an unknown kernel",
        ),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("build/use.ipynb", "../use.ipynb")},
            "expected a path inside the project",
            id="a product outside the project",
        ),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("build/use.ipynb", "s3://bucket/use.ipynb")},
            "at a URL (`s3:",
            id="a product elsewhere",
        ),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("build/use.ipynb", "make.py/use.ipynb")},
            "cannot write in `",
            id="a product in a folder that is a file",
        ),
        pytest.param({"pipeline.yaml": "tasks: [\n"}, "found no YAML (", id="broken YAML"),
        pytest.param({"pipeline.yaml": ""}, "found no list of `tasks`", id="an empty pipeline"),
        pytest.param({"pipeline.yaml": "meta: {}\n"}, "found no list of `tasks`", id="no tasks"),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("source: use.py", "source: nosuch.py")},
            "nosuch.py`: found no such file",
            id="a notebook that is not there",
        ),
        pytest.param(
            {
                "pipeline.yaml": PIPELINE
                + "executor: {dotted_path: nbproof.run.executor.TaskExecutor, limits: {nosuch: {retries: 1}}}\n"
            },
            "found limits for `nosuch`, expected a task: make, use",
            id="limits of an unknown task",
        ),
        pytest.param(
            {
                "pipeline.yaml": PIPELINE
                + "executor: {dotted_path: nbproof.run.executor.TaskExecutor, limits: {make: {timeout: 1}}}\n"
            },
            "executor.limits.make",
            id="an unknown limit",
        ),
        pytest.param(
            {"pipeline.yaml": PIPELINE + "executor: {dotted_path: nbproof.run.executor.TaskExecutor, workers: 0}\n"},
            "executor.workers: found 0",
            id="no workers",
        ),
        pytest.param(
            {"pipeline.yaml": PIPELINE.replace("build/make.ipynb\n", "build/make.ipynb\n    params: {rows: 2.5}\n")},
            "task `make`: `rows` is 2.5, expected a whole number",
            id="a wrong type in pipeline.yaml",
        ),
    ],
)
def test_a_pipeline_that_describes_no_run(pair: Workspace, witness: Path, files: Mapping[str, str], said: str) -> None:
    """What is wrong with the pipeline, or with one of its notebooks, is named."""
    for name, text in files.items():
        pair.write(name, text)

    answer = pair.run(expect=2)

    assert said in refusal(answer)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param("nosuch.ipynb", "`nosuch.ipynb`: found nothing", id="nothing there"),
        pytest.param("empty", "a folder without `pipeline.yaml`", id="a folder without a pipeline"),
        pytest.param("pyproject.toml", "found a file ending in `.toml`", id="a file of another kind"),
    ],
)
def test_a_target_that_is_none(pair: Workspace, witness: Path, target: str, said: str) -> None:
    """What cannot be run is named, with what could be."""
    (pair.root / "empty").mkdir()

    answer = pair.nbproof("run", target, expect=2)

    assert said in refusal(answer)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("yaml", "arguments"),
    [
        pytest.param("", ("-p", "token=hunter2-hunter2"), id="on the command line"),
        pytest.param("    params: {token: hunter2-hunter2}\n", (), id="in pipeline.yaml"),
    ],
)
def test_a_secret_given_as_itself(pair: Workspace, witness: Path, yaml: str, arguments: tuple[str, ...]) -> None:
    """A secret parameter takes a reference only, and the refusal does not repeat the secret."""
    pair.write("make.py", WITH_SECRET)
    pair.write("pipeline.yaml", PIPELINE.replace("build/make.ipynb\n", f"build/make.ipynb\n{yaml}"))

    answer = pair.run(*arguments, expect=2)

    error = refusal(answer)
    assert "`token` holds a value, expected" in error
    assert "hunter2" not in answer.stderr
    assert not witness.exists()


def test_a_secret_in_the_parameters_cell(pair: Workspace, witness: Path) -> None:
    """The default of a secret parameter is a reference, too, and the refusal does not repeat the secret."""
    pair.write("make.py", WITH_SECRET.replace("env:SOME_TOKEN", "hunter2-hunter2"))

    answer = pair.run(expect=2)

    assert "token" in refusal(answer)
    assert "hunter2" not in answer.stderr
    assert not witness.exists()


def mounted(workspace: Workspace, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run the pipeline where only this one process tree sees what `commands` mount."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no `unshare` here, so no read-only file system can be made")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    probe = subprocess.run([unshare, *as_root, "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {probe.stderr.decode().strip()}")
    script = " && ".join([*commands, f"cd '{workspace.root}'", f"exec '{NBPROOF}' run pipeline.yaml"])
    return subprocess.run(
        [unshare, *as_root, "-m", "sh", "-c", script], cwd=workspace.root, capture_output=True, text=True, timeout=120
    )


def test_products_in_a_read_only_file_system(pair: Workspace, witness: Path) -> None:
    """A folder that not even root can write in is refused."""
    (pair.root / "build").mkdir()

    answer = mounted(pair, "mount -t tmpfs -o ro tmpfs build")

    assert f"cannot write in `{pair.root / 'build'}`: Read-only file system" in refusal(answer)
    assert not witness.exists()


def test_a_project_in_a_read_only_file_system(pair: Workspace, witness: Path) -> None:
    """A project that cannot keep its state is refused, before a courier has anything to say."""
    pair.write("pyproject.toml", "[tool.nbproof]\nworkers = 2\n")

    answer = mounted(pair, f"mount --bind '{pair.root}' '{pair.root}'", f"mount -o remount,bind,ro '{pair.root}'")

    assert f"cannot write in `{pair.root}`: Read-only file system" in refusal(answer)
    assert not witness.exists()
