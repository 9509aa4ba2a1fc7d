"""Watching a notebook: what each cell read, bound, changed, showed and touched, as it really happened."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbproof.errors import NotWatched
from nbproof.export.watching import executor
from nbproof.export.watching.executor import CellCode
from nbproof.export.watching.looking import Look
from nbproof.export.watching.names import fresh
from nbproof.export.watching.seen import Run, from_json, steady, to_json
from nbproof.export.watching.watch import watch


def watched(folder: Path, *sources: str) -> Run:
    return watch(
        [CellCode(at, source, source.endswith(";")) for at, source in enumerate(sources)], folder, timeout_s=300
    )


@pytest.fixture(scope="module")
def names_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Cells that hand names on in every way that Python has."""
    return watched(
        tmp_path_factory.mktemp("names"),
        "x = [1, 2]\ny = x\nlimit = 2",
        "y.append(3)",
        "def longest():\n    global z\n    z = len(x)\n    return [n for n in x if n > limit]",
        "longest()",
        "x = x + [4]\nx",
        "del limit\nw = {'inside': x}",
        "w['inside'].append(5);",
        "class Box:\n    size = z\nbox = Box()\nbox.held = y",
        "y += [6]",
    )


def test_reads_are_what_a_cell_takes_from_above(names_run: Run) -> None:
    """Reads inside of functions count, when they happen; what a cell has bound itself does not."""
    assert [cell.reads for cell in names_run.cells] == [
        (), ("y",), (), ("limit", "longest", "x"), ("x",), ("x",), ("w",), ("y", "z"), ("y",)
    ]  # fmt: skip


def test_binds_and_deletes_are_seen_through_functions(names_run: Run) -> None:
    """`global` inside of a function binds past the namespace, and is seen all the same."""
    assert [cell.binds for cell in names_run.cells] == [
        ("limit", "x", "y"), (), ("longest",), ("z",), ("x",), ("w",), (), ("Box", "box"), ("y",)
    ]  # fmt: skip
    assert [cell.deletes for cell in names_run.cells if cell.deletes] == [("limit",)]


def test_changes_are_seen_through_every_alias(names_run: Run) -> None:
    """A list that is changed through one name has changed under the other, too."""
    assert names_run.cells[1].mutates == ("x", "y")
    assert names_run.cells[6].mutates == ("w", "x")
    assert names_run.cells[8].mutates == ("box",)


def test_names_that_share_an_object_belong_together(names_run: Run) -> None:
    """At the end `w` holds `x`, and `box` holds what `y` is."""
    assert sorted(names_run.together) == [("box", "y"), ("w", "x")]


def test_what_is_shown_is_kept(names_run: Run) -> None:
    """The last expression of a cell, unless a `;` hides it."""
    assert [[value.text for value in cell.shows] for cell in names_run.cells if cell.shows] == [
        ["[3]"], ["[1, 2, 3, 4]"]
    ]  # fmt: skip


@pytest.fixture(scope="module")
def world_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """Cells that touch files, the network, other processes, and the state of their own."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "given.csv").write_text("a\n1\n")
    run = watched(
        folder,
        "import os, random, socket, subprocess, sys, warnings\nimport numpy as np\nimport pandas as pd",
        "frame = pd.read_csv('given.csv')\nframe.to_csv('made.csv')",
        "text = open('made.csv').read()\nos.remove('made.csv')",
        "subprocess.run(['true'])",
        "try:\n    socket.create_connection(('127.0.0.1', 9), timeout=0.1)\nexcept OSError:\n    pass",
        "random.random()\nnp.random.seed(1)",
        "os.environ['NBX'] = '1'\nos.chdir('/')\nsys.path.append('/x')",
        "pd.set_option('display.max_rows', 3)\nwarnings.simplefilter('ignore')",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('drawn')",
        "display(1, 'two')",
        "import asyncio\nawait asyncio.sleep(0)\nlate = 1",
        "input('your name? ')",
        "never = 1",
    )
    return folder, run


def test_files_are_seen(world_run: tuple[Path, Run]) -> None:
    """What is read before it is written, and what is written, by its path; to remove a file is to write it."""
    folder, run = world_run

    assert run.cells[1].files_read == (str(folder / "given.csv"),)
    assert run.cells[1].files_written == (str(folder / "made.csv"),)
    assert run.cells[2].files_read == (str(folder / "made.csv"),)
    assert run.cells[2].files_written == (str(folder / "made.csv"),)
    assert run.cells[9].files_read == run.cells[9].files_written == ()


def test_who_looks_for_packages_has_not_listed_the_folder(tmp_path: Path) -> None:
    """Libraries ask for entry points when they are imported, which looks into every folder of modules."""
    (tmp_path / "secret.txt").write_text("mine")

    run = watched(
        tmp_path,
        "import importlib.metadata, pkgutil, os\nfound = importlib.metadata.entry_points()",
        "names = [each.name for each in pkgutil.iter_modules([''])]",
        "there = os.listdir()",
    )

    assert [cell.files_read for cell in run.cells] == [(), (), (str(tmp_path),)]


def test_processes_and_connections_are_seen(world_run: tuple[Path, Run]) -> None:
    """Whatever leaves the process is named."""
    _, run = world_run

    assert any("true" in process for process in run.cells[3].processes)
    assert any("9" in place for place in run.cells[4].network)
    assert [cell.cell for cell in run.cells if cell.processes or cell.network] == [3, 4]


def test_the_state_of_the_process_is_seen(world_run: tuple[Path, Run]) -> None:
    """Random numbers, variables, the folder, the path, and options of libraries: each by its name, when it changes."""
    _, run = world_run

    assert run.cells[5].changes == ("numpy.random", "random")
    assert run.cells[6].changes == ("environment variables", "sys.path", "working folder")
    assert run.cells[7].changes == ("pandas options", "warnings")
    assert run.cells[9].changes == ()


def test_figures_and_words_are_seen(world_run: tuple[Path, Run]) -> None:
    """A figure counts by what it shows, and belongs to the cell that left it open."""
    _, run = world_run

    assert [len(cell.figures) for cell in run.cells[8:10]] == [1, 0]
    assert run.cells[8].prints == "drawn\n"
    assert [value.text for value in run.cells[9].shows] == ["1", "'two'"]


def test_a_cell_that_fails_is_the_last(world_run: tuple[Path, Run]) -> None:
    """Nobody answers a question; the error, and the line, are told, and nothing runs after it."""
    _, run = world_run

    assert run.error is run.cells[-1]
    assert (run.cells[-1].cell, run.cells[-1].line) == (11, 1)
    assert run.cells[-1].error.startswith("EOFError")
    assert run.values["late"].text == "1"


def test_two_runs_tell_what_is_steady(tmp_path: Path) -> None:
    """What is drawn without a seed, or told by a clock, is another value in the second run."""
    cells = (
        "import random, time",
        "drawn = random.random()\nseen_at = time.time_ns()",
        "fixed = sum(range(9))\nkinds = {'a', 'b'}",
    )

    first, second = watched(tmp_path, *cells), watched(tmp_path, *cells)

    assert steady(first, second) == {"fixed", "kinds"}
    assert from_json(to_json(first)) == first


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    """It is no result, and the reason is one line."""
    with pytest.raises(NotWatched, match="ended with 3"):
        watched(tmp_path, "import os\nos._exit(3)")


def test_a_process_that_takes_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotWatched, match=r"not done after 0\.5 s"):
        watch([CellCode(0, "while True: pass")], tmp_path, timeout_s=0.5)


NAMES = st.sampled_from(["a", "b", "c"])
STATEMENTS = st.one_of(
    st.builds("{} = [{}]".format, NAMES, st.integers(0, 3)),
    st.builds("{} = {}".format, NAMES, NAMES),
    st.builds("{}.append({})".format, NAMES, st.integers(0, 3)),
    st.builds("{} = {} + {}".format, NAMES, NAMES, NAMES),
    st.builds("def f_{0}(): return {0}".format, NAMES),
)


@given(st.lists(STATEMENTS, max_size=12))
@settings(max_examples=200, deadline=None)
def test_nothing_changes_unseen(statements: list[str]) -> None:
    """After any statement each name whose value is another one was seen to be bound, or to have changed."""
    names = fresh(a=[0], b=[1], c=[2])
    session = executor._Session(names, SILENT, asyncio.Runner())
    for at, statement in enumerate(statements):
        before = {name: repr(dict.__getitem__(names, name)) for name in "abc"}

        seen = executor._run_cell(CellCode(at, statement), session)

        after = {name: repr(dict.__getitem__(names, name)) for name in "abc"}
        assert {name for name in "abc" if before[name] != after[name]} <= {*seen.binds, *seen.mutates}
        assert {*seen.mutates} <= {name for name in "abc" if before[name] != after[name]}


class _Silent:
    """Hears nothing: an audit hook cannot be taken away again."""

    current = None


SILENT = _Silent()


def test_what_is_drawn_counts_by_its_pixels_at_the_end(tmp_path: Path) -> None:
    """A figure and its axes are told apart by what they show, in any process; between cells nobody draws them."""
    source = (
        "import re\nimport pandas as pd\nimport matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\n"
        "axes.plot([1, {}]);\nstyled = pd.DataFrame({{'a': [1]}}).style\nfound = re.match('a', 'ab')"
    )

    first, again, other = (watched(tmp_path, source.format(last)) for last in (2, 2, 3))

    for name in ("figure", "axes", "styled", "found"):
        assert first.values[name].digest is not None
        assert first.values[name].digest == again.values[name].digest
    assert first.values["figure"].digest != other.values["figure"].digest
    assert first.cells[0].shows == ()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_file_that_is_read_past_python_is_seen(tmp_path: Path) -> None:
    """Pyarrow opens it by itself, in the folder, below it, and in one beside it that the code names."""
    (tmp_path / "notebook" / "below").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    names = ["own.parquet", "below/other.parquet", "../beside/one.parquet"]
    for name in (*names, "never.parquet"):
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "notebook" / name)

    run = watched(tmp_path / "notebook", "import pandas as pd", *(f"pd.read_parquet({name!r})" for name in names),
                  "pd.DataFrame({'a': [1]}).to_parquet('made.parquet')")  # fmt: skip

    assert [cell.files_read for cell in run.cells] == [
        (), *((os.path.abspath(tmp_path / "notebook" / name),) for name in names), ()  # noqa: PTH100
    ]  # fmt: skip


@pytest.mark.parametrize(
    "beside",
    [pd.DataFrame({"a": [1]}), pd.Series([1, 2]).to_numpy(), pd.NaT, [1]],
    ids=["frame", "array", "no time", "list"],
)
def test_a_list_of_texts_and_one_other_value_is_told_apart(beside: object) -> None:
    """Whatever stands beside the texts: it need not say whether it equals itself."""
    one, other = executor.value_of(["a", beside, "b"]), executor.value_of(["a", beside, "c"])

    assert one.digest is not None
    assert one.digest == executor.value_of(["a", beside, "b"]).digest
    assert one.digest != other.digest


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA], ids=repr)
def test_texts_with_gaps_are_told_apart_by_where_they_are(gap: object) -> None:
    """A gap is none of the texts."""
    digests = {executor.value_of(texts).digest for texts in (["a", gap, "b"], [gap, "a", "b"], ["a", "b"])}

    assert None not in digests
    assert len(digests) == 3


def test_what_a_library_reads_of_its_own_is_no_data_of_the_notebook(tmp_path: Path) -> None:
    """Wherever it is installed: in the user's own folder, say."""
    library = tmp_path / "user/site-packages/somebodys_library"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(
        "from pathlib import Path\ndef styles():\n    return Path(__file__).with_name('styles.txt').read_text()\n"
    )
    (library / "styles.txt").write_text("plain")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/own.txt").write_text("own")
    cells = [CellCode(1, "import somebodys_library\nfound = somebodys_library.styles() + open('own.txt').read()")]
    paths = os.pathsep.join([str(library.parent), os.environ.get("PYTHONPATH", "")])

    run = watch(cells, tmp_path / "work", environ={**os.environ, "PYTHONPATH": paths})

    assert run.values["found"].text == "'plainown'"
    assert run.cells[0].files_read == (str(tmp_path / "work/own.txt"),)


def test_the_code_of_the_watching_itself_is_no_data(tmp_path: Path) -> None:
    """A notebook that asks for the lines of all its callers reads this package, too."""
    cell = "import inspect\nn = len(inspect.stack())"

    run = watch([CellCode(1, cell)], tmp_path)

    assert run.cells[0].error == ""
    assert run.cells[0].files_read == ()


def test_the_order_of_a_set_of_objects_is_nobodys_doing(tmp_path: Path) -> None:
    """It is that of their addresses; what the set holds counts all the same, also in a graph that leads back."""
    cell = (
        "class Node:\n    def __init__(self, size, *parts):\n        self.size, self.parts = size, set(parts)\n"
        "def made(sizes):\n    nodes = {size: Node(size) for size in sizes}\n"
        "    top = Node(0, *(nodes[size] for size in sorted(sizes)))\n    nodes[1].parts.add(top)\n    return top\n"
        "a, b, c = made(range(1, 40)), made(range(39, 0, -1)), made([*range(1, 39), 40])"
    )

    run = watch([CellCode(1, cell)], tmp_path)

    assert run.values["a"].digest == run.values["b"].digest is not None
    assert run.values["a"].digest != run.values["c"].digest


def test_a_run_that_stirs_has_used_other_time(tmp_path: Path) -> None:
    """A clock of the process's own ticks seldom, and would tell two runs the same by chance."""
    before = time.process_time()

    executor.pass_time()

    assert time.process_time() - before >= executor.PASSED_S
    assert watch([CellCode(1, "x = 1")], tmp_path, stirs=True).values["x"].text == "1"


def test_how_much_litter_there_is_says_nothing(tmp_path: Path) -> None:
    """What the collector of it has found is another number where a process did something else before."""
    cells = [CellCode(1, "import gc\ngc.collect()\nx = 1"), CellCode(2, "found = gc.collect()\nfound")]

    first, second = (watch(cells, tmp_path, stirs=stirs) for stirs in (False, True))

    assert steady(first, second) == {"x"}
    assert first.cells[1].shows[0].digest != second.cells[1].shows[0].digest


@pytest.mark.skipif(np.dtype("longdouble").itemsize != 16, reason="a long float has no bytes to spare here")
@given(st.floats(), st.floats(allow_nan=False), st.binary(min_size=6, max_size=6))
def test_what_lies_behind_a_long_float_says_nothing(whole: float, rest: float, behind: bytes) -> None:
    """Of its sixteen bytes ten say something; those say it to the last bit."""
    value = np.array([whole, rest, 0.1], "g") / 3
    raw = bytearray(value.tobytes())
    raw[10:16] = behind
    other = np.frombuffer(bytes(raw), "g").copy()

    assert Look().of(value) == Look().of(other)
    assert Look().of(value + 1j) == Look().of(other + 1j)
    assert Look().of(value) != Look().of(np.nextafter(other, np.longdouble(2)))
    assert Look().of(value[2]) != Look().of(np.nextafter(value[2], np.longdouble(2)))


def test_what_ipython_remembers_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for its shell opens the history of all shells."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "own").mkdir()
    cell = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\ndel shell"

    run = watch([CellCode(1, cell)], tmp_path / "own")

    assert run.cells[0].error == ""
    assert (run.cells[0].files_read, run.cells[0].files_written) == ((), ())
