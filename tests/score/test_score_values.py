"""However the rows are cut, and wherever they lie, the scores are those that the model gives to all of them at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_and_models import FEATURES, fitted, project, read, scored, skops_file, table, written

from nbproof.score import streaming, writing
from nbproof.score.columns import Missing
from nbproof.score.device import CPU
from nbproof.score.network import Network
from nbproof.score.plan import planned
from nbproof.score.source import look


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with a model."""
    made = project(tmp_path / "project")
    skops_file(made / "model.skops")
    return made


@settings(max_examples=8, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=4), group_rows=st.integers(1, 60),
    batch_rows=st.integers(1, 100), part_rows=st.integers(1, 150), partitions=st.none() | st.integers(1, 5),
)  # fmt: skip
def test_any_cut_gives_the_scores_of_the_whole(
    sizes: list[int], group_rows: int, batch_rows: int, part_rows: int, partitions: int | None
) -> None:
    """Files, row groups, batches and parts change no score, no order and no number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        place = project(Path(folder) / "project")
        skops_file(place / "model.skops")
        tables = [table(rows, seed=at) for at, rows in enumerate(sizes)]
        for at, rows in enumerate(tables):
            written(place / f"rows/{at}.parquet", rows, group_rows)

        scored(place, place / "rows", batch_rows=batch_rows, part_rows=part_rows, partitions=partitions)

        whole = pyarrow.concat_tables(tables)
        found = read(place / "scores")
        assert found["id"].to_pylist() == whole["id"].to_pylist()
        expected = fitted().predict_proba(whole.to_pandas()[list(FEATURES)])[:, 1] if len(whole) else []
        assert found["prediction"].to_pylist() == list(expected)


@settings(max_examples=8, deadline=None)
@given(
    rows=st.integers(1, 400), group_rows=st.integers(1, 150), batch_rows=st.integers(1, 200),
    part_rows=st.integers(1, 300),
)  # fmt: skip
def test_any_cut_gives_the_scores_of_a_network(rows: int, group_rows: int, batch_rows: int, part_rows: int) -> None:
    """The same for a torch module in single precision, up to the rounding of sums that are added in another order."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "rows.parquet", table(rows), group_rows)
        source = look(path)
        work = writing.Work(Path(folder) / "scores")
        work.parts.mkdir(parents=True)
        plan = planned(source.files, model="", options={}, part_rows=part_rows)
        scorer = Network(module, FEATURES, CPU, name="p", model="module")
        schema = pyarrow.schema([("id", "int64"), ("p_0", "float"), ("p_1", "float")])
        missing: Missing = "refuse"

        told: list[tuple[int, int]] = []
        job = streaming.Job(source, scorer, work, schema, ("id",), batch_rows, missing, "module")
        streaming.stream(job, plan.parts, lambda done, parts: told.append((done, parts)))

        found = read(work.parts)
        given_whole = torch.tensor(np.stack([table(rows)[name] for name in FEATURES], 1), dtype=torch.float32)
        with torch.no_grad():
            expected = module(given_whole).numpy()
        np.testing.assert_allclose(np.stack([found["p_0"], found["p_1"]], 1), expected, rtol=1e-5, atol=1e-6)
        assert found["id"].to_pylist() == list(range(rows))
        assert told[-1] == (rows, len(plan.parts))


def test_files_are_scored_in_natural_order(place: Path) -> None:
    """`rows-10` comes after `rows-9`, and what is hidden or begins with `_` is no row."""
    for at in (10, 9, 1):
        written(place / f"rows/rows-{at}.parquet", table(2, seed=at))
    written(place / "rows/_old/rows-0.parquet", table(2))
    written(place / "rows/.rows-0.parquet", table(2))

    scored(place, place / "rows")

    assert read(place / "scores")["id"].to_pylist() == [1000, 1001, 9000, 9001, 10000, 10001]


def test_columns_may_stand_in_another_order(place: Path) -> None:
    """Columns are taken by their names; what is kept is copied as it is, whatever its type."""
    rows = table(5)
    told = pyarrow.array([{"x": at, "y": ["a"] * at} for at in range(5)])
    first = rows.append_column("told", told)
    second = first.select(["told", "c", "b", "a", "id"])
    written(place / "rows/1.parquet", first)
    written(place / "rows/2.parquet", second)

    scored(place, place / "rows", keep=("told",))

    found = read(place / "scores")
    assert found.column_names == ["told", "prediction"]
    assert found["told"].to_pylist() == told.to_pylist() * 2
    assert found["prediction"].to_pylist()[:5] == found["prediction"].to_pylist()[5:]


def test_whole_numbers_become_floats_in_all_batches_or_in_none(place: Path) -> None:
    """A column that misses a value anywhere has one type in every batch, as it would have in the whole table."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    from nbproof.serve.spelling import dump

    rows = pyarrow.table({"a": pyarrow.array([1, 2, None, 4] * 25, "int64"), "b": list(range(100))})
    frame = rows.to_pandas()
    model = HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2).fit(frame, frame["b"] % 4 > 1)
    (place / "trees.skops").write_bytes(dump(model))

    scored(place, written(place / "rows.parquet", rows, 10), model="trees.skops", keep=(), batch_rows=3)

    assert read(place / "scores")["prediction"].to_pylist() == list(model.predict_proba(frame)[:, 1])


def test_one_file_holds_the_rows_and_the_manifest(place: Path) -> None:
    """An output that ends in .parquet is one file, with the same rows in the same order."""
    rows = written(place / "rows.parquet", table(250), 20)

    scored(place, rows, "scores", part_rows=60)
    found = scored(place, rows, "scores.parquet", part_rows=60)

    one, parts = read(place / "scores.parquet"), read(place / "scores")
    assert one.to_pydict() == parts.to_pydict()
    assert (found.rows, found.parts) == (250, 5)
    assert b"fingerprint" in one.schema.metadata[b"nbproof"]
    assert sorted(path.name for path in place.iterdir() if "scores" in path.name) == ["scores", "scores.parquet"]
