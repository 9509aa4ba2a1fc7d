"""`nbproof data`: the contract of a table, drafted and held against its rows."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ContractBroken, OutputTaken
from .output import as_json, near, print_json, print_table


@click.group()
def data() -> None:
    """The contract of a table: drafted, and held against its rows.

    \b
    Example:
      nbproof data draft data/panel.parquet --out data/panel.yaml
      nbproof data check data/panel.parquet data/panel.yaml
    """


@data.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: print it).")
@as_json
def draft(table: Path, out: Path | None, as_json: bool) -> None:
    """Write a Pandera schema that TABLE keeps, to be edited.

    It says what was found: types, ranges, categories, and that there is no further column. A file that is there
    already is left alone: people have edited it.

    \b
    Example:
      nbproof data draft data/panel.parquet --out data/panel.yaml
      nbproof data draft data/panel@v3
    """
    from ..data import contracts
    from ..files import write_atomically

    if out is not None and out.exists():
        raise OutputTaken(out, "a file", "none, for a draft would undo what people edited", hint="name another: --out")
    text = contracts.draft(contracts.read_table(table), table.name)
    if out is not None:
        write_atomically(out, text.encode())
    if as_json:
        print_json({"table": str(table), "file": str(out) if out else None, "contract": text})
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{near(out.resolve())}: edit it, then: nbproof data check {table} {near(out.resolve())}")


@data.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("contract", type=click.Path(path_type=Path))
@as_json
def check(table: Path, contract: Path, as_json: bool) -> None:
    """Hold the rows of TABLE against CONTRACT.

    CONTRACT is a schema of Pandera (.yaml) or a suite of Great Expectations (.json). Every line that is not kept is
    named with the number of rows; no value of a row is shown. Ends with 1 when there is one.

    \b
    Example:
      nbproof data check data/panel.parquet data/panel.yaml
      nbproof data check data/panel@v3 suite.json --json
    """
    from ..data import contracts

    frame = contracts.read_table(table)
    found = list(contracts.broken(frame, contract))
    if as_json:
        print_json({"table": str(table), "contract": str(contract), "rows": len(frame), "broken": found})
    elif found:
        rows = [(each.column, each.line, "" if each.count is None else str(each.count)) for each in found]
        print_table(("column", "is not kept", "rows"), rows)
    else:
        click.echo(f"{table}: {len(frame)} rows keep {contract}")
    if found:
        raise ContractBroken(str(table), len(found), str(contract))
