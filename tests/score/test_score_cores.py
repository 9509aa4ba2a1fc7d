"""A network that keeps nothing is asked by a thread for each core, and the scores are those that one thread gets.

What keeps anything, or might, is asked by one thread alone.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_and_models import FEATURES, written

from nbproof.errors import ModelUnusable
from nbproof.score import network, streaming
from nbproof.score.device import CPU, on_one_core_each, without_collecting
from nbproof.score.network import Network
from nbproof.score.plan import planned
from nbproof.score.source import look
from nbproof.score.stateless import is_stateless
from nbproof.score.writing import Work

torch = pytest.importorskip("torch")
Linear = torch.nn.Linear


@pytest.fixture(autouse=True)
def _four_cores() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def exported(module: Any, kind: Any = torch.float32) -> Any:
    """A module as it comes back from a file of an exported program, for rows of three numbers."""
    shapes = ({0: torch.export.Dim("rows")},)
    return torch.export.export(module.eval(), (torch.zeros((4, 3), dtype=kind),), dynamic_shapes=shapes).module()


class First(torch.nn.Module):
    """Answers the first feature to the last bit, so that a row in a wrong place is seen."""

    def forward(self, rows: Any) -> Any:
        return rows[:, :1] * 1.0


class Spread(torch.nn.Module):
    """Reckons with the number of rows, and takes one answer of two."""

    def forward(self, rows: Any) -> Any:
        flat = rows.reshape(rows.shape[0] * 3)
        return flat.reshape(flat.shape[0] // 3, 3).max(1)[0]


class Counting(torch.nn.Module):
    """Counts the batches that it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, rows: Any) -> Any:
        self.count.add_(1)
        return rows[:, 0]


class Changing(torch.nn.Module):
    """Writes into the very rows that it was given."""

    def forward(self, rows: Any) -> Any:
        return torch.relu_(rows.reshape(-1, 3))[:, 0]


class Remembering(torch.nn.Module):
    """Lays what it has computed half down where the next batch lays its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.threads = Linear(3, 2), set[int]()

    def forward(self, rows: Any) -> Any:
        self.threads.add(threading.get_ident())
        self.held = self.inner(rows)
        return self.held.sum(1)


def layers(*more: Any) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(Linear(3, 8), *more, Linear(8, 2))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: exported(layers(torch.nn.ReLU())), True),
        (lambda: exported(layers(torch.nn.ReLU(inplace=True))), True),
        (lambda: exported(layers(torch.nn.BatchNorm1d(8), torch.nn.Sigmoid(), torch.nn.Dropout())), True),
        (lambda: exported(First()), True),
        (lambda: exported(Spread()), True),
        (lambda: exported(Counting()), False),
        (lambda: exported(Changing()), False),
        (lambda: layers(torch.nn.ReLU()).eval(), False),
        (lambda: torch.fx.symbolic_trace(layers()), False),
    ],
    ids=[
        "layers",
        "in place on its own",
        "normalized",
        "a column",
        "sizes",
        "a counter",
        "on its input",
        "no program",
        "traced",
    ],
)
def test_only_a_graph_that_changes_nothing_is_stateless(make: Callable[[], Any], expected: bool) -> None:
    """A program lists its steps; of a module nobody can know what it keeps."""
    assert is_stateless(make()) is expected
    assert Network(make(), FEATURES, CPU, name="p", model="m").is_stateless is expected


def streamed(place: Path, scorer: Any, rows: Any, *, batch_rows: int, part_rows: int = 10**6) -> Any:
    """What is written when these rows go past a scorer."""
    written(place / "rows.parquet", rows, 5000)
    source = look(place / "rows.parquet")
    schema = pyarrow.schema([
        source.schema.field("id").remove_metadata(),
        *(pyarrow.field(name, pyarrow.from_numpy_dtype(scorer.answer_dtype)) for name in scorer.outputs),
    ])  # fmt: skip
    work = Work(place / "scores")
    work.parts.mkdir(parents=True)
    parts = planned(source.files, model="m", options={}, part_rows=part_rows).parts
    job = streaming.Job(source, scorer, work, schema, ("id",), batch_rows, "refuse", "m")
    streaming.stream(job, parts, lambda _rows, _parts: None)
    return pyarrow.concat_tables([pyarrow.parquet.read_table(work.file(part.number)) for part in parts])


def numbered(rows: int) -> Any:
    drawn = np.random.default_rng(rows)
    columns = {name: drawn.standard_normal(rows, dtype=np.float32) for name in FEATURES}
    return pyarrow.table({"id": np.arange(rows), **columns})


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 30_000), batch_rows=st.integers(200, 12_000), part_rows=st.integers(4000, 20_000))
def test_every_row_gets_its_own_score(
    tmp_path_factory: pytest.TempPathFactory, rows: int, batch_rows: int, part_rows: int
) -> None:
    """However many threads ask, and wherever batches and pieces of them end, each answer stands in its row."""
    given_rows = numbered(rows)
    scorer = Network(exported(First()), FEATURES, CPU, name="p", model="m")

    found = streamed(tmp_path_factory.mktemp("any"), scorer, given_rows, batch_rows=batch_rows, part_rows=part_rows)

    assert found["id"].to_pylist() == list(range(rows))
    assert found["p"].to_pylist() == given_rows["a"].to_pylist()


def test_the_number_of_threads_changes_no_bit(tmp_path: Path) -> None:
    """What one core answers, four answer; the pieces are the same."""
    made = exported(layers(torch.nn.ReLU()))
    found = []
    for cores in (1, 4):
        torch.set_num_threads(cores)
        scorer = Network(made, FEATURES, CPU, name="p", model="m")
        found.append(streamed(tmp_path / str(cores), scorer, numbered(40_000), batch_rows=7000).to_pydict())
        assert torch.get_num_threads() == cores
    assert found[0] == found[1]


class Chosen(torch.nn.Module):
    """Which of three features is the largest, or whether the first is above zero."""

    def __init__(self, *, is_yes_or_no: bool) -> None:
        super().__init__()
        self.is_yes_or_no = is_yes_or_no

    def forward(self, rows: Any) -> Any:
        return rows[:, 0] > 0 if self.is_yes_or_no else rows.argmax(1)


@pytest.mark.parametrize(
    ("make", "kind", "spelled"),
    [
        (lambda: layers(torch.nn.Tanh()).double(), "float64", "double"),
        (lambda: layers(torch.nn.Tanh()).bfloat16(), "bfloat16", "float"),
        (lambda: Chosen(is_yes_or_no=False), "float32", "int64"),
        (lambda: Chosen(is_yes_or_no=True), "float32", "bool"),
        (lambda: torch.nn.Sequential(torch.nn.Unflatten(1, (3, 1)), torch.nn.Conv1d(3, 2, 1), torch.nn.Flatten()),
         "float32", "float"),
    ],
    ids=["double", "bfloat16", "numbers of classes", "yes or no", "a convolution"],
)  # fmt: skip
def test_pieces_answer_what_the_whole_does(tmp_path: Path, make: Callable[[], Any], kind: str, spelled: str) -> None:
    """Of every type that a program answers; nothing is turned into another on the way."""
    torch.manual_seed(0)
    module, rows, dtype = make().eval(), numbered(9000), getattr(torch, kind)
    scorer = Network(exported(module, dtype), FEATURES, CPU, name="p", model="m")
    assert scorer.is_stateless

    found = streamed(tmp_path, scorer, rows, batch_rows=9000)

    with torch.inference_mode():
        given = torch.from_numpy(np.stack([rows[name].to_numpy() for name in FEATURES], 1)).to(dtype)
        whole = module(given).float() if kind == "bfloat16" else module(given)
    expected = whole.reshape(9000, -1).numpy()
    loose = {"float64": 1e-12, "bfloat16": 1e-2, "float32": 1e-5}[kind]
    for at, name in enumerate(scorer.outputs):
        assert str(found.schema.field(name).type) == spelled
        np.testing.assert_allclose(found[name].to_numpy(), expected[:, at], rtol=loose, atol=loose)


def test_what_keeps_something_is_asked_by_one_thread(tmp_path: Path) -> None:
    """Two threads would mix their rows in what it keeps; a program is asked by more than one."""
    keeping = Remembering().eval()
    streamed(tmp_path / "one", Network(keeping, FEATURES, CPU, name="p", model="m"), numbered(20_000), batch_rows=500)
    assert keeping.threads == {threading.get_ident()}

    scorer = Network(exported(First()), FEATURES, CPU, name="p", model="m")
    asked, all_here = set(), threading.Barrier(4)
    begin = scorer.begin

    def watched(rows: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() and threading.get_ident() not in asked:
            asked.add(threading.get_ident())
            all_here.wait(30)
        return begin(rows)

    scorer.begin = watched  # type: ignore[method-assign]
    streamed(tmp_path / "four", scorer, numbered(20_000), batch_rows=500)
    assert len(asked) == 4


def test_a_thread_that_fails_ends_the_others(tmp_path: Path) -> None:
    """The batch is named, nothing of the part is left, no thread stays, and torch has its cores back."""
    scorer = Network(exported(First()), FEATURES, CPU, name="p", model="m")
    begin = scorer.begin

    def failing(rows: Any) -> Any:
        if (rows[:, 0] == marked).any():
            raise RuntimeError("no such row\nand more")
        return begin(rows)

    rows = numbered(20_000)
    marked = rows["a"][13_000].as_py()
    scorer.begin = failing  # type: ignore[method-assign]

    with pytest.raises(ModelUnusable, match=r"it fails at `rows\.parquet`, rows from 13000 \(no such row\)"):
        streamed(tmp_path, scorer, rows, batch_rows=500)
    assert list((tmp_path / "scores.unfinished/parts").iterdir()) == []
    assert not [each for each in threading.enumerate() if each.name.startswith("nbproof-score")]
    assert torch.get_num_threads() == 4


def test_a_piece_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be spread over the columns in silence."""
    scorer = Network(exported(layers()), FEATURES, CPU, name="p", model="m")
    monkeypatch.setattr(scorer, "_module", lambda rows: rows[:, :1])

    with pytest.raises(ModelUnusable, match=r"answers of the shape \(2048, 1\) and type float32"):
        scorer.begin(np.zeros((4097, 3), np.float32))


@pytest.mark.parametrize("rows", [1, 4096, 4097, 12_289])
def test_no_piece_is_much_smaller_than_another(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """A program may have been exported for two rows or more: one that is left over would be refused."""
    scorer = Network(exported(First()), FEATURES, CPU, name="p", model="m")
    sizes: list[int] = []
    module = scorer._module
    monkeypatch.setattr(scorer, "_module", lambda piece: sizes.append(len(piece)) or module(piece))

    scorer.begin(np.zeros((rows, 3), np.float32)).wait()

    assert sum(sizes) == rows
    assert max(sizes) <= network._PIECE_ROWS
    assert max(sizes) - min(sizes) <= 1


def test_large_batches_do_not_wait_on_every_core() -> None:
    """Their memory is bounded, however many cores a machine has."""
    scorer = Network(exported(First()), FEATURES, CPU, name="p", model="m")
    found = {}
    for rows in (1000, 30_000_000, 10**9):
        with streaming.crew_for(scorer, rows) as crew:
            found[rows] = crew.in_flight
    assert found == {1000: 5, 30_000_000: 2, 10**9: 2}


def test_what_was_set_is_set_back() -> None:
    """Also when what is done meanwhile fails."""
    with pytest.raises(ZeroDivisionError), without_collecting():
        assert gc.isenabled() == 1 / 0
    with pytest.raises(ZeroDivisionError), on_one_core_each() as cores:
        assert torch.get_num_threads() == cores / 0
    assert gc.isenabled()
    assert torch.get_num_threads() == 4


def test_a_network_is_asked_without_pandas(tmp_path: Path) -> None:
    """Blocks of numbers go from Arrow to torch and back; loading pandas takes longer than many a batch."""
    written(tmp_path / "rows.parquet", numbered(50), 20)
    # What reads the scores in other tests loads pandas itself, and is not used here.
    ran = subprocess.run(
        [sys.executable, "-c", """
import sys
from pathlib import Path
import pyarrow, torch
from nbproof.score.device import CPU
from nbproof.score.network import Network
from nbproof.score.source import look
from nbproof.score.plan import planned
from nbproof.score import streaming
from nbproof.score.writing import Work
source = look(Path("rows.parquet"))
module = torch.nn.Sequential(torch.nn.Linear(3, 1)).eval()
scorer = Network(module, ("a", "b", "c"), CPU, name="p", model="m")
schema = pyarrow.schema([source.schema.field("id"), pyarrow.field("p", pyarrow.float32())])
work = Work(Path("scores").absolute())
work.parts.mkdir(parents=True)
parts = planned(source.files, model="m", options={}, part_rows=100).parts
job = streaming.Job(source, scorer, work, schema, ("id",), 20, "refuse", "m")
streaming.stream(job, parts, lambda rows, parts: print(rows))
assert "pandas" not in sys.modules
"""],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "50"
