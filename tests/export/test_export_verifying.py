"""`nbproof verify`: a package holds anywhere, and no change of it goes unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exported import exported, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.export.packaging.provenance import FILE, read, spelled
from nbproof.records import ContentHash

NAME = "rates_draft"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package far from its project, which is gone."""
    folder = tmp_path_factory.mktemp("verified")
    made = exported(write_project(folder / "project"), "--other-values", "0.01")
    shutil.copytree(made, folder / "package")
    shutil.rmtree(folder / "project")
    return folder / "package"


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "package")
    return tmp_path / "package"


def signed_again(package: Path) -> None:
    """Whoever can write the provenance can hide a change of a file; not what it does."""
    content = dict(read(package).content)
    content["files"] = {name: ContentHash.of((package / name).read_bytes()).hex for name in content["files"]}
    (package / FILE).write_bytes(spelled(content))


def test_it_holds_where_its_project_is_not(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every file, the notebook run twice, the package once, and all values of the parameters that were compared."""
    code = carry_out(["verify", str(package), "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["name"], found["notebook"], found["approval"], found["notes"]) == (
        NAME, "rates.ipynb", "draft: not approved", [],
    )  # fmt: skip
    assert [proof["parameters"] for proof in found["equivalence"]] == [{}, {"rows": 3, "scale": 1.1}]
    assert {row["verdict"] for proof in found["equivalence"] for row in proof["rows"]} == {"equal"}


@pytest.mark.parametrize(
    "name",
    [
        "Containerfile", "PROVENANCE.json", "README.md", "notebook/rates.ipynb", "pyproject.toml",
        "requirements.lock", f"src/{NAME}/__init__.py", f"src/{NAME}/__main__.py", f"src/{NAME}/_checking.py",
        f"src/{NAME}/_command.py", f"src/{NAME}/_contract.py", f"src/{NAME}/_data/data/rates.csv",
        f"src/{NAME}/_modules/own_module.py", f"src/{NAME}/_notebook.json", f"src/{NAME}/_results.py",
        f"src/{NAME}/_surroundings.py", f"src/{NAME}/steps.py",
    ],
)  # fmt: skip
def test_one_changed_byte_is_found(package: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """In whatever file; the refusal names it, and nothing runs."""
    path = package / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    code = carry_out(["verify", str(package)])

    said = capsys.readouterr().err
    assert (code, name in said, "runs package" in said) == (3, True, False)


@pytest.mark.parametrize("where", range(0, 2400, 97))
def test_no_byte_of_the_provenance_changes_unseen(package: Path, where: int) -> None:
    """Also where it would still be JSON."""
    path = package / FILE
    content = bytearray(path.read_bytes())
    content[where] = ord("0") if content[where] != ord("0") else ord("1")
    path.write_bytes(content)

    assert carry_out(["verify", str(package)]) == 3


def _is_gone(package: Path) -> None:
    (package / f"src/{NAME}/steps.py").unlink()


def _is_added(package: Path) -> None:
    (package / f"src/{NAME}/more.py").write_text("")


def _has_no_provenance(package: Path) -> None:
    (package / FILE).unlink()


def _is_a_link(package: Path) -> None:
    path = package / f"src/{NAME}/steps.py"
    path.rename(package.parent / "steps.py")
    path.symlink_to(package.parent / "other.py")


@pytest.mark.parametrize("change", [_is_gone, _is_added, _has_no_provenance, _is_a_link])
def test_whatever_is_not_as_written_is_found(package: Path, change: Callable[[Path], None]) -> None:
    """Files that are gone, added, or lead elsewhere."""
    change(package)

    assert carry_out(["verify", str(package)]) == 3


def test_what_installing_leaves_is_no_change(package: Path) -> None:
    """Bytecode and the folders of builds are none of the package."""
    for name in ("build/lib/x.py", f"src/{NAME}/__pycache__/steps.pyc", f"src/{NAME}.egg-info/PKG-INFO"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")

    assert carry_out(["verify", str(package)]) == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("half(mean(rates)) * scale", "half(mean(rates)) * scale + 1e-12", "the value `rate` differs"),
        ('print("rows:", len(rates))', 'print("rows: ", len(rates))', "the printed `c4` differs"),
        ('write_text(f"{rate}")', 'write_text(f"{rate} ")', "the file `rate.txt` differs"),
        ("[:rows]", "[:2]", "the value `rates` differs"),
        ("return sum(numbers)", "raise KeyError('n') ; return sum(numbers)", "the error `run` differs"),
    ],
)
def test_what_gives_something_else_is_told(
    package: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    """Even when every hash fits: exit code 1, the value, and both sides. The fourth shows with other values only."""
    steps = package / f"src/{NAME}/steps.py"
    text = steps.read_text()
    assert old in text
    steps.write_text(text.replace(old, new))
    signed_again(package)

    code = carry_out(["verify", str(package)])

    assert (code, said in capsys.readouterr().err) == (1, True)


def test_another_notebook_under_the_same_digest_is_found(package: Path) -> None:
    """What the package says of its notebook is asked of the notebook."""
    notebook = package / "notebook/rates.ipynb"
    notebook.write_text(notebook.read_text().replace("* scale", "* scale * 1"))
    signed_again(package)

    assert carry_out(["verify", str(package)]) == 3


def test_another_environment_is_told(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds nevertheless holds; the versions that are others are named."""
    content: dict[str, Any] = dict(read(package).content)
    content["environment"] = {**content["environment"], "versions": {"numpy": "0.1", "not-there-at-all": "2"}}
    (package / FILE).write_bytes(spelled(content))

    code = carry_out(["verify", str(package), "--json"])

    notes = json.loads(capsys.readouterr().out)["notes"]
    assert code == 0
    assert "not-there-at-all is not installed, not 2" in notes[0]


def test_what_varies_by_itself_is_not_called_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A draw without a seed and a clock are counted as not steady, at the export and afterwards; the rest is equal."""
    notebook = write_notebook(
        tmp_path / "notebooks/varies.ipynb", "import random, time\ndrawn = random.random()\nat = time.time_ns()\nx = 1"
    )
    package = exported(notebook)
    capsys.readouterr()

    code = carry_out(["verify", str(package), "--json"])

    rows = json.loads(capsys.readouterr().out)["equivalence"][0]["rows"]
    assert (code, {row["name"]: row["verdict"] for row in rows}) == (
        0, {"drawn": "not steady", "at": "not steady", "x": "equal"},
    )  # fmt: skip
    assert (
        "Not proven, for two runs of the notebook itself do not agree on these" in (package / "README.md").read_text()
    )


def test_another_draw_from_the_same_start_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not steady is no excuse: from one start the package has to draw what the notebook draws."""
    notebook = write_notebook(tmp_path / "notebooks/varies.ipynb", "import random\ndrawn = random.random()")
    package = exported(notebook)
    steps = package / "src/varies_draft/steps.py"
    steps.write_text(steps.read_text().replace("random.random()", "random.random() * random.random()"))
    signed_again(package)

    code = carry_out(["verify", str(package)])

    assert (code, "the value `drawn` differs" in capsys.readouterr().err) == (1, True)
