"""The environment of a kernel: what decides it, and what it is when it cannot be known."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nbproof.errors import KernelUnusable, UnknownName
from nbproof.run.sources import environment


@pytest.fixture
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where Jupyter looks for the kernel `ours`."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    folder = tmp_path / "kernels" / "ours"
    folder.mkdir(parents=True)
    return folder / "kernel.json"


def write(kernelspec: Path, interpreter: str, language: str = "python", **env: str) -> None:
    argv = [interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    content = {"argv": argv, "display_name": "ours", "language": language, "env": env}
    kernelspec.write_text(json.dumps(content))


def test_the_own_interpreter_has_the_own_distributions(kernelspec: Path) -> None:
    """It is read in this process, without starting another one."""
    write(kernelspec, sys.executable)

    assert environment.of_kernel("ours") == environment.describe()
    assert "papermill" in environment.describe().packages


def test_another_interpreter_is_asked_itself(kernelspec: Path, tmp_path: Path) -> None:
    """A link to the same Python, without its environment, has other distributions: what it says counts."""
    link = tmp_path / "python-elsewhere"
    link.symlink_to(Path(sys.executable).resolve())
    write(kernelspec, str(link))

    found = environment.of_kernel("ours")

    assert found.interpreter == environment.describe().interpreter
    assert found.lock != environment.describe().lock


def test_variables_of_the_kernelspec_count(kernelspec: Path) -> None:
    """They may change what a library does."""
    write(kernelspec, sys.executable)
    before = environment.of_kernel("ours").lock
    write(kernelspec, sys.executable, OMP_NUM_THREADS="7")

    assert environment.of_kernel("ours").lock != before


def test_a_kernel_of_another_language_is_its_kernelspec(kernelspec: Path) -> None:
    """Nothing more can be known of it, and no module search path leads to Python modules."""
    write(kernelspec, "/usr/bin/R", language="R")

    found = environment.of_kernel("ours")

    assert (found.packages, found.search) == ({}, ())
    assert "/usr/bin/R" in found.interpreter


def test_an_interpreter_that_does_not_run_is_refused(kernelspec: Path) -> None:
    """Before any kernel: of an environment that cannot be described nothing can be called fresh."""
    write(kernelspec, "/nowhere/python")

    with pytest.raises(KernelUnusable, match="`/nowhere/python` of kernel `ours` does not run"):
        environment.check_kernel("ours")


def test_an_unknown_kernel_is_told_with_those_that_are_known(kernelspec: Path) -> None:
    """The message lists what could be asked for."""
    with pytest.raises(UnknownName, match=r"no kernel is called `theirs`; known: .*python3"):
        environment.check_kernel("theirs")


def test_the_lock_knows_versions_and_not_places() -> None:
    """The same packages elsewhere are the same environment."""
    here = environment.describe()

    assert replace(here, search=("/elsewhere",)).lock == here.lock
    assert replace(here, packages={**here.packages, "papermill": "0.0"}).lock != here.lock
