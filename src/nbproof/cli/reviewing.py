"""`nbproof review …`: check a notebook, ask for its review, decide, and verify what was decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ChecksFailed, NotApproved, ReviewAskedWrongly
from .output import as_json, print_json, print_table

if TYPE_CHECKING:
    from ..assemble import Project
    from ..review.checks.findings import Report
    from ..review.standing import Standing
    from ..review.statement import Decision

notebook_argument = click.argument("notebook", type=click.Path(path_type=Path), metavar="NOTEBOOK")
key_option = click.option(
    "--key", type=click.Path(path_type=Path), help="The private key that signs; else the one that the settings name."
)
comment_option = click.option("--comment", default="", help="A remark, which is kept.")


@click.group()
def review() -> None:
    """Say yes to a notebook, and prove it later.

    \b
    Example:
      nbproof review check notebooks/06_training.ipynb
      nbproof review request notebooks/06_training.ipynb --key ~/.ssh/bela
      nbproof review approve notebooks/06_training.ipynb --key ~/.ssh/id_ed25519
      nbproof review verify notebooks/06_training.ipynb
    """


@review.command()
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="NOTEBOOK…")
@click.option("--static", "is_static", is_flag=True, help="Only read: run nothing.")
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="Write the findings as SARIF 2.1.0.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write the verdicts as JUnit.")
@as_json
def check(notebooks: tuple[Path, ...], is_static: bool, sarif: Path | None, junit: Path | None, as_json: bool) -> None:
    """Look for what a reviewer should not have to look for. The notebooks are not changed.

    Without --static each is run twice, in new kernels.

    \b
    Example:
      nbproof review check notebooks/06_training.ipynb
      nbproof review check --static --sarif findings.sarif notebooks/*.ipynb
    """
    from ..review.checking import check as check_one

    reports = []
    for notebook in notebooks:
        project = _project(notebook)
        tell = _teller(notebook, is_quiet=as_json or is_static)
        reports.append(check_one(project.root, notebook, project.settings, is_static=is_static, tell=tell))
    _write(reports, sarif, junit)
    if as_json:
        print_json({"notebooks": [report.to_json() for report in reports]})
    else:
        for report in reports:
            _show(report)
    for report in reports:
        if report.failed:
            raise ChecksFailed(report.notebook, [held.check.code for held in report.failed])


@review.command()
@notebook_argument
@key_option
@click.option("--by", default=None, help="Who asks, where the policy lets requests be unsigned.")
@click.option("--report", help="A report that is bound, too: its path in the project.")
@click.option("--model", help="A model that is bound, too.")
@click.option("--package", help="A package that is bound, too.")
@comment_option
@as_json
def request(
    notebook: Path,
    key: Path | None,
    by: str | None,
    report: str | None,
    model: str | None,
    package: str | None,
    comment: str,
    as_json: bool,
) -> None:
    """Ask for a review of what is there now: sign the question, and note it in the ledger.

    \b
    Example:
      nbproof review request notebooks/06_training.ipynb --key ~/.ssh/id_ed25519 --report build/report.html
    """
    from ..review.checking import require_passing
    from ..review.deciding import request as ask
    from ..review.identity import key_file
    from ..review.keys import read_private

    project = _project(notebook)
    require_passing(project.root, notebook, project.settings)
    files = {kind: path for kind, path in (("report", report), ("model", model), ("package", package)) if path}
    settings = project.settings
    # A name without a key is only taken by a policy that calls itself unsafe; that one says so.
    is_signed = key is not None or (by is None and settings.review_key is not None)
    private = read_private(key_file(project.root, settings, key), passphrase=_passphrase) if is_signed else None
    name = by or ("" if is_signed else settings.review_name or "")
    entry = ask(project.root, notebook, key=private, by=name, lock=settings.review_lock, files=files, comment=comment)
    if as_json:
        print_json({"entry": entry, "hash": entry.hash})
        return
    click.echo(
        f"{entry.by} asks for a review of {entry.notebook}, digest {entry.digest[:12]}, bound {entry.bound[:12]}"
    )
    click.echo(f"next, by somebody else: nbproof review approve {entry.notebook}")


@review.command()
@notebook_argument
@key_option
@click.option("--condition", "conditions", multiple=True, metavar="TEXT[@DATE]",
              help="What must be done, perhaps until a date (“watch it@2027-01-31”). May be repeated.")  # fmt: skip
@click.option("--bound", default="", help="The hash that you saw; without it, whatever is there now.")
@comment_option
@as_json
def approve(
    notebook: Path, key: Path | None, conditions: tuple[str, ...], bound: str, comment: str, as_json: bool
) -> None:
    """Sign that what is there now, as it was asked about, is good.

    \b
    Example:
      nbproof review approve notebooks/06_training.ipynb --key ~/.ssh/id_ed25519
      nbproof review approve notebooks/06_training.ipynb --condition "monitor drift@2027-01-31"
    """
    decision: Decision = "approved-with-conditions" if conditions else "approved"
    _decide(notebook, decision, key, conditions, bound, comment, as_json)


@review.command()
@notebook_argument
@key_option
@click.option("--bound", default="", help="The hash that you saw; without it, whatever is there now.")
@comment_option
@as_json
def reject(notebook: Path, key: Path | None, bound: str, comment: str, as_json: bool) -> None:
    """Sign that what is there now is not good.

    \b
    Example:
      nbproof review reject notebooks/06_training.ipynb --comment "the hold-out leaks"
    """
    _decide(notebook, "rejected", key, (), bound, comment, as_json)


@review.command()
@notebook_argument
@as_json
def verify(notebook: Path, as_json: bool) -> None:
    """Say whether what is there now is approved; exit code 3 when it is not. Needs no server.

    \b
    Example:
      nbproof review verify notebooks/06_training.ipynb && nbproof run notebooks/06_training.ipynb
    """
    _, found = _standing(notebook)
    if as_json:
        from ..review.telling import standing_to_json

        print_json(standing_to_json(found))
    else:
        click.echo(f"{found.notebook}: {found.state}: {found.sentence}")
        for given in found.given:
            problem = f" (does not count: {given.problem})" if given.problem else ""
            click.echo(f"  {given.approval.at} {given.approval.decision} by {given.approval.reviewer}{problem}")
    if not found.is_approved:
        raise NotApproved(found.notebook, f"{found.state}: {found.sentence}")


@review.command()
@click.argument("notebook", required=False, type=click.Path(path_type=Path), metavar="[NOTEBOOK]")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write it for auditors, as CSV.")
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False), help="Write it for auditors, as PDF.")
@as_json
def log(notebook: Path | None, csv: Path | None, pdf: Path | None, as_json: bool) -> None:
    """Show the ledger, once its chain is whole. For auditors each signature is checked, too.

    \b
    Example:
      nbproof review log notebooks/06_training.ipynb
      nbproof review log --csv ledger.csv --pdf ledger.pdf
    """
    from ..review.binding import relative
    from ..review.ledger import Ledger

    project = _project(notebook or Path.cwd())
    entries = Ledger(project.root).read()
    name = None if notebook is None else relative(project.root.resolve(), notebook.resolve())
    entries = tuple(entry for entry in entries if name in (None, entry.notebook))
    if csv is not None or pdf is not None:
        _extract(project.root, name, csv, pdf)
    if as_json:
        print_json({"entries": [{**_plain(entry), "hash": entry.hash} for entry in entries]})
        return
    if not entries:
        click.echo("nobody has asked for a review")
        return
    rows = [(str(e.number), e.at, e.kind, e.by, e.notebook, e.digest[:12], e.comment) for e in entries]
    print_table(("no", "when", "what", "who", "notebook", "digest", "remark"), rows)


@review.command()
@notebook_argument
@click.argument("other", required=False, type=click.Path(path_type=Path), metavar="[OTHER]")
@click.option("--from", "before", metavar="STATE", help="The earlier state: a file, a run, a digest.")
@click.option("--to", "after", metavar="STATE", help="The later state; else what lies there.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page, too.")
@as_json
def diff(
    notebook: Path, other: Path | None, before: str | None, after: str | None, page: Path | None, as_json: bool
) -> None:
    """Show what changed since the last approval, cell by cell; or what OTHER has that NOTEBOOK has not.

    Any two states can be compared: --from and --to take a file, the id of a run (or its start), or a digest that the
    ledger names. Besides cells these are parameters, data, environment, metrics, figures, and the explanation.

    \b
    Example:
      nbproof review diff notebooks/06_training.ipynb
      nbproof review diff old.ipynb new.ipynb
      nbproof review diff notebooks/06_training.ipynb --from 20261126-0 --html diff.html
    """
    from dataclasses import replace

    from ..review.against import against_last
    from ..review.binding import read_document
    from ..review.difference import compare, of_document, text, to_json

    if before is not None or after is not None:
        from .differing import side_of

        project = _project(notebook)
        found = compare(side_of(project, notebook, before), side_of(project, notebook, after))
    elif other is not None:
        one, two = (replace(of_document(read_document(path)), title=str(path)) for path in (notebook, other))
        found = replace(compare(one, two), unknown=())
    else:
        project, standing = _standing(notebook)
        last = against_last(project.root, notebook, standing)
        if last is None:
            raise ReviewAskedWrongly(f"`{notebook}`", "no approval to compare with", "one", hint="nbproof review log")
        found = last
    if page is not None:
        from ..files import write_atomically
        from ..review.page import page as written

        write_atomically(page.resolve(), written(found, title=f"What changed in {notebook.name}").encode())
    if as_json:
        print_json(to_json(found))
    else:
        click.echo(text(found))


def _extract(project: Path, notebook: str | None, csv: Path | None, pdf: Path | None) -> None:
    import tempfile
    from datetime import UTC, datetime

    from ..files import write_atomically
    from ..report import printing
    from ..review import extract
    from ..review.statement import moment

    found = extract.lines(project, notebook)
    if csv is not None:
        write_atomically(csv.resolve(), extract.as_csv(found).encode())
    if pdf is not None:
        title = f"Ledger of reviews: {notebook or project.name}"
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "ledger.html"
            page.write_text(extract.as_page(found, title=title, at=moment(datetime.now(UTC))), encoding="utf-8")
            printing.printed(page, pdf.resolve())


def _project(path: Path) -> Project:
    from ..assemble import open_project

    return open_project(path)


def _standing(notebook: Path) -> tuple[Project, Standing]:
    from ..review.standing import standing

    project = _project(notebook)
    return project, standing(project.root, notebook, lock=project.settings.review_lock)


def _decide(
    notebook: Path,
    decision: Decision,
    key: Path | None,
    conditions: tuple[str, ...],
    bound: str,
    comment: str,
    as_json: bool,
) -> None:
    from ..review.binding import bind
    from ..review.checking import to_sign
    from ..review.deciding import Verdict, decide
    from ..review.identity import key_file
    from ..review.keys import read_private
    from ..review.statement import Condition

    project = _project(notebook)
    private = read_private(key_file(project.root, project.settings, key), passphrase=_passphrase)
    try:
        asked = tuple(Condition(text, due or None) for text, _, due in (c.partition("@") for c in conditions))
    except ValueError as error:
        raise ReviewAskedWrongly("--condition", str(error), "TEXT or TEXT@2027-01-31") from None
    lock = project.settings.review_lock
    core = bind(project.root, notebook, lock=lock).core.hex
    checks, metrics = to_sign(project.root, notebook, project.settings, core)
    approval, entry = decide(
        project.root, notebook, Verdict(decision=decision, conditions=asked, comment=comment, bound=bound), private,
        lock=lock, checks=checks, metrics=metrics,
    )  # fmt: skip
    if as_json:
        print_json({"file": entry.file, "sha256": entry.sha256, "approval": approval, "bound": entry.bound})
        return
    click.echo(f"{approval.decision} by {approval.reviewer}: {entry.notebook}, digest {entry.digest[:12]}")
    click.echo(f"signed in {entry.file}; commit the folder approvals/")


def _passphrase() -> str:
    answer: str = click.prompt("passphrase of the key", hide_input=True, err=True)
    return answer


def _teller(notebook: Path, *, is_quiet: bool) -> Callable[[str], None]:
    if is_quiet:
        return lambda _: None
    return lambda said: click.echo(f"{notebook.name}: {said}", err=True)


def _show(report: Report) -> None:
    rows = []
    for held in report.outcomes:
        verdict = held.verdict if held.verdict != "failed" or held.severity == "error" else held.severity
        why = held.reason or "; ".join(_told(finding) for finding in held.findings[:3])
        more = f" and {len(held.findings) - 3} more" if len(held.findings) > 3 else ""
        rows.append((held.check.code, held.check.name, verdict, why + more))
    click.echo(report.notebook)
    print_table(("code", "check", "verdict", "found"), rows)
    hints = [f"hint: {held.check.code}: {held.check.hint}" for held in report.outcomes if held.findings]
    click.echo("\n".join(hints))


def _told(finding: Any) -> str:
    place = f"cell {finding.number}" + (f", line {finding.line}" if finding.line else "") if finding.number else ""
    return f"{place}: {finding.message}" if place else str(finding.message)


def _write(reports: list[Report], sarif: Path | None, junit: Path | None) -> None:
    import json
    from importlib.metadata import version

    from ..files import write_atomically
    from ..review.checks import formats

    if sarif is not None:
        content = json.dumps(formats.sarif(reports, version=version("nbproof")), indent=1, ensure_ascii=False)
        write_atomically(sarif.resolve(), content.encode() + b"\n")
    if junit is not None:
        write_atomically(junit.resolve(), formats.junit(reports))


def _plain(entry: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(entry)
