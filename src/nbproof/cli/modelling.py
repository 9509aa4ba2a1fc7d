"""`nbproof models …`: the registry's models, who serves, and who served before."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import as_json, print_json, print_table

if TYPE_CHECKING:
    from ..serve.moves import Change
    from ..serve.promoting import Changed
    from ..serve.registry import Entry, Holding, Registry


@click.group()
def models() -> None:
    """Registered models: what is there, what serves, what served before.

    A new version is the `candidate`. Promoted it is the `champion`, and the champion of before is kept as `previous`.

    \b
    Example:
      nbproof models list
      nbproof models promote credit-default
      nbproof models rollback credit-default
    """


@models.command("list")
@as_json
def list_models(as_json: bool) -> None:
    """List every model with its versions, the newest first.

    \b
    Example:
      nbproof models list --json
    """
    _, registry = _open()
    with _answering():
        held = [registry.holding(name) for name in registry.names()]
    if as_json:
        print_json([_holding_as_json(each) for each in held])
        return
    if not held:
        click.echo("no models; next: nbproof run")
        return
    rows = [
        (each.name, str(each.version or f"v{each.number}"), each.tags.get("change", "-"),
         ", ".join(each.aliases) or "-", each.digest.short if each.digest else "-")
        for one in held for each in one.entries
    ]  # fmt: skip
    print_table(("model", "version", "changed", "is", "sha256"), rows)
    for each in held:
        _warn(each)


@models.command()
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show a model: its versions, whether each may serve today, and every change of who serves.

    The bytes of each version are read and held against its hashes and against the approvals.

    \b
    Example:
      nbproof models show credit-default
    """
    from ..serve.promoting import approval_of

    project, registry = _open()
    with _answering():
        held = registry.holding(name)
        may = {each.number: approval_of(registry, project, each) for each in held.entries}
    if as_json:
        approvals = {str(number): {"may_serve": yes, "why": why} for number, (yes, why) in may.items()}
        print_json({**_holding_as_json(held), "approvals": approvals})
        return
    rows = [
        (str(each.version or f"v{each.number}"), each.tags.get("change", "-"), ", ".join(each.aliases) or "-",
         "yes" if may[each.number][0] else "no", may[each.number][1])
        for each in held.entries
    ]  # fmt: skip
    print_table(("version", "changed", "is", "may serve", "why"), rows)
    if held.changes:
        click.echo()
        told = [
            (str(each.number), each.at, each.kind, _moved(held, each), each.by, each.state) for each in held.changes
        ]
        print_table(("change", "at", "what", "champion", "by", "state"), told)
    _warn(held)


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@as_json
def promote(name: str, version: str | None, as_json: bool) -> None:
    """Make a version the champion, if its very bytes are approved.

    VERSION is an alias, a semantic version or v and the registry's number; without it, the candidate. The champion of
    before is kept as `previous`.

    \b
    Example:
      nbproof models promote credit-default
      nbproof models promote credit-default 1.2.0
    """
    from ..serve.promoting import promote as carry_out

    project, registry = _open()
    with _answering():
        changed = carry_out(registry, project, name, version, by=_by(project))
    _tell(changed, as_json=as_json)


@models.command()
@click.argument("name")
@click.option("--to", "version", metavar="VERSION", help="Another version than the one before.")
@as_json
def rollback(name: str, version: str | None, as_json: bool) -> None:
    """Let the champion give way to the one before it, if that one is approved today.

    \b
    Example:
      nbproof models rollback credit-default
    """
    from ..serve.promoting import roll_back

    project, registry = _open()
    with _answering():
        changed = roll_back(registry, project, name, version, by=_by(project))
    _tell(changed, as_json=as_json)


@models.command()
@click.argument("name")
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@as_json
def fetch(name: str, version: str, folder: Path, as_json: bool) -> None:
    """Write a version to FOLDER as it is served: model, signature, and the manifest that names both.

    An approval of a registered version is about this folder: the model alone does not say which columns it takes.
    VERSION is an alias, a semantic version or v and the registry's number.

    \b
    Example:
      nbproof models fetch credit-default candidate build/candidate
    """
    from ..serve.registered import fetch as carry_out

    _, registry = _open()
    with _answering():
        entry = registry.holding(name).entry(version)
        found = carry_out(registry, entry, folder)
    if as_json:
        print_json({"version": _entry_as_json(entry), "folder": folder, "files": sorted(found.files),
                    "digest": found.digest.hex})  # fmt: skip
        return
    click.echo(f"{entry.told} is in {folder}, {found.digest.short}; for its approval: "
               f"nbproof review request NOTEBOOK --model {folder}")  # fmt: skip


@models.command()
@click.argument("name")
@as_json
def mend(name: str, as_json: bool) -> None:
    """Finish a change that was cut short; it is taken back if its model is approved no more.

    `promote` and `rollback` do this first by themselves.

    \b
    Example:
      nbproof models mend credit-default
    """
    from ..serve.promoting import mend as carry_out

    project, registry = _open()
    with _answering():
        mended = carry_out(registry, project, name)
    if as_json:
        print_json({"mended": None if mended is None else _change_as_json(mended)})
    else:
        click.echo(f"{name}: no change was cut short" if mended is None else _mended(name, mended))


def _open() -> tuple[Path, Registry]:
    from ..assemble import open_project
    from ..serve.registry import open_registry

    project = open_project(Path.cwd())
    return project.root, open_registry(project.root, project.settings)


def _answering() -> Any:
    from ..track.mlflow_tracker import as_unavailable

    return as_unavailable()


def _by(project: Path) -> str:
    import os

    from ..settings import load

    return load(project, os.environ).review_name or getpass.getuser()


def _tell(changed: Changed, *, as_json: bool) -> None:
    if as_json:
        print_json({
            "champion": _entry_as_json(changed.champion),
            "previous": _entry_as_json(changed.previous) if changed.previous else None,
            "change": _change_as_json(changed.change),
            "mended": _change_as_json(changed.mended) if changed.mended else None,
        })  # fmt: skip
        return
    if changed.mended:
        click.echo(f"note: {_mended(changed.champion.name, changed.mended)}", err=True)
    before = f"; before: {changed.previous.told}" if changed.previous else ""
    click.echo(f"{changed.champion.told} is the champion, {changed.change.approved}{before}")


def _warn(held: Holding) -> None:
    """Say on stderr what is not as the last change left it, and what mends it."""
    change = held.open_change
    if change is not None:
        click.echo(f"note: {held.name}: the {change.kind} of {change.at} by {change.by} was cut short", err=True)
        click.echo(f"hint: nbproof models mend {held.name}", err=True)
    for surprise in held.surprises:
        click.echo(f"note: {held.name}: {surprise}; it was moved by something else than `nbproof models`", err=True)


def _mended(name: str, change: Change) -> str:
    how = "finished" if change.state == "done" else "taken back, since its model is approved no more"
    return f"{name}: the {change.kind} of {change.at} had been cut short; it is {how}"


def _moved(held: Holding, change: Change) -> str:
    names = {each.number: str(each.version or f"v{each.number}") for each in held.entries}
    before, after = (sides.get("champion") for sides in (change.before, change.after))
    return f"{names.get(before, '-') if before else '-'} → {names.get(after, '-') if after else '-'}"


def _holding_as_json(held: Holding) -> dict[str, Any]:
    return {
        "name": held.name,
        "aliases": dict(held.aliases),
        "versions": [_entry_as_json(each) for each in held.entries],
        "changes": [_change_as_json(each) for each in held.changes],
        "cut_short": held.open_change.number if held.open_change else None,
        "surprises": held.surprises,
    }


def _entry_as_json(entry: Entry) -> dict[str, Any]:
    return {
        "version": str(entry.version) if entry.version else None,
        "number": entry.number,
        "aliases": list(entry.aliases),
        "sha256": entry.digest.hex if entry.digest else None,
        "run_id": entry.run_id,
        "tags": dict(entry.tags),
    }


def _change_as_json(change: Change) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(change)
