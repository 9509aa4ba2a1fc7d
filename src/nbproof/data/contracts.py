"""The contract of a table: drafted from what is there, edited by people, and held against the rows.

A contract is a schema of Pandera (YAML) or a suite of Great Expectations (JSON). Nothing of a row leaves here but how
many rows broke which line: the values may be somebody's.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataAbsent, DataUnusable
from ..extras import require
from . import delta

# A column with at most so many values, each of which comes again, is taken for one of categories.
MOST_CATEGORIES = 20
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Broken:
    """A line of a contract that is not kept. `count` is in how many rows (None: it is about the table)."""

    column: str
    line: str
    count: int | None


def read_table(path: Path) -> Any:
    """The rows at `path` as a frame: Parquet, CSV, or a table of Delta Lake. Raises `DataAbsent` and `DataUnusable`."""
    require("pandas")
    import pandas as pd

    if delta.place_of(path) or (path / delta.LOG).is_dir():
        return delta.read(path).to_pandas()
    if not path.is_file():
        raise DataAbsent(f"`{path}`", "no file", "a Parquet or CSV file, or a table of Delta Lake")
    readers = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
    if path.suffix not in readers:
        raise DataUnusable(f"`{path}`", f"a file that ends in {path.suffix!r}", "one in .parquet or .csv", hint="")
    try:
        return readers[path.suffix](path)
    except (ValueError, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataUnusable(f"`{path}`", f"a file that is no table ({said})", "rows", hint="look at it") from None


def draft(frame: Any, name: str) -> str:
    """A schema of Pandera that the rows keep: their types, ranges and categories, and no further column.

    It says what was found, which is not what must hold; whoever owns the data edits it.
    """
    require("pandera")
    import pandera.pandas as pa

    columns = {str(column): _column(pa, frame[column]) for column in frame.columns}
    schema = pa.DataFrameSchema(columns, strict=True, coerce=False).to_yaml()
    found = f"# Drafted by `nbproof data draft` from what {name} holds: {len(frame)} rows."
    return f"{found}\n# Edit it: what must hold?\n{schema}"


def _column(pa: Any, values: Any) -> Any:
    from pandas.api import types

    known = values.dropna()
    is_text = isinstance(values.dtype, types.CategoricalDtype) or types.is_string_dtype(values.dtype)
    is_ordered = types.is_numeric_dtype(values.dtype) or types.is_datetime64_any_dtype(values.dtype)
    checks = []
    if is_text:
        found = sorted(map(str, known.unique())) if known.nunique() <= MOST_CATEGORIES else []
        if found and len(found) * REPEATS <= len(known):
            checks.append(pa.Check.isin(found))
    elif is_ordered and not types.is_bool_dtype(values.dtype) and len(known):
        checks.append(pa.Check.in_range(_plain(known.min()), _plain(known.max())))
    dtype = "str" if is_text and not isinstance(values.dtype, types.CategoricalDtype) else str(values.dtype)
    return pa.Column(dtype, checks, nullable=bool(values.isna().any()))


def _plain(value: Any) -> Any:
    """A number of Python, which YAML spells; a moment as it is."""
    return value.item() if hasattr(value, "item") else value


def broken(frame: Any, contract: Path) -> Iterator[Broken]:
    """The lines of `contract` that the rows do not keep.

    Raises `DataAbsent` when it is not there, and `DataUnusable` for one that cannot be read or asks for nothing: it
    would be kept by any rows.
    """
    if not contract.is_file():
        raise DataAbsent(f"`{contract}`", "no file", "a contract", hint="nbproof data draft TABLE --out contract.yaml")
    kinds = {".yaml": _against_schema, ".yml": _against_schema, ".json": _against_suite}
    if contract.suffix not in kinds:
        raise _no_contract(contract, f"a file that ends in {contract.suffix!r}")
    return kinds[contract.suffix](frame, contract)


def _no_contract(contract: Path, found: str) -> DataUnusable:
    expected = "a schema of Pandera (.yaml) or a suite of Great Expectations (.json) that asks for something"
    return DataUnusable(f"`{contract}`", found, expected, hint="nbproof data draft TABLE")


def _against_schema(frame: Any, contract: Path) -> Iterator[Broken]:
    require("pandera")
    import pandera.errors
    import pandera.pandas as pa

    try:
        schema = pa.DataFrameSchema.from_yaml(contract)
    except Exception as error:
        # pandera lets the errors of whatever it parses with through.
        raise _no_contract(contract, f"no schema that pandera reads ({type(error).__name__})") from None
    if not schema.columns and not schema.checks:
        raise _no_contract(contract, "no column and no check")
    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        # Of what concerns the table as a whole no row is named.
        cases = errors.failure_cases
        rows = cases.assign(is_row=cases["index"].notna()).groupby(["column", "check"], dropna=False)["is_row"].sum()
        for (column, check), count in rows.items():
            name = "(table)" if column is None or column != column else str(column)
            yield Broken(name, str(check), int(count) or None)


def _against_suite(frame: Any, contract: Path) -> Iterator[Broken]:
    suite = _suite(contract)
    require("great_expectations")
    # It would tell its makers that it is used; it reads this when it is imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        # It imports a module of Python that goes; nobody here can change that.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    try:
        made = gx.ExpectationSuite(name=str(suite.get("name", contract.stem)), expectations=suite["expectations"])
    except Exception as error:
        # An expectation that it does not know comes as one of many errors.
        raise _no_contract(contract, f"no suite that it reads ({type(error).__name__})") from None
    # What it does not know it leaves out, and what nobody asks is kept by any rows.
    if len(made.expectations) != len(suite["expectations"]):
        left_out = len(suite["expectations"]) - len(made.expectations)
        raise _no_contract(contract, f"{left_out} expectations that are unknown, incomplete or said twice")
    for result in batch.validate(made).results:
        asked = result.expectation_config
        if result.success or asked is None:
            continue
        count = result.result.get("unexpected_count")
        told = {key: value for key, value in asked.kwargs.items() if key not in ("column", "batch_id")}
        line = f"{asked.type}({', '.join(f'{key}={value}' for key, value in sorted(told.items()))})"
        # What raised has not been kept.
        line += " could not be evaluated" if _raised(result.exception_info) else ""
        yield Broken(str(asked.kwargs.get("column", "(table)")), line, count)


def _raised(told: Mapping[str, Any]) -> bool:
    """Whether a line raised: it tells so itself, or of each of the metrics that it asked for."""
    nested = [each for each in told.values() if isinstance(each, Mapping)]
    return bool(told.get("raised_exception")) or any(each.get("raised_exception") for each in nested)


def _suite(contract: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(contract.read_bytes())
        is_suite = isinstance(found["expectations"], list) and bool(found["expectations"])
    except (OSError, ValueError, KeyError, TypeError):
        is_suite = False
    if not is_suite:
        raise _no_contract(contract, "no list of expectations")
    suite: Mapping[str, Any] = found
    return suite
