"""Tables of Delta Lake at a version: what an append, a deletion and a vacuum do to what stands for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from nbproof import assemble
from nbproof.data import delta
from nbproof.errors import DataAbsent, DataUnusable
from nbproof.run.sources.hashes import content_hash

NOTEBOOK = """\
# %% tags=["parameters"]
from pathlib import Path
upstream = None
product = None
panel: Path = Path("data/panel@v1")

# %%
from nbproof.data import delta
Path("seen.txt").write_text(str(sorted(delta.read(panel)["amount"].to_pylist())))
"""


def rows(amounts: Sequence[int]) -> pa.Table:
    return pa.table(
        {"amount": pa.array(amounts, pa.int64()), "region": ["n" if each % 2 else "s o" for each in amounts]}
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table in two parts, with two versions."""
    place = tmp_path / "data/panel"
    place.parent.mkdir()
    write_deltalake(place, rows([1, 2, 3]), partition_by=["region"])
    write_deltalake(place, rows([4]), mode="append")
    return place


def at(table: Path, version: int) -> Path:
    return table.with_name(f"{table.name}@v{version}")


def test_a_version_is_read_as_it_was(table: Path) -> None:
    """Each version has its own rows, with their partition; without one it is the newest."""
    assert sorted(delta.read(at(table, 0))["amount"].to_pylist()) == [1, 2, 3]
    assert sorted(delta.read(table)["amount"].to_pylist()) == [1, 2, 3, 4]
    assert {row["amount"]: row["region"] for row in delta.read(table).to_pylist()}[2] == "s o"


def test_it_is_read_as_deltalake_reads_it(table: Path) -> None:
    """The rows and their types are deltalake's own; the order is always the same."""
    ours, theirs = delta.read(table), DeltaTable(table).to_pyarrow_table()

    assert ours.schema == theirs.schema
    assert ours.sort_by("amount") == theirs.sort_by("amount")
    assert ours == delta.read(table)


def test_only_its_own_version_counts(table: Path) -> None:
    """An append changes the folder, and no version that was there before."""
    first, second, folder = content_hash(at(table, 0)), content_hash(at(table, 1)), content_hash(table)
    write_deltalake(table, rows([5]), mode="append")

    assert (content_hash(at(table, 0)), content_hash(at(table, 1))) == (first, second)
    assert len({first, second, content_hash(at(table, 2))}) == 3
    assert content_hash(table) != folder


def test_a_byte_of_a_file_counts(table: Path) -> None:
    """A file that was changed behind Delta's back is another content; the log alone would not tell."""
    (name,) = [file for file in DeltaTable(table, version=0).file_uris() if "region=n" in file]
    before = content_hash(at(table, 0))
    Path(name).write_bytes(Path(name).read_bytes()[:-1] + b"!")

    assert content_hash(at(table, 0)) not in (before, None)


def test_what_was_vacuumed_is_gone(table: Path) -> None:
    """A version whose files were taken away is missing, and reading it says so."""
    DeltaTable(table).delete("amount = 1")
    DeltaTable(table).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)

    assert content_hash(at(table, 0)) is None
    with pytest.raises(DataAbsent, match="a version whose files are gone"):
        delta.read(at(table, 0))


def test_what_is_not_there_is_told(table: Path) -> None:
    """Neither a version of the future nor a folder without a table is read."""
    assert content_hash(at(table, 9)) is None
    with pytest.raises(DataAbsent, match=r"panel@v9.*expected one of the versions"):
        delta.read(at(table, 9))
    with pytest.raises(DataAbsent, match="expected a table of Delta Lake"):
        delta.read(table.parent)


def test_a_file_of_that_name_is_the_file(tmp_path: Path, table: Path) -> None:
    """What lies there is what is meant."""
    at(table, 0).write_text("a file")

    assert content_hash(at(table, 0)) == content_hash(at(table, 0).rename(tmp_path / "elsewhere"))


def test_a_table_whose_files_do_not_tell_is_refused(table: Path) -> None:
    """Deletion vectors take rows away that still stand in the files."""
    commit = table / delta.LOG / "00000000000000000002.json"
    commit.write_text(
        '{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],'
        '"writerFeatures":["deletionVectors"]}}\n'
    )

    with pytest.raises(DataUnusable, match="deletionVectors"):
        delta.read(at(table, 2))
    with pytest.raises(DataUnusable, match="deletionVectors"):
        content_hash(at(table, 2))


def test_an_append_leaves_a_task_fresh_that_reads_a_version(tmp_path: Path, table: Path) -> None:
    """The version stands in the fingerprint; another one makes the task stale, and says so."""
    (tmp_path / "pyproject.toml").write_text("[tool.nbproof]\ntracking = false\n")
    (tmp_path / "read.py").write_text(NOTEBOOK)
    (tmp_path / "pipeline.yaml").write_text("tasks:\n  - source: read.py\n    product: {nb: build/read.ipynb}\n")
    project = assemble.open_project(tmp_path)

    def load(*parameters: str) -> assemble.Loaded:
        return assemble.load_pipeline(project, tmp_path / "pipeline.yaml", parameters)

    assemble.run(project, load())
    write_deltalake(table, rows([5]), mode="append")

    assert (tmp_path / "seen.txt").read_text() == "[1, 2, 3, 4]"
    assert [found.state for found in assemble.plan(project, load())] == ["fresh"]
    (found,) = assemble.plan(project, load("panel=data/panel@v2"))
    assert "declared data `data/panel@v2` is new" in found.reasons
    assemble.run(project, load("panel=data/panel@v2"))
    assert (tmp_path / "seen.txt").read_text() == "[1, 2, 3, 4, 5]"
