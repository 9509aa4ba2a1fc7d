"""Files that DVC tracks: its hashes are DVC's own, and what they say of the data counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nbproof import assemble
from nbproof.data import dvc
from nbproof.errors import DataAbsent, DataUnusable

# What DVC 3.67.1 wrote for these files; `make test-engines` asks a real one again.
OF_FILE = "e5ebd4c02cefbe7955977c67ada242b7"
OF_FOLDER = "52c141e136ac989e12aeb2aeab020aa8.dir"
FOLDER = {"z.txt": "x", "sub/a.txt": "y", "a b/é.txt": "w", "sub.txt": "v", "sub-a": "u"}
POINTER = "outs:\n- md5: {md5}\n  size: 8\n  hash: md5\n  path: {name}\n"
NOTEBOOK = """\
# %% tags=["parameters"]
from pathlib import Path
upstream = None
product = None
panel: Path = Path("data/panel.csv")

# %%
panel.read_text()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file and a folder that DVC tracks."""
    place = tmp_path / "data"
    for name, text in FOLDER.items():
        (place / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "t" / name).write_text(text)
    (place / "panel.csv").write_text("a,b\n1,2\n")
    (place / "panel.csv.dvc").write_text(POINTER.format(md5=OF_FILE, name="panel.csv"))
    (place / "t.dvc").write_text(POINTER.format(md5=OF_FOLDER, name="t"))
    return place


@pytest.mark.parametrize("name", ["panel.csv", "t"])
def test_the_hashes_are_dvcs(data: Path, name: str) -> None:
    """Of a file as of a folder; a change or a removal is seen."""
    pointer = dvc.read(data / f"{name}.dvc")
    file = data / "panel.csv" if name == "panel.csv" else data / "t/sub/a.txt"

    assert dvc.is_as_said(pointer)
    file.write_text("other")
    assert not dvc.is_as_said(pointer)
    shutil.rmtree(pointer.data) if pointer.data.is_dir() else pointer.data.unlink()
    assert not dvc.is_as_said(pointer)


@pytest.mark.parametrize(
    "text", ["", "outs: []", "outs:\n- md5: a\n  path: other.csv\n", "{", "outs:\n- path: panel.csv\n", "5"]
)
def test_what_is_no_pointer_is_refused(data: Path, text: str) -> None:
    """Nothing is guessed from a file that is about something else."""
    (data / "panel.csv.dvc").write_text(text)

    with pytest.raises(DataUnusable, match=r"expected one output with its md5: `panel\.csv`"):
        dvc.read(data / "panel.csv.dvc")


@pytest.fixture
def project(tmp_path: Path, data: Path) -> assemble.Project:
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (tmp_path / "read.py").write_text(NOTEBOOK)
    (tmp_path / "pipeline.yaml").write_text("tasks:\n  - source: read.py\n    product: {nb: build/read.ipynb}\n")
    return assemble.open_project(tmp_path)


def load(project: assemble.Project) -> assemble.Loaded:
    return assemble.load_pipeline(project, project.root / "pipeline.yaml", [])


def test_another_version_is_another_fingerprint(project: assemble.Project, data: Path) -> None:
    """The pointer counts beside the data, so that records and reviews name the version."""
    assemble.run(project, load(project))
    (data / "panel.csv").write_text("a,b\n1,3\n")
    (data / "panel.csv.dvc").write_text(POINTER.format(md5="0" * 32, name="panel.csv"))

    (found,) = assemble.plan(project, load(project))

    assert found.reasons == (
        "declared data `data/panel.csv` changed",
        "declared data `data/panel.csv.dvc` changed",
    )


def test_what_was_not_fetched_starts_nothing(project: assemble.Project, data: Path) -> None:
    """A fresh clone has the pointer alone: nothing runs, and the command that brings the data is named."""
    (data / "panel.csv").unlink()

    with pytest.raises(DataAbsent, match=r"only `panel\.csv\.dvc`, which tracks it") as caught:
        assemble.run(project, load(project))

    assert str(caught.value.hint).startswith("dvc pull ")
    assert not (project.root / "build/read.ipynb").exists()
