"""The prediction log as a table, complete segments and the one that is being written, joined with what came true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataUnusable
from ..extras import require
from .log import ABOUT, DONE, OPEN, table_of

if TYPE_CHECKING:
    import pandas as pd


def read_log(folder: Path, *, truth: Any = None) -> pd.DataFrame:
    """Return every answer in a prediction log, in the order in which it was given: one row for each row scored.

    Columns are `request`, `row` (its place in the request), `at` (UTC), `model`, `version`, `digest`, `score`, and
    `input.NAME` for each field. `truth` is a frame with `request`, perhaps `row`, and what came true since: its other
    columns are added, and are missing where nothing is known yet.

    Raises `DataUnusable` for a folder that is none, and for a truth that says two things of one row.
    """
    found = read_table(folder).to_pandas()
    found = found.sort_values(["at", "request", "row"], kind="stable", ignore_index=True)
    return found if truth is None else joined(found, truth)


def read_table(folder: Path) -> Any:
    """The same as an Arrow table, in no order. Raises `DataUnusable`."""
    require("pyarrow")
    import pyarrow as pa

    if not folder.is_dir():
        raise DataUnusable("the prediction log", f"no folder `{folder}`", "the folder of nbproof serve --log")
    tables = _tables(folder)
    if not tables:
        raise DataUnusable("the prediction log", f"no answer in `{folder}`", "at least one")
    return pa.concat_tables(tables, promote_options="permissive")


def is_log_folder(folder: Path) -> bool:
    """Whether a service writes its log here, or has: by an open segment, or by the columns of a complete one."""
    require("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not folder.is_dir():
        return False
    if any(folder.glob(f"*{OPEN}")):
        return True
    try:
        return any(set(pq.read_schema(path).names) >= set(ABOUT) for path in sorted(folder.glob(f"*{DONE}"))[:1])
    except (OSError, pa.ArrowException):
        return False


def _tables(folder: Path) -> list[Any]:
    """The segments. One that is completed meanwhile changes its name, and then all are looked for again."""
    import pyarrow.parquet as pq

    while True:
        complete = {path.stem for path in folder.glob(f"*{DONE}")}
        # Of one that is complete the frames are only not gone yet.
        waiting = [path for path in sorted(folder.glob(f"*{OPEN}")) if path.stem not in complete]
        try:
            held = [table_of(path) for path in waiting]
        except FileNotFoundError:
            continue
        done = [pq.read_table(folder / f"{stem}{DONE}") for stem in sorted(complete)]
        return [*done, *(table for table in held if table is not None)]


def joined(log: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """A log with the columns of `truth` beside it, by `request`, and by `row` where truth has it."""
    keys = ["request", "row"] if "row" in truth.columns else ["request"]
    if "request" not in truth.columns:
        raise DataUnusable("the truth", f"the columns {', '.join(map(str, truth.columns))}", "a column `request`")
    if truth.duplicated(keys).any():
        raise DataUnusable("the truth", "two lines about one row", "one")
    taken = sorted(set(truth.columns) & set(log.columns) - set(keys))
    if taken:
        raise DataUnusable("the truth", f"the column `{taken[0]}`, which the log has", "columns of other names")
    found: pd.DataFrame = log.merge(truth, on=keys, how="left", validate="m:1")
    return found
