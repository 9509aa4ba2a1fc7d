"""Folders of notebooks that nobody wrote for nbproof, taken over: what is found, what is changed, what is said."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import foreign_notebooks as foreign
import pytest
from foreign_notebooks import notebook, source_of, write
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nbproof.adopt.proposing import LARGEST_COPY, Proposal, propose
from nbproof.adopt.proposing import write as write_proposal
from nbproof.cli.main import carry_out
from nbproof.errors import PipelineInvalid
from nbproof.notebook.syntax import cell_tree
from nbproof.run.pipeline.loading import load


def proposed(tmp_path: Path, files: dict[str, str], **options: object) -> Proposal:
    """What is proposed for these files; it is written to `project`, and nbproof reads its pipeline."""
    folder = write(tmp_path / "theirs", files)
    proposal = propose(folder, "taken", **options)  # type: ignore[arg-type]
    write_proposal(proposal, tmp_path / "project")
    load(tmp_path / "project/pipelines/taken", tmp_path / "project")
    return proposal


def code(tmp_path: Path, task: str) -> list[str]:
    """The code cells of a copy."""
    return source_of(tmp_path / f"project/notebooks/{task}.ipynb")


# The whole way


def test_ten_notebooks_in_many_styles_are_a_pipeline(tmp_path: Path) -> None:
    """The files that they share make the order; each knows what it reads and what it writes."""
    proposal = proposed(tmp_path, dict(foreign.TEN), kernels=("python3",))

    assert {task.name: (task.upstream, task.writes) for task in proposal.tasks} == {
        "nb_01_load_clean": ((), ("data/clean/sales.csv",)),
        "nb_02_totals": (("nb_01_load_clean",), ("totals.json",)),
        "nb_03_features": (("nb_01_load_clean",), ("data/clean/features.npy", "data/clean/columns.txt")),
        "nb_04_train": (("nb_03_features",), ("models/ridge_v1.joblib",)),
        "nb_05_plot": (("nb_03_features", "nb_04_train"), ("plot.png",)),
        "nb_06_check": (("nb_02_totals",), ()),
        "nb_07_papermill": (("nb_01_load_clean",), ("head.json",)),
        "nb_08_glob": ((), ("count.txt",)),
        "nb_09_notes": ((), ()),
        "reports_final_report": (("nb_02_totals", "nb_05_plot"), ("reports/final.html",)),
    }
    assert proposal.edits == ()
    assert [str(remark) for remark in proposal.remarks] == [
        "broken.ipynb: left out: found a notebook cut short at line 1",
        "old.ipynb: left out: no code that this Python can read (cell 1, line 1: Python 2)",
        "other/analysis.ipynb: left out: a notebook in R",
        "script.R: left out: no notebook in Python",
        "08_glob.ipynb: its kernel `conda-env-other-py` is not known here: `python3` instead",
    ]


@pytest.mark.slow
def test_ten_notebooks_in_many_styles_run(tmp_path: Path) -> None:
    """What is proposed for them runs as it is, and its products are those of the notebooks in their own folder."""
    folder = write(tmp_path / "theirs", foreign.TEN)
    before = hashed(folder)
    environment = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)

    for command in (["init", "shop", "--from", "theirs"], ["run"]):
        place = tmp_path if command[0] == "init" else tmp_path / "shop"
        ran = subprocess.run([sys.executable, "-m", "nbproof", *command], cwd=place, env=environment,
                             capture_output=True, text=True, check=False)  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr

    rows = [row.split(",") for row in foreign.ROWS.splitlines()[1:]]
    kept = [(shop, int(sold)) for _, shop, sold in rows if int(sold) >= 1][:60]
    totals = {name: sum(sold for shop, sold in kept if shop == of) for of, name in (("a", "North"), ("bb", "South"))}
    home = tmp_path / "shop/pipelines/shop"
    assert hashed(folder) == before
    assert json.loads((home / "totals.json").read_text()) == totals
    assert (home / "reports/final.html").read_text() == f"<h1>{sum(totals.values())}</h1>"
    assert (home / "count.txt").read_text() == "80"
    assert (home / "models/ridge_v1.joblib").is_file()
    assert (home / "plot.png").stat().st_size > 1000


def hashed(folder: Path) -> dict[str, str]:
    """Every file of a folder with the hash of its content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_folder_gives_the_same_proposal(tmp_path: Path) -> None:
    """Nothing of a proposal is drawn, dated or in the order of a disk."""
    texts = []
    for place in ("a", "b"):
        folder = write(tmp_path / place / "theirs", dict(sorted(foreign.TEN.items(), reverse=place == "b")))
        texts.append(propose(folder, "shop").texts)

    assert texts[0] == texts[1]


# Parameters


def test_constants_at_the_top_become_parameters(tmp_path: Path) -> None:
    """A constant moves with its remark and gets its type; what comes after the work has begun stays."""
    proposed(tmp_path, {"a.ipynb": notebook(
        "import os\n\n# how many\nN = 100\nrate = 0.5  # per day\nnames = ['x', 'y']\nWHEN = os.getenv('X')",
        "late = 1",
        "print(N, rate, names, late)",
    )})  # fmt: skip

    assert code(tmp_path, "a") == [
        "upstream = None\nproduct = None\n\n# how many\nN: int = 100\nrate: float = 0.5  # per day\n"
        "names: list[str] = ['x', 'y']",
        "import os\n\nWHEN = os.getenv('X')",
        "late = 1",
        "print(N, rate, names, late)",
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "n = 1\nn += 1\nprint(n)",  # bound twice
        "n = 1; print(n)",  # one line with something else
        "def f():\n    global n\n    n = 2\n\nn = 1",
        "for n in range(3):\n    print(n)",
        "max = 3\nprint(max)",  # a builtin, which somebody may have used before
        "n = open",
        "n = 'a' * 3",
    ],
)
def test_what_is_no_constant_stays_where_it_is(tmp_path: Path, cell: str) -> None:
    """Nothing is invented: a name that is bound again, or shares its line, is no parameter."""
    proposal = proposed(tmp_path, {"a.ipynb": notebook(cell)})

    assert proposal.tasks[0].parameters == ()
    assert code(tmp_path, "a")[1:] == [cell]


def test_what_a_path_is_made_of_is_no_parameter(tmp_path: Path) -> None:
    """With another year the notebook would still read this file, so that the year could not be given."""
    proposal = proposed(tmp_path, {
        "a.ipynb": notebook(
            "YEAR = 2020\nROWS = 3", "import pandas as pd\npd.read_csv(f'sales_{YEAR}.csv', nrows=ROWS)"
        ),
        "sales_2020.csv": "a\n1\n",
    })  # fmt: skip

    assert proposal.tasks[0].parameters == ("ROWS", "sales_2020_csv")
    assert code(tmp_path, "a")[1:] == ["YEAR = 2020", "import pandas as pd\npd.read_csv(sales_2020_csv, nrows=ROWS)"]


def test_what_looks_like_a_secret_is_told(tmp_path: Path) -> None:
    """A password does not become a value that every record shows."""
    proposal = proposed(tmp_path, {"a.ipynb": notebook("API_KEY = 'k9x8v7'\nN = 1")})

    assert proposal.tasks[0].parameters == ("N",)
    assert ["secret" in edit for edit in proposal.edits] == [True]


def test_the_parameters_of_papermill_stay_parameters(tmp_path: Path) -> None:
    """A cell that is tagged already gives the parameters; its other statements stay behind it."""
    cells = json.loads(notebook("import os", "n = 1\nhome = os.getcwd()", "print(n, home)"))
    cells["cells"][1]["metadata"] = {"tags": ["parameters"]}
    cells["cells"].insert(2, {**cells["cells"][2], "metadata": {"tags": ["injected-parameters"]}, "source": "n = 5"})
    proposed(tmp_path, {"a.ipynb": json.dumps(cells)})

    assert code(tmp_path, "a") == [
        "upstream = None\nproduct = None\n\nn: int = 1",
        "import os",
        "home = os.getcwd()",
        "print(n, home)",
    ]


# Files


WRITES = {
    "df.to_csv('x.csv')": "df.to_csv(product[\"x\"])",
    "df.to_parquet(path='x.parquet')": 'df.to_parquet(path=product["x"])',
    "open('x.txt', 'w').write('1')": 'open(product["x"], \'w\').write(\'1\')',
    "open('x.txt', mode='ab')": "open(product[\"x\"], mode='ab')",
    "plt.savefig('x.png', dpi=90)": 'plt.savefig(product["x"], dpi=90)',
    "np.save('x.npy', df)": 'np.save(product["x"], df)',
    "np.savez('x', df)": 'np.savez(product["x"], df)',
    "joblib.dump(df, 'x.joblib')": 'joblib.dump(df, product["x"])',
    "torch.save(df, 'x.pt')": 'torch.save(df, product["x"])',
    "model.save('x.keras')": 'model.save(product["x"])',
    "pickle.dump(df, open('x.pkl', 'wb'))": "pickle.dump(df, open(product[\"x\"], 'wb'))",
    "Path('x.txt').write_text('1')": 'Path(product["x"]).write_text(\'1\')',
    "(Path('d') / 'x.txt').write_bytes(b'')": '(Path(product["x"])).write_bytes(b\'\')',
    "with Path('d', 'x.txt').open('w') as f: f.write('é')": "with Path(product[\"x\"]).open('w') as f: f.write('é')",
    "print('é', df.to_csv('x.csv'))": "print('é', df.to_csv(product[\"x\"]))",
    "df.to_csv(os.path.join('d', 'x.csv'),\n          index=False)": 'df.to_csv(product["x"],\n          index=False)',
    "df.to_csv(\n    'x'\n    '.csv'\n)": 'df.to_csv(\n    product["x"]\n)',
    "shutil.copy(a, 'x.csv')": 'shutil.copy(a, product["x"])',
}  # fmt: skip
IMPORTS = "from pathlib import Path\nimport joblib, os, pickle, shutil, torch\nimport numpy as np"


@pytest.mark.parametrize("line", WRITES, ids=range(len(WRITES)))
def test_what_is_written_is_a_product(tmp_path: Path, line: str) -> None:
    """The path becomes the name of the product, and nothing else of the cell changes."""
    proposal = proposed(tmp_path, {"a.ipynb": notebook(IMPORTS, line)})

    assert [len(task.writes) for task in proposal.tasks] == [1]
    assert code(tmp_path, "a")[1:] == [IMPORTS, WRITES[line]]


@pytest.mark.parametrize(
    "line",
    [
        "json.dump(held, opened)",
        "df.to_csv()",
        "df.to_csv(buffer)",
        "pd.read_csv('https://host/x.csv')",
        "df.to_parquet('s3://bucket/x')",
        "json.load(opened)",
        "print('x.csv')",
        "df['x.csv'] = 1",
        "yaml.load('a: 1', Loader=None)",
    ],
)
def test_what_is_no_file_stays_as_it_is(tmp_path: Path, line: str) -> None:
    """Buffers, addresses and texts that name no file are left alone."""
    proposal = proposed(tmp_path, {"a.ipynb": notebook(line)})

    assert (proposal.tasks[0].writes, proposal.tasks[0].reads, proposal.rewritten) == ((), (), ())
    assert code(tmp_path, "a")[1:] == [line]


def test_data_is_copied_and_declared(tmp_path: Path) -> None:
    """What is only read is a parameter typed Path, so that another content makes the task stale."""
    proposed(
        tmp_path,
        {"sub/a.ipynb": notebook("text = open('../in/x.txt').read()"), "b.ipynb": notebook("1"), "in/x.txt": "hello"},
    )

    assert (tmp_path / "project/pipelines/taken/in/x.txt").read_text() == "hello"
    assert code(tmp_path, "sub_a") == [
        'from pathlib import Path\n\nupstream = None\nproduct = None\n\nx_txt: Path = Path("in/x.txt")',
        "text = open(x_txt).read()",
    ]


def test_large_and_missing_data_is_named(tmp_path: Path) -> None:
    """What is too large to copy, and what is not there, is left to whoever knows where it belongs."""
    (tmp_path / "theirs").mkdir()
    with (tmp_path / "theirs/large.bin").open("wb") as large:
        large.truncate(LARGEST_COPY + 1)
    proposal = proposed(tmp_path, {"a.ipynb": notebook("open('large.bin', 'rb')\nopen('deep/gone.txt')")})

    assert set(proposal.named) == {"pipelines/taken/large.bin", "pipelines/taken/deep/gone.txt"}
    assert len(proposal.edits) == 2
    assert not (tmp_path / "project/pipelines/taken/large.bin").exists()
    assert (tmp_path / "project/pipelines/taken/deep").is_dir()


def test_a_folder_that_is_listed_is_data_or_products(tmp_path: Path) -> None:
    """Listing a folder of data declares the folder; where other notebooks write, it comes after them."""
    proposal = proposed(tmp_path, {
        "in/1.txt": "1", "in/2.txt": "2",
        "a.ipynb": notebook("import glob\nlen(glob.glob('in/*.txt'))"),
        "b.ipynb": notebook("open('out/b.csv', 'w').write('b')"),
        "c.ipynb": notebook("from pathlib import Path\nfor f in Path('out').glob('*.csv'):\n    print(open(f).read())"),
        "d.ipynb": notebook("import os\nfor name in os.listdir('in'):\n    print(name)"),
    })  # fmt: skip

    assert {task.name: (task.upstream, task.reads) for task in proposal.tasks} == {
        "a": ((), ("in",)), "b": ((), ()), "c": (("b",), ("out/b.csv",)), "d": ((), ("in",)),
    }  # fmt: skip
    assert code(tmp_path, "a")[1] == 'import glob\nlen(glob.glob(f"{in_path}/*.txt"))'.replace("in_path", "file_in")
    assert code(tmp_path, "d")[1].startswith("import os\nfor name in os.listdir(file_in):")


def test_a_file_that_is_read_and_written_again_is_both(tmp_path: Path) -> None:
    """The file as it is is data; what the notebook makes of it is what others read."""
    proposal = proposed(tmp_path, {
        "x.csv": "1",
        "a.ipynb": notebook("old = open('x.csv').read()", "open('x.csv', 'w').write(old + '1')"),
        "b.ipynb": notebook("open('x.csv').read()"),
    })  # fmt: skip

    assert code(tmp_path, "a")[1:] == ["old = open(x_csv).read()", "open(product[\"x\"], 'w').write(old + '1')"]
    assert [task.upstream for task in proposal.tasks] == [(), ("a",)]
    assert (tmp_path / "project/pipelines/taken/given/x.csv").read_text() == "1"
    assert "reads `x.csv` and writes it again" in str(proposal.remarks[0])


def test_paths_that_are_made_while_it_runs_are_told(tmp_path: Path) -> None:
    """Where nothing is certain nothing is changed, and the line is named."""
    cell = "for name in 'ab':\n    open(f'out/{name}.txt', 'w').write(name)"
    proposal = proposed(tmp_path, {"a.ipynb": notebook("import os", cell), "out/.keep": ""})

    assert code(tmp_path, "a")[1:] == ["import os", cell]
    assert [str(remark) for remark in proposal.remarks] == [
        "a.ipynb, cell 2, line 2: writes a path that is made while it runs below `out`: `f'out/{name}.txt'`"
    ]
    assert (tmp_path / "project/pipelines/taken/out").is_dir()


def test_magics_stay_and_are_followed(tmp_path: Path) -> None:
    """Lines for IPython stay as they are; the code that some of them hold is followed."""
    cells = (
        "%matplotlib inline\n!pip install x\nfiles = !ls\nimport os",
        "%%time\nopen('x.txt', 'w').write('1')",
        "%time text = open('x.txt').read()\n?open",
        "%%bash\ncp a b",
        "!wget http://host/x.csv",
    )
    proposal = proposed(tmp_path, {"a.ipynb": notebook(*cells)})

    assert code(tmp_path, "a")[1:] == [
        cells[0],
        "%%time\nopen(product[\"x\"], 'w').write('1')",
        '%time text = open(product["x"]).read()\n?open',
        cells[3],
        cells[4],
    ]
    assert [(remark.cell, remark.line) for remark in proposal.remarks if remark.edit] == [(1, 3), (4, 1), (5, 1)]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("import os\nos.chdir('..')", "changes the folder"),
        ("%store x", "`%store`"),
        ("%run other.ipynb", "`%run`"),
        ("import sqlite3\nsqlite3.connect('x.db')", "database"),
        ("import shutil\nshutil.move('a.csv', 'b.csv')", "moves or removes"),
        ("open('x', mode)", "mode"),
        ("(base / name).open('wb')", "made while it runs"),
        ("pd.read_csv(base + name)", "made while it runs"),
    ],
)
def test_what_cannot_be_followed_is_told_with_what_to_do(tmp_path: Path, cell: str, words: str) -> None:
    """Each hidden way between notebooks is an edit that is printed."""
    proposal = proposed(tmp_path, {"a.ipynb": notebook(cell)})

    assert len(proposal.edits) == 1
    assert words in proposal.edits[0]


# Order


def test_a_cycle_is_refused(tmp_path: Path) -> None:
    """Two notebooks that need one another have no order; the files and the way out are named."""
    write(tmp_path, {
        "a.ipynb": notebook("open('y.txt').read()", "open('x.txt', 'w').write('1')"),
        "b.ipynb": notebook("open('x.txt').read()", "open('y.txt', 'w').write('1')"),
    })  # fmt: skip

    with pytest.raises(PipelineInvalid, match=r"a cycle: .*`b.ipynb` reads `x.txt` of `a.ipynb`") as caught:
        propose(tmp_path, "taken")

    assert caught.value.hint.startswith("leave one of them out: --without ")
    assert [task.name for task in propose(tmp_path, "taken", without=["b.ipynb"]).tasks] == ["a"]


def test_two_writers_of_what_a_third_reads_are_refused(tmp_path: Path) -> None:
    """Nobody can know which of the two is meant."""
    files = {name: notebook("open('x.txt', 'w').write('1')") for name in ("a.ipynb", "b.ipynb")}
    write(tmp_path, {**files, "c.ipynb": notebook("open('x.txt').read()")})

    with pytest.raises(
        PipelineInvalid, match=r"2 notebooks that write `x.txt` \(`a.ipynb`, `b.ipynb`\), which `c.ipynb`"
    ):
        propose(tmp_path, "taken")


def test_two_writers_of_what_nobody_reads_write_each_its_own(tmp_path: Path) -> None:
    """They do not overwrite one another any more, and that is told."""
    files = {name: notebook("open('x.txt', 'w').write('1')") for name in ("a.ipynb", "b.ipynb")}
    proposal = proposed(tmp_path, files)

    assert [task.writes for task in proposal.tasks] == [("build/a/x.txt",), ("build/b/x.txt",)]
    assert "each writes one of its own" in str(proposal.remarks[0])


def test_names_become_identifiers(tmp_path: Path) -> None:
    """Whatever a notebook is called, its task has a name of its own that Python would take, in order."""
    names = ["10 last.ipynb", "2 Ünder.ipynb", "import.ipynb", "a-b.ipynb", "a b.ipynb", "sub/a b.ipynb"]
    proposal = proposed(tmp_path, dict.fromkeys(names, notebook("1")))

    assert [task.name for task in proposal.tasks] == [
        "nb_2_under",
        "nb_10_last",
        "a_b",
        "a_b_2",
        "nb_import",
        "sub_a_b",
    ]


def test_modules_beside_the_notebooks_come_along(tmp_path: Path) -> None:
    """A module that a notebook imports lies beside pipeline.yaml, with those that it imports itself."""
    proposed(tmp_path, {
        "a.ipynb": notebook("import mine"), "mine.py": "import yours.part", "unused.py": "",
        "yours/__init__.py": "", "yours/part.py": "",
    })  # fmt: skip

    home = tmp_path / "project/pipelines/taken"
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*.py")) == [
        "mine.py", "yours/__init__.py", "yours/part.py",
    ]  # fmt: skip


def test_paths_that_a_module_keeps_are_followed(tmp_path: Path) -> None:
    """Many keep the paths of all their notebooks in one module: each use of them is named, the module stays."""
    proposal = proposed(tmp_path, {
        "paths.py": "from pathlib import Path\nDATA = Path('data')\nRAW = DATA / 'raw.txt'\nCLEAN = 'clean.txt'\n",
        "data/raw.txt": "1",
        "a.ipynb": notebook("from paths import *", "open(CLEAN, 'w').write(RAW.read_text())"),
        "b.ipynb": notebook("import paths as p", "open(p.CLEAN).read()"),
    })  # fmt: skip

    assert {task.name: (task.upstream, task.reads, task.writes) for task in proposal.tasks} == {
        "a": ((), ("data/raw.txt",), ("clean.txt",)), "b": (("a",), ("clean.txt",), ()),
    }  # fmt: skip
    assert code(tmp_path, "a")[2] == "open(product[\"clean\"], 'w').write(raw_txt.read_text())"
    assert code(tmp_path, "b")[2] == 'open(upstream["a"]["clean"]).read()'


# The command


def test_the_command_writes_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Notebooks, pipeline, settings and a page that says what was done; the products stay out of git."""
    folder = write(tmp_path / "theirs", {"a.ipynb": notebook("open('x.txt', 'w').write('1')")})

    assert carry_out(["init", str(tmp_path / "mine"), "--from", str(folder), "--json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert sorted(said["files"]) == [
        ".gitignore", "ADOPTED.md", "notebooks/a.ipynb", "pipelines/mine/pipeline.yaml", "pyproject.toml",
    ]  # fmt: skip
    assert [task["writes"] for task in said["tasks"]] == [["x.txt"]]
    assert "/pipelines/mine/x.txt\n" in (tmp_path / "mine/.gitignore").read_text()
    assert "`'x.txt'` → `product[\"x\"]`" in (tmp_path / "mine/ADOPTED.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "--from", "nowhere"], "`nowhere` is no folder"),
        (["new", "--from", "empty"], "holds no notebook in Python"),
        (["theirs/new", "--from", "theirs"], "lies in `theirs`"),
        (["new", "--from", "theirs", "--without", "b.ipynb"], "no notebook of `theirs` is called so"),
        (["new", "--without", "b.ipynb"], "found no --from"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    """The exit code says that the request was wrong, and nothing is written."""
    write(tmp_path / "theirs", {"a.ipynb": notebook("1")})
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    assert carry_out(["init", *arguments]) == 2

    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_nobody_who_looks_on_sees_half_a_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that cannot be read in the middle of copying leaves no project, and nothing beside it."""
    folder = write(tmp_path / "theirs", {"a.ipynb": notebook("open('x.txt')"), "x.txt": "1"})
    (tmp_path / "place").mkdir()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", fails)

    assert carry_out(["init", str(tmp_path / "place/mine"), "--from", str(folder)]) == 2

    assert "No space left" in capsys.readouterr().err
    assert list((tmp_path / "place").iterdir()) == []


# What holds for every notebook


NEUTRAL = ["x = 1", "é = 'ß → 💡'", "def f(a):\n    return a", "%matplotlib inline", "# nothing", "'''two\nlines'''",
           "y = [i for i in range(3)]; z = 2", "if x:\n    pass", "print(f'{x} and {1 + 1}')"]  # fmt: skip
TOUCHING = ["open('é.txt', 'w').write('💡')", "t = open('in.txt').read()", "💡 = 0".replace("💡", "w"),
            "print('💡', open('in.txt').read(), open('made.txt', 'w').write(''))", "%time open('made.txt', 'w')",
            "open(\n    'in' +\n    '.txt'\n).read()", "from pathlib import Path\nPath('made.txt').write_text('ü')",
            "P = 'in.txt'", "open(P).read()", "N = 3  # how many"]  # fmt: skip
CELL = st.lists(st.sampled_from(NEUTRAL + TOUCHING), min_size=1, max_size=4).map("\n".join)


def meaning(sources: list[str], names: dict[str, str]) -> list[str]:
    """The code of cells as trees, with every name of a file put back to its path, and constants in one place."""
    trees = []
    for source in sources:
        for name, place in names.items():
            for spelt in (f"Path({name})", f"str({name})", name):
                wanted = f"Path({place!r})" if spelt.startswith("Path") else repr(place)
                source = re.sub(
                    rf"(?<![\w.\"]){re.escape(spelt)}(?![\w\"=:])(?!\s*[=:])", lambda _, w=wanted: w, source
                )
        trees.append([ast.unparse(each) for each in cell_tree(source).body])
    return [each for tree in trees for each in tree]


@given(st.lists(CELL, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_code_stays_the_code(cells: list[str]) -> None:
    """But for constants that moved, and the names of files, a copy is what the notebook was, statement by statement."""
    # A notebook of remarks alone is left out, and says so.
    assume(any(cell_tree(source).body for source in cells))
    with tempfile.TemporaryDirectory() as place:
        folder = write(Path(place), {"a.ipynb": notebook(*cells), "in.txt": "1"})
        proposal = propose(folder, "taken")
    copied = json.loads(next(text for path, text in proposal.texts.items() if path.suffix == ".ipynb"))
    code_cells = [cell["source"] for cell in copied["cells"] if cell["cell_type"] == "code"]
    parameters = code_cells.pop(0)
    contract = [each for each in cell_tree(parameters).body if isinstance(each, ast.Assign | ast.AnnAssign)]
    held = {
        ast.unparse(each.targets[0] if isinstance(each, ast.Assign) else each.target): each.value for each in contract
    }
    products = ast.literal_eval(held.pop("product")) or {}
    held.pop("upstream")
    names = {f'product["{key}"]': path for key, path in products.items()}
    moved = []
    for name, value in held.items():
        if isinstance(value, ast.Call):
            path = value.args[0].value  # type: ignore[attr-defined]
            names[name] = path.removeprefix("given/")
            if name == "P":
                moved.append(f"P = {names[name]!r}")
        else:
            moved.append(f"{name} = {ast.unparse(value)}")

    # A path that a constant names may be named by that constant wherever it stands.
    names["P"] = "in.txt"
    after = Counter(moved + meaning(code_cells, names))

    assert after == Counter(evaluated(each) for each in meaning(list(cells), {"P": "in.txt"}))


def evaluated(statement: str) -> str:
    """A statement in which a path that is put together stands as one text, as it does in a copy."""
    return statement.replace("'in' + '.txt'", "'in.txt'")
