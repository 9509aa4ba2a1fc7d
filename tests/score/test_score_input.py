"""What cannot be scored rightly is refused in one line that names the file, the column and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from rows_and_models import FEATURES, project, read, scored, skops_file, table, written

from nbproof.errors import AskedWrongly, DataUnusable, ModelUnusable, OutputTaken, ScoreRefused
from nbproof.score import columns
from nbproof.score.source import batches, look


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with a model."""
    made = project(tmp_path / "project")
    skops_file(made / "model.skops")
    return made


def with_column(name: str, values: Any) -> Any:
    rows = table(4)
    return rows.set_column(rows.column_names.index(name), name, values)


def cut_short(place: Path) -> None:
    path = written(place / "rows/1.parquet", table(500))
    path.write_bytes(path.read_bytes()[:-20])


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "nothing there": (lambda place: None, "no such file or folder"),
    "empty folder": (lambda place: (place / "rows").mkdir(), "found no Parquet file"),
    "empty file": (lambda place: ((place / "rows").mkdir(), (place / "rows/1.parquet").touch()), "an empty file"),
    "cut short": (cut_short, "a file without a footer"),
    "text file": (
        lambda place: ((place / "rows").mkdir(), (place / "rows/1.parquet").write_text("a,b,c\n1,2,3\n")),
        "a file without a footer",
    ),
    "missing column": (
        lambda place: written(place / "rows/1.parquet", table(4).drop_columns("b")), "found no column `b`"
    ),
    "text": (
        lambda place: written(place / "rows/1.parquet", with_column("b", [["x", "y", "z", "u"]])),
        "it cannot answer these rows: could not convert string to float",
    ),
    "nested": (
        lambda place: written(place / "rows/1.parquet", with_column("b", [[[1.0], [2.0], [], None]])),
        "the column `b`: found list<element: double>",
    ),
    "another schema": (
        lambda place: (
            written(place / "rows/1.parquet", table(4)),
            written(place / "rows/2.parquet", with_column("b", [["1", "2", "3", "4"]])),
        ),
        r"2.parquet`: found `b` as string, expected double, as in the first file",
    ),
    "a column less": (
        lambda place: (
            written(place / "rows/1.parquet", table(4)),
            written(place / "rows/2.parquet", table(4).drop_columns("c")),
        ),
        "2.parquet`: found no column `c`",
    ),
    "values in folders": (
        lambda place: written(place / "rows/month=1/1.parquet", table(4)), "a folder whose name holds a value"
    ),
    "another table": (
        lambda place: (written(place / "rows/1.parquet", table(4)), (place / "rows/2.csv").write_text("a\n1\n")),
        "another kind of table among Parquet files",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_scored_is_refused(place: Path, case: str) -> None:
    """One line, and no output."""
    make, words = BAD[case]
    make(place)

    with pytest.raises((DataUnusable, ModelUnusable), match=words) as caught:
        scored(place, place / "rows")

    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not (place / "scores").exists()


def test_no_rows_give_no_scores_but_their_columns(place: Path) -> None:
    """A file without row groups, and one beside it with empty ones, are an input of no rows."""
    empty = table(4).slice(0, 0)
    with pyarrow.parquet.ParquetWriter(place / "rows.parquet", empty.schema):
        pass
    written(place / "more/1.parquet", empty)
    written(place / "more/2.parquet", table(3))

    none = scored(place, place / "rows.parquet", "none")
    some = scored(place, place / "more", "some")

    assert (none.rows, some.rows) == (0, 3)
    assert read(place / "none").schema.names == ["id", "prediction"]
    assert read(place / "none").num_rows == 0
    assert read(place / "some")["id"].to_pylist() == [0, 1, 2]


def test_a_null_that_the_model_takes_is_scored(place: Path) -> None:
    """Trees know what to do with what is missing; asked to refuse it, the line names the column."""
    holed = pyarrow.array([1.0, None, float("nan"), 2.0])
    rows = written(place / "rows.parquet", pyarrow.table({"id": range(4), "a": [0.1] * 4, "b": holed, "c": [0.1] * 4}))

    scored(place, rows)

    found = read(place / "scores")["prediction"].to_pylist()
    assert found[1] == found[2]
    with pytest.raises(DataUnusable, match=r"`rows.parquet`, rows from 0: found 1 nulls in `b`"):
        scored(place, rows, "others", missing="refuse")


def test_what_a_model_does_not_know_must_be_named(place: Path) -> None:
    """A column that is both kept and answered, features of another model, a column that is not there."""
    rows = written(place / "rows.parquet", table(3))

    with pytest.raises(AskedWrongly, match="expected two names"):
        scored(place, rows, name="id")
    with pytest.raises(ModelUnusable, match="found the features a, b, c, expected those of --features"):
        scored(place, rows, features=("c", "b", "a"))
    with pytest.raises(DataUnusable, match="no column `client`"):
        scored(place, rows, keep=("client",))


def test_an_output_never_lies_in_its_input(place: Path) -> None:
    """The next run would take its scores for rows."""
    written(place / "rows/1.parquet", table(3))

    with pytest.raises(OutputTaken, match="the input itself, or a place in it"):
        scored(place, place / "rows", "rows/scores")


def test_an_input_that_is_written_meanwhile_is_refused(tmp_path: Path) -> None:
    """What was planned with one file is never carried out with another."""
    path = written(tmp_path / "rows.parquet", table(10))
    source = look(path)
    written(path, table(10, seed=1))

    with pytest.raises(ScoreRefused, match="a file that was written meanwhile"):
        list(batches(source, _whole(source), FEATURES, 5))


def _whole(source: Any) -> Any:
    from nbproof.score.plan import cut

    return cut(source.files, 1000)[0].slices[0]


def block_of(rows: Any, dtype: str = "float32", missing: columns.Missing = "refuse") -> Any:
    batch = rows.to_batches()[0]
    block = np.empty((batch.num_rows, batch.num_columns), dtype)
    columns.fill(block, batch, "`f`", missing)
    return block


def test_a_block_holds_what_the_columns_hold() -> None:
    """Whole numbers, booleans and floats of any width, more rows than are filled at a time, in their order."""
    size = 5000
    rows = pyarrow.table({
        "i": pyarrow.array(np.arange(size) - 7, "int32"), "t": pyarrow.array(np.arange(size) % 3 == 0),
        "f": pyarrow.array(np.linspace(-1, 1, size)), "h": pyarrow.array(np.linspace(0, 1, size).astype("float16")),
    })  # fmt: skip

    found = block_of(rows)

    expected = np.stack([rows[name].to_numpy().astype("float32") for name in rows.column_names], 1)
    np.testing.assert_array_equal(found, expected)


def test_a_hole_in_a_block_is_found_wherever_it_is() -> None:
    """Nulls, and NaN in any place, are refused with row and column; asked to pass, both become NaN."""
    numbers = np.arange(3000, dtype="float64")
    numbers[2999] = np.nan
    holed = pyarrow.table({"a": np.zeros(3000), "b": pyarrow.array(numbers)})
    nulls = pyarrow.table({"a": pyarrow.array([1, None, 3]), "b": pyarrow.array([True, None, False])})

    with pytest.raises(DataUnusable, match="row 2999 of the batch: found NaN in `b`"):
        block_of(holed)
    with pytest.raises(DataUnusable, match="found 1 nulls in `a`"):
        block_of(nulls)
    np.testing.assert_array_equal(block_of(nulls, missing="pass"), [[1, 1], [np.nan, np.nan], [3, 0]])


def test_a_number_that_a_block_cannot_hold_is_refused() -> None:
    """A number too large for single precision would become infinity."""
    with pytest.raises(DataUnusable, match="a number in `b` too large for float32"):
        block_of(pyarrow.table({"a": [1.0, 2.0], "b": [1.0, 1e300]}))
