"""`nbproof export` and `nbproof verify`: from a notebook to a package that is proven equal, and the proof again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import as_json, duration, near, print_json, print_table

if TYPE_CHECKING:
    from ..export.equivalence.proving import Proof

_LONGEST = 60
_VERDICTS = ("equal", "not steady", "cannot be compared")


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path), metavar="NOTEBOOK")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The folder that the package's own folder is put in; else `exports` of the project.")  # fmt: skip
@click.option("--draft", "is_draft", is_flag=True, help="Write an unapproved copy, marked so.")
@click.option("--name", metavar="NAME", help="What the package is called; else as the notebook.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE",
              help="A value that the notebook is run with for the comparison, beside those of its pipeline. May be "
                   "repeated.")  # fmt: skip
@click.option("--other-values", "others_s", type=click.FloatRange(min=0), default=5.0, show_default=True,
              metavar="SECONDS", help="How long to compare with other values; 0: not at all.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long one run may take.")  # fmt: skip
@as_json
def export(
    notebook: Path,
    out: Path | None,
    is_draft: bool,
    name: str | None,
    parameters: tuple[str, ...],
    others_s: float,
    timeout_s: float | None,
    as_json: bool,
) -> None:
    """Make a package of an approved notebook, once it is proven to give the same values.

    The notebook runs twice, the package once, each in a fresh process. What cannot be proven equal is refused.

    \b
    Example:
      nbproof export notebooks/06_training.ipynb
      nbproof export notebooks/06_training.ipynb --draft --out build -p rows=100
    """
    from ..assemble import home_of, open_project
    from ..export.exporting import Asked
    from ..export.exporting import export as export_one

    project = open_project(notebook)
    home = home_of(project, notebook)
    done = export_one(
        Asked(
            project.root, notebook, out=out, name=name, is_draft=is_draft, lock=project.settings.review_lock,
            parameters={**home.parameters, **_parameters(notebook, parameters)} or None, timeout_s=timeout_s,
            others_s=others_s, folder=home.folder,
        ),
        tell=_teller(notebook.name, is_quiet=as_json),
    )  # fmt: skip
    if as_json:
        print_json({
            "folder": done.folder, "name": done.name, "shape": done.shape, "draft": done.is_draft,
            "standing": done.standing, "passed_over": done.passed_over, "equivalence": _rows(done.proofs),
            "seconds": done.seconds,
        })  # fmt: skip
        return
    _show(done.proofs)
    for reason in done.passed_over:
        click.echo(f"not {reason}")
    for what, why in done.coverage.missing.items():
        click.echo(f"not tested: {what}: {why}")
    click.echo(f"{done.standing} In {duration(done.seconds['all'])}; the notebook itself takes "
               f"{duration(done.seconds['notebook'])}.")  # fmt: skip
    click.echo(f"{near(done.folder)}: pip install {near(done.folder)}; python -m {done.name} --help")


@click.command()
@click.argument("package", type=click.Path(path_type=Path, file_okay=False), metavar="PACKAGE")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
              help="A folder with the data that did not come along, laid out as it was.")  # fmt: skip
@click.option("--project", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
              help="The project whose reviewers count; else those that came along.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="How long one run may take.")  # fmt: skip
@as_json
def verify(package: Path, data: Path | None, project: Path | None, timeout_s: float | None, as_json: bool) -> None:
    """Verify every file of a package and its approval, then run it beside its notebook again. Needs no project.

    Ends with 0 when all holds, 1 when package and notebook do not give the same, 3 when the package is not what was
    exported or its approval does not hold.

    \b
    Example:
      nbproof verify exports/training
      nbproof verify exports/training --data /srv/data --project .
    """
    from ..export.verifying import verify as verify_one

    done = verify_one(
        package, data=data, project=project, timeout_s=timeout_s, tell=_teller(package.name, is_quiet=as_json)
    )
    if as_json:
        print_json({
            "name": done.name, "notebook": done.notebook, "digest": done.digest, "approval": done.approval,
            "notes": done.notes, "equivalence": _rows(done.proofs),
        })  # fmt: skip
        return
    _show(done.proofs)
    for note in done.notes:
        click.echo(f"note: {note}")
    click.echo(f"{done.name}: every file is what was exported; {done.approval}; it gives what {done.notebook} gives")


@click.command()
@click.argument("package", type=click.Path(path_type=Path, file_okay=False), metavar="PACKAGE")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where it goes; else it is printed.")  # fmt: skip
@as_json
def sbom(package: Path, out: Path | None, as_json: bool) -> None:
    """Write the bill of materials of an exported package: what its lock pins, and each of its files (CycloneDX 1.6).

    The same package has the same bill, byte for byte. Licences are told of what is installed here in the same version.

    \b
    Example:
      nbproof sbom exports/training -o training.cdx.json
    """
    from ..export.sbom import of_package
    from ..files import write_atomically
    from ..notebook.products import as_json as spelled

    found = of_package(package)
    text = spelled(found)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
        if as_json:
            print_json({"file": out, "components": len(found["components"])})
        else:
            click.echo(f"{out}: {len(found['components'])} components")


def _parameters(notebook: Path, texts: Sequence[str]) -> dict[str, Any]:
    """The values typed as text, in the types of the notebook's contract."""
    if not texts:
        return {}
    from ..notebook import contract as contracts
    from ..notebook.document import read

    given = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.UsageError(f"-p {text}: found no `=`, expected NAME=VALUE")
        given[name] = value
    found = contracts.read(read(notebook)).parse(given, where="-p")
    return {name: found[name] for name in given}


def _teller(name: str, *, is_quiet: bool) -> Callable[[str], None]:
    if is_quiet:
        return lambda _: None
    return lambda said: click.echo(f"{name}: {said}", err=True)


def _show(proofs: Sequence[Proof]) -> None:
    rows = []
    for proof in proofs:
        told = ", ".join(f"{name}={value}" for name, value in proof.parameters.items()) or "as in the notebook"
        values = told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
        counts = [str(proof.equivalence.count(verdict)) for verdict in _VERDICTS]  # type: ignore[arg-type]
        rows.append((values, *counts, "both fail alike" if proof.equivalence.fails else ""))
    print_table(("parameters", *_VERDICTS, ""), rows)
    for row in proofs[0].equivalence.rows:
        if row.verdict != "equal":
            click.echo(f"{row.verdict}: the {row.what} `{row.name}`")


def _rows(proofs: Sequence[Proof]) -> list[dict[str, Any]]:
    return [{"parameters": proof.parameters, "rows": proof.equivalence.rows} for proof in proofs]
