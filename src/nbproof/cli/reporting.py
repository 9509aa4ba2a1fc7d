"""`nbproof report`: the reviewer's report over a pipeline that has run, as one HTML file and as PDF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ReportRefused
from .output import as_json, near, print_json
from .target import chosen, pipeline_argument

if TYPE_CHECKING:
    from ..assemble import Project
    from ..report.building import Built
    from ..run.pipeline.loading import Loaded

FOLDER = Path("build") / "report"
ANSWERS = "answers.yaml"


@click.command()
@pipeline_argument
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file to write.  [build/report/report.html beside the pipeline]",
)  # fmt: skip
@click.option(
    "-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE",
    help="A parameter that the run was given, as `nbproof run` was given it. May be repeated.",
)  # fmt: skip
@click.option("--pdf", "is_pdf", is_flag=True, help="Print it as PDF, too, by a Chromium of this machine.")
@click.option(
    "--verify", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write nothing: read every value of this report again from its source.",
)  # fmt: skip
@as_json
def report(
    pipeline: Path | None,
    out: Path | None,
    parameters: tuple[str, ...],
    is_pdf: bool,
    verify: Path | None,
    as_json: bool,
) -> None:
    """Write the reviewer's report over a pipeline that has run.

    One file that needs no script and asks nobody for anything. Each value names the file, the hash and the place
    that it was read from. What nobody left is said to be missing, what only people can say is owed by them: answers
    are read from answers.yaml beside the pipeline.

    It is refused (exit 3) while a task is stale, or where a product is not what its run left.

    \b
    Example:
      nbproof report pipelines/credit --pdf
      nbproof report --verify pipelines/credit/build/report/report.html
    """
    if verify is not None:
        _verify(verify, as_json)
        return
    from ..assemble import load_pipeline, open_project
    from ..report import building, printing

    if is_pdf:
        # Whoever asks for what cannot be had should not wait for the rest.
        printing.browser()
    here = Path.cwd()
    project = open_project(here if pipeline is None else pipeline)
    loaded = load_pipeline(project, chosen(pipeline, here=here, project=project.root), parameters)
    _require_fresh(project, loaded)
    folder = loaded.pipeline.folder / FOLDER
    page = (out or folder / "report.html").absolute()
    built = building.build(
        _products(project, loaded, folder), page, root=project.root, notebook=folder / "report.ipynb"
    )
    pdf = page.with_suffix(".pdf") if is_pdf else None
    if pdf is not None:
        printing.printed(page, pdf)
    _tell(built, pdf, as_json)


def _require_fresh(project: Project, loaded: Loaded) -> None:
    """A report is about what lies there now, and so that must be what the run has left."""
    from ..assemble import plan

    stale = [f"`{found.task}` {found.state}: {'; '.join(found.reasons)[:300]}" for found in plan(project, loaded)
             if not found.is_fresh]  # fmt: skip
    if stale:
        more = [f"and {len(stale) - 3} more"] if len(stale) > 3 else []
        raise ReportRefused(
            f"report on {loaded.pipeline.name}", [*stale[:3], *more], hint=f"nbproof run {near(loaded.pipeline.file)}"
        )


def _products(project: Project, loaded: Loaded, folder: Path) -> dict[str, dict[str, str]]:
    """The products of every task, with what nbproof itself knows, and what people have answered."""
    from ..report.record import products_of, record_of
    from .under_review import facts

    products = products_of(loaded.pipeline)
    record = record_of(loaded)
    told = {"record": record, "review": facts(project, loaded, record["metrics"])}
    products["nbproof"] = {name: _kept(project, folder, name, found) for name, found in told.items()}
    answers = loaded.pipeline.folder / ANSWERS
    if answers.is_file():
        products["people"] = {"answers": _relative(project, answers)}
    return products


def _kept(project: Project, folder: Path, name: str, found: Any) -> str:
    """Write what is told to a file that is named for its content, so that an older report keeps its own."""
    from ..files import write_atomically
    from ..records import ContentHash

    content = (json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    path = folder / f"{name}-{ContentHash.of(content).short}.json"
    write_atomically(path, content)
    return _relative(project, path)


def _relative(project: Project, path: Path) -> str:
    return path.resolve().relative_to(project.root.resolve()).as_posix()


def _tell(built: Built, pdf: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "report": built.path,
                "pdf": pdf,
                "bytes": built.bytes,
                "values": built.verified.values,
                "sources": built.verified.files,
                "owed": built.owed,
                "missing": built.missing,
            }
        )
        return
    click.echo(f"{near(built.path)}: {built.verified.values} values of {built.verified.files} files, each read again")
    if pdf is not None:
        click.echo(near(pdf))
    click.echo(f"owed by people: {len(built.owed)}; missing evidence: {len(built.missing)}")


def _verify(page: Path, as_json: bool) -> None:
    from ..report.verifying import verify

    found = verify(page)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{near(page)}: {found.values - len(found.problems)} of {found.values} values found again")
    if found.problems:
        more = [f"and {len(found.problems) - 5} more"] if len(found.problems) > 5 else []
        raise ReportRefused(f"`{page}`", [*found.problems[:5], *more], hint="nbproof report writes it anew")
