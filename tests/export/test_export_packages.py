"""Packages on the disk: installed, run from anywhere, and true to the notebook that they came from."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from exported import exported, python, write_notebook, write_project

from nbproof.cli.main import carry_out
from nbproof.export.packaging.naming import package_name
from nbproof.notebook.digest import digest
from nbproof.notebook.document import read

NAME = "rates_draft"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "project"
    exported(write_project(folder), "--other-values", "0.01")
    return folder


@pytest.fixture(scope="module")
def package(project: Path) -> Path:
    return project / "made" / NAME


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed to, far from where it was made."""
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index",
         "--no-build-isolation", "--target", str(target), str(package)],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


def test_it_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    """Installed, it brings its data and the notebook's own module, and prints the values as one JSON document."""
    ran = python("-m", NAME, "--json", "--rows", "3", folder=tmp_path, path=installed)

    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"rows": 3, "scale": 1.0, "rate": 2.0, "done": 3})
    assert ran.stderr == "rows: 3\n"
    assert (tmp_path / "rate.txt").read_text() == "2.0"


@pytest.mark.parametrize(("starts", "is_own"), [("__main__.main", True), ("run", False)])
def test_garbage_among_libraries_is_looked_for_in_processes_of_other_people(
    starts: str, is_own: bool, installed: Path, tmp_path: Path
) -> None:
    """The command line lets libraries stay until its process ends; whoever calls `run()` keeps their collector."""
    code = (
        f"import gc, {NAME}.__main__, contextlib\n"
        f"with contextlib.suppress(SystemExit):\n    {NAME}.{starts}()\n"
        "print(gc.get_freeze_count() > 0, gc.isenabled())"
    )
    ran = python("-c", code, folder=tmp_path, path=installed)

    assert ran.stdout.splitlines()[-1] == f"{is_own} True", ran.stderr


def test_it_works_where_it_is_told_to(installed: Path, tmp_path: Path) -> None:
    """With --out the folder is made, holds the data and what was written, and what is elsewhere stays."""
    ran = python("-m", NAME, "--out", "made/here", folder=tmp_path, path=installed)

    lines = ran.stdout.splitlines()
    assert (lines[0], lines[-1], sorted(lines[1:-1])) == (
        "rows: 2",
        "wrote rate.txt",
        ["done = 3", "lines: list", "rate = 1.5", "rates: list", "rows = 2", "scale = 1.0"],
    )  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "made/here").rglob("*")) == ["data", "rate.txt", "rates.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_data_that_is_there_is_used(installed: Path, tmp_path: Path) -> None:
    """What lies in the working folder is never written over."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rates.csv").write_text("10\n10\n")

    ran = python("-m", NAME, "--json", folder=tmp_path, path=installed)

    assert json.loads(ran.stdout)["rate"] == 5.0
    assert (tmp_path / "data/rates.csv").read_text() == "10\n10\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "two"), "`rows` is 'two', expected a whole number"),
        (("--rowz", "2"), "unrecognized arguments: --rowz 2"),
        (("--row", "2"), "unrecognized arguments: --row 2"),
        (
            ("--rows", "1.5", "--scale", "x"),
            "`rows` is '1.5', expected a whole number; `scale` is 'x', expected a number",
        ),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    installed: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Exit code 2, every problem, what to type next, and nothing ran."""
    ran = python("-m", NAME, *words, folder=tmp_path, path=installed)

    assert (ran.returncode, ran.stdout, ran.stderr) == (
        2, "", f"error: {said}\nhint: python -m {NAME} --help\n",
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_an_error_names_the_cell(installed: Path, tmp_path: Path) -> None:
    """The line of the function's cell, and that of the cell that called it, as they stand in the notebook."""
    ran = python("-m", NAME, "--rows", "0", folder=tmp_path, path=installed)

    assert (ran.returncode, ran.stderr) == (
        1,
        "error: ZeroDivisionError: division by zero "
        "(in rates.ipynb: cell 6, line 3, called in cell 6, line 5)\n",
    )  # fmt: skip


def test_a_call_gives_all_that_the_notebook_leaves(installed: Path, tmp_path: Path) -> None:
    """Values by name, what was displayed by cell, files by name; local modules are gone from the path afterwards."""
    code = (
        f"import {NAME}, sys\nbefore = list(sys.path)\nfound = {NAME}.run(rows=3)\n"
        "print(dict(sorted(found.items())), found.displayed, list(found.files), sys.path == before)"
    )

    ran = python("-c", code, folder=tmp_path, path=installed)

    assert ran.stdout.splitlines()[1] == (
        "{'done': 3, 'lines': ['2', '4', '6'], 'rate': 2.0, 'rates': [2, 4, 6], 'rows': 3, 'scale': 1.0} "
        "{'c6': [2.0]} ['rate.txt'] True"
    )


def test_another_module_of_the_same_name_is_left_alone(installed: Path, tmp_path: Path) -> None:
    """The package computes with its own, and the caller goes on with theirs."""
    (tmp_path / "own_module.py").write_text("def half(number):\n    return 'mine'\n")
    code = (
        f"import own_module, {NAME}\nfound = {NAME}.run()\nimport own_module as again\n"
        "print(found['rate'], again.half(1), again is own_module)"
    )

    ran = python("-c", code, folder=tmp_path, path=installed)

    assert ran.stdout.splitlines()[1] == "1.5 mine True"


def test_steps_that_were_loaded_with_another_module_compute_with_their_own(installed: Path, tmp_path: Path) -> None:
    """A run is right whatever was imported before it."""
    (tmp_path / "own_module.py").write_text("def half(number):\n    return 'mine'\n")
    code = f"import own_module, {NAME}\nfrom {NAME} import steps\nprint({NAME}.run()['rate'])"

    ran = python("-c", code, folder=tmp_path, path=installed)

    assert ran.stdout.splitlines()[1:] == ["1.5"]


def test_steps_can_be_called_by_themselves(installed: Path, tmp_path: Path) -> None:
    """They find the notebook's own module."""
    ran = python("-c", f"from {NAME} import steps\nprint(steps.half(3))", folder=tmp_path, path=installed)

    assert ran.stdout == "1.5\n"


def test_a_draft_says_so_everywhere(package: Path) -> None:
    """In its name, for whoever reads, for machines, and in the code."""
    entrance = (package / f"src/{NAME}/__init__.py").read_text()
    told = json.loads((package / "PROVENANCE.json").read_bytes())

    assert "This is a draft: nobody has approved the notebook." in (package / "README.md").read_text()
    assert told["approval"] == {"decisions": [], "state": "draft: not approved"}
    assert "IS_DRAFT = True" in entrance
    assert tomllib.loads((package / "pyproject.toml").read_text())["project"]["name"] == "rates-draft"


def test_the_notebook_goes_along_with_its_digest(project: Path, package: Path) -> None:
    """The digest in the code is that of the notebook, and of the copy without outputs."""
    original, copy = read(project / "notebooks/rates.ipynb"), read(package / "notebook/rates.ipynb")

    assert digest(copy) == digest(original)
    assert f'NOTEBOOK_DIGEST = "{digest(original).hex}"' in (package / f"src/{NAME}/__init__.py").read_text()


def test_the_provenance_names_every_file(package: Path) -> None:
    """Each with the hash of its bytes; data with where it lay; every value that was compared."""
    told = json.loads((package / "PROVENANCE.json").read_bytes())
    files = {path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
             for path in package.rglob("*") if path.is_file()}  # fmt: skip

    assert told["files"] == {name: value for name, value in files.items() if name != "PROVENANCE.json"}
    assert told["working"]["data"] == [
        {"along": True, "path": "data/rates.csv", "sha256": hashlib.sha256(b"2\n4\n6\n").hexdigest(), "size": 6}
    ]
    compared = [(row["what"], row["name"], row["verdict"]) for row in told["equivalence"][0]["rows"]]
    assert compared == [
        ("value", "rows", "equal"), ("value", "scale", "equal"), ("value", "lines", "equal"),
        ("value", "rates", "equal"), ("value", "rate", "equal"), ("value", "done", "equal"),
        ("displayed", "c6[0]", "equal"), ("printed", "c4", "equal"), ("file", "rate.txt", "equal"),
    ]  # fmt: skip


def test_other_values_are_compared_too(package: Path) -> None:
    """Drawn from the contract, all changed at once first."""
    told = json.loads((package / "PROVENANCE.json").read_bytes())

    proofs = [(proof["parameters"], proof["counts"]) for proof in told["equivalence"]]
    assert proofs == [({}, {"equal": 9}), ({"rows": 3, "scale": 1.1}, {"equal": 9})]


def test_exporting_again_changes_no_byte(project: Path, package: Path) -> None:
    """One notebook, one package: nothing in it says when it was made, or where."""
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}

    exported(project / "notebooks/rates.ipynb", "--other-values", "0.01")

    assert {path: path.read_bytes() for path in package.rglob("*") if path.is_file()} == before


def test_what_is_marked_is_kept(tmp_path: Path) -> None:
    """Marked places stay where they were when the notebook changes; they are part of what is proven."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "x = 1\nx", "# More", "y = x + 1\ny")
    package = exported(notebook)
    steps = package / "src/one_draft/steps.py"
    mark = "# nbproof: keep\n# Asked for by Ana.\n# nbproof: end\n"
    lines = steps.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith("def more"))
    steps.write_text("".join([*lines[:at], mark, *lines[at:]]))
    write_notebook(notebook, "x = 2\nx", "# More", "y = x + 1\ny")

    exported(notebook)
    once = steps.read_text()
    steps.write_text(once.replace("Ana", "Bela"))
    exported(notebook)

    assert (once.count(mark), "x = 2" in once) == (1, True)
    assert "# Asked for by Bela." in steps.read_text()
    assert carry_out(["verify", str(package)]) == 0


def test_what_is_changed_by_hand_is_never_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of the marked places a change is refused with the difference, and the folder stays as it is."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "x = 1\nx")
    package = exported(notebook)
    steps = package / "src/one_draft/steps.py"
    steps.write_text(steps.read_text().replace("x = 1", "x = 1 + 0"))
    (package / "note.txt").write_text("mine\n")
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}

    code = carry_out(["export", str(notebook), "--draft", "--out", str(package.parent)])

    said = capsys.readouterr().err
    assert code == 3
    assert "-    x = 1 + 0" in said
    assert "+    x = 1" in said
    assert {path: path.read_bytes() for path in package.rglob("*") if path.is_file()} == before


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no exported package is not replaced, and nothing runs."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "x = 1\nx")
    (tmp_path / "made/one_draft").mkdir(parents=True)
    (tmp_path / "made/one_draft/thesis.txt").write_text("years of work")

    code = carry_out(["export", str(notebook), "--draft", "--out", str(tmp_path / "made")])

    assert (code, "is no exported package" in capsys.readouterr().err) == (2, True)
    assert (tmp_path / "made/one_draft/thesis.txt").read_text() == "years of work"


def test_a_disk_that_takes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything runs."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "open('ran.txt', 'w').close()")
    (tmp_path / "file").write_text("no folder")

    code = carry_out(["export", str(notebook), "--draft", "--out", str(tmp_path / "file/below")])

    assert (code, "cannot write" in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "notebooks/ran.txt").exists()


def test_data_above_the_notebook_goes_along(tmp_path: Path) -> None:
    """A notebook that reads from beside its folder works in a tree of the same shape."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/n.txt").write_text("7")
    notebook = write_notebook(
        tmp_path / "notebooks/above.ipynb",
        "from pathlib import Path\nn = int(Path('../data/n.txt').read_text())\nPath('../out.txt').write_text('x')\nn",
    )
    source = exported(notebook) / "src"
    (tmp_path / "elsewhere").mkdir()

    inside = python("-m", "above_draft", "--json", "--out", "tree", folder=tmp_path / "elsewhere", path=source)
    without = python("-m", "above_draft", folder=tmp_path / "elsewhere/tree", path=source)

    assert json.loads(inside.stdout) == {"n": 7}
    assert (tmp_path / "elsewhere/tree/out.txt").is_file()
    assert (without.returncode, "`python -m above_draft --out DIR`" in without.stderr) == (1, True)


@pytest.mark.parametrize("reading", ["open(FILE).read()", "open(FOLDER + '/' + os.listdir(FOLDER)[0]).read()"])
def test_data_many_steps_above_goes_along_where_the_notebook_names_the_way(tmp_path: Path, reading: str) -> None:
    """However far: a way that the notebook spells from its own folder is the same in a tree of the same shape."""
    (tmp_path / "project/data").mkdir(parents=True)
    (tmp_path / "project/data/n.txt").write_text("7")
    notebook = write_notebook(
        tmp_path / "project/one/two/three/four/five/above.ipynb",
        "import os\nFOLDER = '../../../../../data'\nFILE = FOLDER + '/n.txt'",
        f"n = int({reading})\nn",
    )
    package = exported(notebook)
    shutil.rmtree(tmp_path / "project/data")

    ran = python("-m", "above_draft", "--json", "--out", "tree", folder=tmp_path, path=package / "src")

    assert json.loads(ran.stdout)["n"] == 7


def test_large_data_is_declared_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays where it is; the package is proven with it, and verified where it is handed over."""
    monkeypatch.setattr("nbproof.export.working.LARGEST", 4)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/large.txt").write_text("12345")
    notebook = write_notebook(tmp_path / "notebooks/large.ipynb", "text = open('large.txt').read()\ntext")

    package = exported(notebook)

    assert "`large.txt`, 5 bytes, sha256" in (package / "README.md").read_text()
    assert not list(package.rglob("large.txt"))
    assert carry_out(["verify", str(package)]) == 3
    assert carry_out(["verify", str(package), "--data", str(tmp_path / "notebooks")]) == 0


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (("import socket\ntry:\n    socket.getaddrinfo('nowhere.invalid', 80)\nexcept OSError:\n    pass\nx = 1",),
         "cell 1: it needs the network (socket.getaddrinfo nowhere.invalid)"),
        (("import subprocess\nx = subprocess.run(['true']).returncode",), "cell 1: it runs another program"),
        (("from pathlib import Path\nx = len(Path('given.txt').read_text())\nPath('given.txt').write_text('more')",),
         "it changes `given.txt`, which it reads itself"),
        (("from pathlib import Path\nx = Path('given.txt').exists()",),
         "`x` depends on what lies in the notebook's folder"),
        (("x = 1", "y = 2\n1 / 0"), "cell 2, line 2 fails: ZeroDivisionError: division by zero"),
        (("x = dir()\ny = input()", "z = Out[1]"), "  cell 1, line 2: `input`: it waits for somebody to type"),
    ],
)  # fmt: skip
def test_what_cannot_be_given_to_a_package_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: tuple[str, ...], reason: str
) -> None:
    """Exit code 3, the cell and the reason; nothing is left behind."""
    notebook = write_notebook(tmp_path / "notebooks/refused.ipynb", *cells)
    (tmp_path / "notebooks/given.txt").write_text("given")

    code = carry_out(["export", str(notebook), "--draft", "--out", str(tmp_path / "made")])

    assert (code, reason in capsys.readouterr().err) == (3, True)
    assert not (tmp_path / "made").exists()


def test_every_refusal_has_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, each with its place."""
    notebook = write_notebook(tmp_path / "notebooks/refused.ipynb", "x = dir()\ny = input()", "z = Out[1]")

    carry_out(["export", str(notebook), "--draft"])

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0].strip() for line in lines] == [
        "error", "cell 1, line 1", "cell 1, line 2", "cell 2, line 1", "hint",
    ]  # fmt: skip


def test_what_nobody_has_approved_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3, before anything runs."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "raise SystemExit('it ran')")

    code = carry_out(["export", str(notebook)])

    said = capsys.readouterr().err
    assert (code, "expected an approval of what is there now" in said, "it ran" in said) == (3, True, False)


def test_a_name_hides_no_module(tmp_path: Path) -> None:
    """Neither an installed one, nor Python's own, nor one beside the notebook."""
    (tmp_path / "softmax.py").write_text("")

    names = [package_name(tmp_path / f"{stem}.ipynb") for stem in ("matplotlib", "json", "softmax", "class", "été 1")]

    assert names == ["matplotlib_notebook", "json_notebook", "softmax_notebook", "class_notebook", "ete_1"]


@pytest.mark.parametrize("name", ["Scores", "../x", "json", "1x", ""])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """Exit code 2, whatever would have come of it."""
    notebook = write_notebook(tmp_path / "notebooks/one.ipynb", "x = 1")

    assert carry_out(["export", str(notebook), "--draft", "--name", name]) == 2


TABLES = (
    "import pandas as pd\nfrom pathlib import Path\nfolder = Path('data')\n"
    "frame = pd.read_parquet(folder / 'given.parquet')\n"
    "frame.assign(c={}).to_parquet('made.parquet')\nmade = pd.read_parquet('made.parquet')"
)


def test_tables_that_are_read_and_written_past_python_are_found(tmp_path: Path) -> None:
    """What nobody hears being read is found missing, and goes along; what is written is compared."""
    (tmp_path / "notebooks/data").mkdir(parents=True)
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "notebooks/data/given.parquet")
    notebook = write_notebook(tmp_path / "notebooks/tables.ipynb", TABLES.format(1))

    told = json.loads((exported(notebook) / "PROVENANCE.json").read_bytes())

    files = [(row["name"], row["verdict"]) for row in told["equivalence"][0]["rows"] if row["what"] == "file"]
    assert files == [("made.parquet", "equal")]
    assert [held["path"] for held in told["working"]["data"]] == ["data/given.parquet"]


def test_a_notebook_of_a_pipeline_works_in_its_folder(tmp_path: Path) -> None:
    """Where it works there, it finds what earlier tasks have made."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (tmp_path / "flow/build").mkdir(parents=True)
    (tmp_path / "flow/build/n.txt").write_text("7")
    (tmp_path / "flow/pipeline.yaml").write_text(
        "tasks:\n- {source: ../notebooks/second.ipynb, product: build/x.ipynb}\n"
    )
    notebook = write_notebook(
        tmp_path / "notebooks/second.ipynb",
        ("upstream = None\nproduct = None", ["parameters"]),
        "n = int(open('build/n.txt').read())\nn",
    )

    told = json.loads((exported(notebook) / "PROVENANCE.json").read_bytes())

    assert [held["path"] for held in told["working"]["data"]] == ["build/n.txt"]


GIVEN = ("n: int = 3  # how many\nupstream = None\nproduct = None", ["parameters"]), "doubled = 2 * n\ndoubled"


@pytest.mark.parametrize(
    ("tasks", "options", "shown"),
    [
        (["{source: n.ipynb, product: a.ipynb, params: {n: 5}}"], [], [{"n": 5}]),
        (["{source: n.ipynb, product: a.ipynb, params: {n: 5}}"], ["-p", "n=7"], [{"n": 7}]),
        (["{source: n.ipynb, product: a.ipynb, params: {n: 3}}"], [], [{}]),
        (["{source: n.ipynb, product: a.ipynb, name: a, params: {n: 5}}",
          "{source: n.ipynb, product: b.ipynb, name: b, params: {n: 6}}"], [], [{}]),
    ],
)  # fmt: skip
def test_a_notebook_of_a_pipeline_has_the_values_that_it_is_given_there(
    tasks: list[str], options: list[str], shown: list[dict[str, int]], tmp_path: Path
) -> None:
    """What was approved are these values; a task whose values are its defaults, or that is two, runs as it is."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (tmp_path / "pipeline.yaml").write_text("tasks:\n" + "".join(f"- {task}\n" for task in tasks))
    notebook = write_notebook(tmp_path / "n.ipynb", *GIVEN)

    told = json.loads((exported(notebook, *options) / "PROVENANCE.json").read_bytes())

    assert [each["parameters"] for each in told["equivalence"]][:1] == shown
