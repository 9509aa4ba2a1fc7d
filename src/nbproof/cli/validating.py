"""`nbproof data`: the contract of a table, drafted and held against its rows; and a table as others read it."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ContractBroken, OutputTaken
from .output import as_json, near, print_json, print_table


@click.group()
def data() -> None:
    """The contract of a table: drafted, and held against its rows; and a table as a feature store reads it.

    \b
    Example:
      nbproof data draft data/panel.parquet --out data/panel.yaml
      nbproof data check data/panel.parquet data/panel.yaml
      nbproof data export features.parquet --to feast --entity client_id --time month --ttl-days 40 --out feast
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


@data.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["feast"]), required=True, help="What reads it.")
@click.option("--entity", required=True, metavar="COLUMN", help="Whose features a row holds.")
@click.option("--time", required=True, metavar="COLUMN", help="Since when a row was known.")
@click.option("--ttl-days", type=float, required=True, help="For how many days a row counts.")
@click.option("--feature", "features", multiple=True, metavar="COLUMN", help="A feature (default: all other columns).")
@click.option("--name", help="The view (default: the name of the file).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A folder that is not there yet.")
@as_json
def export(
    table: Path, to: str, entity: str, time: str, ttl_days: float, features: tuple[str, ...], name: str | None,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Write the features in TABLE as a repository of a feature store.

    TABLE is Parquet, say a product of a notebook. Feast needs an environment of its own: the repository names it in its
    requirements.txt, and `feast apply` there registers what is in it. A row of the wrong type, a hole, or two rows of
    one entity at one time are refused.

    \b
    Example:
      nbproof data export features.parquet --to feast --entity client_id --time month --ttl-days 40 --out feast
      nbproof data export rows.parquet --to feast --entity id --time day --ttl-days 7 --feature a --out feast
    """
    from ..data.feature_repository import View, write_repository

    view = View(name or table.stem, entity, time, ttl_days, features or None)
    written = write_repository(table, view, out)
    if as_json:
        print_json({"table": str(table), "folder": str(out), "view": view.name, "features": list(written), "to": to})
    else:
        click.echo(f"{near(out.resolve())}: {len(written)} features; where Feast is installed: feast -c {out} apply")
