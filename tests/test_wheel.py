"""What users install: the wheel is built, installed apart from the sources, and carries a project from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOURCES = Path(__file__).parents[1]
PANELS = SOURCES / "extensions/lab/build/labextension"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sources as they are."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(SOURCES)]
    # The panels are taken as they were built ahead of the tests: others look at them meanwhile.
    environ = os.environ | {"SKIP_JUPYTER_BUILDER": "1"}
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (built,) = folder.iterdir()
    return built


def test_the_wheel_carries_everything_but_the_tests(wheel: Path) -> None:
    """Types, templates and the Jupyter server's configuration are inside; tests and notebooks are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        config = next(name for name in names if name.endswith("jupyter_server_config.d/zz-nbproof.json"))
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()

    sources = {
        str(path.relative_to(SOURCES / "src"))
        for path in (SOURCES / "src/nbproof").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    assert "nbproof/py.typed" in names
    assert "nbproof/cli/templates/project/notebooks/measure.ipynb" in names
    assert config.endswith(".data/data/etc/jupyter/jupyter_server_config.d/zz-nbproof.json")
    panels = {
        f"nbproof-{version('nbproof')}.data/data/share/jupyter/labextensions/nbproof/{path.relative_to(PANELS)}"
        for path in PANELS.rglob("*")
        if path.is_file()
    }
    assert any(name.endswith(".js") for name in panels)
    assert panels <= names
    strangers = {name for name in names - sources if ".dist-info/" not in name and ".data/" not in name}
    assert strangers == set()
    assert "Requires-Python: >=3.11" in metadata


def test_a_project_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """`nbproof init demo && cd demo && nbproof run` works where there are no sources; a second run finds all fresh."""
    python = installed(wheel, tmp_path / "venv")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HOME": str(tmp_path)}

    def say(*command: str | Path, cwd: Path = tmp_path) -> str:
        answer = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=300)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    nbproof = python.parent / "nbproof"
    imported = Path(say(python, "-c", "import nbproof; print(nbproof.__file__)").strip())
    assert imported.is_relative_to(tmp_path / "venv")
    assert (tmp_path / "venv/etc/jupyter/jupyter_server_config.d/zz-nbproof.json").is_file()
    assert (tmp_path / "venv/etc/jupyter/labconfig/page_config.d/zz-nbproof.json").is_file()
    assert (tmp_path / "venv/share/jupyter/labextensions/nbproof/package.json").is_file()

    say(nbproof, "init", "demo")
    first = say(nbproof, "run", cwd=tmp_path / "demo")
    assert "3 done)" in first
    assert "everything is fresh: none of the 3 tasks of demo had to run" in say(nbproof, "run", cwd=tmp_path / "demo")


def installed(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment that has the wheel itself, and sees everything else where the tests have it."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (site,) = (folder / "lib").glob("python*/site-packages")
    # A folder named in a .pth file comes after the environment's own, and its own .pth files are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
