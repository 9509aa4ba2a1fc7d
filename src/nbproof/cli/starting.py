"""`nbproof init`: a new project of nbproof's own layout, with a small pipeline that runs."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from ..errors import AskedWrongly, Unwritable
from ..files import unfinished_beside, write_atomically
from .output import as_json, print_json, wrapped

if TYPE_CHECKING:
    from ..adopt.proposing import Proposal

NAME = "PROJECT_NAME"
START = "project"
# What a pipeline of each kind needs beside nbproof.
TEMPLATES = {
    "tabular": '"nbproof[explain,serve]"',
    "text": '"nbproof[explain,serve]"',
    "image": '"nbproof[explain]", "torch>=2.4"',
}
# Where each service looks for what it runs at every change.
CI = {"github": ".github/workflows/notebooks.yml", "gitlab": ".gitlab-ci.yml"}
# In every project, whatever its notebooks are.
SHARED = (".gitignore", "pyproject.toml")


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@click.option("--template", type=click.Choice(sorted(TEMPLATES)), help="A pipeline that trains and explains a model.")
@click.option("--from", "source", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Take over the notebooks of a folder; they are copied and stay as they are.")  # fmt: skip
@click.option("--without", multiple=True, metavar="NOTEBOOK", help="A notebook of FOLDER to leave out.")
@click.option("--ci", type=click.Choice(sorted(CI)), help="What runs the pipeline at every change.")
@as_json
def init(
    folder: Path | None,
    template: str | None,
    source: Path | None,
    without: Sequence[str],
    ci: str | None,
    as_json: bool,
) -> None:
    """Start a project in DIR that runs at once.

    It holds three notebooks and one pipeline. DIR is made; a folder that already holds something is left alone.
    With --template the notebooks train a model on real data and explain it: on a table, on texts or on images.
    With --from the notebooks are those of a folder that nobody wrote for nbproof: they are read without being run,
    and what they read and write makes the pipeline.

    \b
    Example:
      nbproof init demo && cd demo && nbproof run
      nbproof init digits --template image
      nbproof init demo --from ~/analysis
      nbproof init --ci github
    """
    if folder is None:
        _add_ci(ci, template, source, as_json=as_json)
        return
    name = project_name(folder.resolve().name)
    _refuse_unless_empty(folder)
    if source is None:
        if without:
            raise click.UsageError("--without: found no --from, expected the folder whose notebook is left out")
        given = project_files(name) if template is None else template_files(name, template)
        written = _start(folder, chain(given, ci_files(ci)))
        if as_json:
            print_json({"folder": folder.resolve(), "name": name, "files": written})
            return
        _say_files(folder, written)
        _say_next(folder)
        return
    if template is not None:
        raise click.UsageError("found both --template and --from, expected one of them")
    proposal = _proposed(source, folder, name, without)
    written = _start(folder, chain(_with_notebooks(name, proposal), ci_files(ci)), proposal)
    if as_json:
        print_json({"folder": folder.resolve(), "name": name, "files": written, **_as_document(proposal)})
        return
    _say_proposal(folder, proposal)
    _say_next(folder)


def project_name(folder_name: str) -> str:
    """A name that packaging accepts, made from the folder's.

    >>> project_name("Credit risk (2026)")
    'credit-risk-2026'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder_name.lower()).strip("-") or "project"


def project_files(name: str, template: str = START) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a new project called `name`: path in the project, and content."""
    for path, found in _walk(files(__package__) / "templates" / template, PurePosixPath()):
        # A file called .gitignore would hide its neighbours from the builder of the wheel.
        shown = PurePosixPath(str(path).replace(NAME, name).replace("gitignore.txt", ".gitignore"))
        yield shown, found.read_bytes().replace(NAME.encode(), name.encode())


def template_files(name: str, template: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a new project called `name` whose notebooks are those of `template`."""
    for path, content in project_files(name):
        if path.name == "pyproject.toml":
            content = content.replace(b'"nbproof"', TEMPLATES[template].encode(), 1)
        if path.name in SHARED:
            yield path, content
    yield from project_files(name, template)


def ci_files(service: str | None) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The file by which `service` runs the pipeline at every change: path in the project, and content."""
    if service is not None:
        yield PurePosixPath(CI[service]), (files(__package__) / f"templates/ci/{service}.yml").read_bytes()


def _add_ci(service: str | None, template: str | None, source: Path | None, *, as_json: bool) -> None:
    """Add to the project that one stands in; a file that is there stays as it is."""
    from ..settings import find_project

    if service is None or template is not None or source is not None:
        raise click.UsageError("found no DIR, expected the folder of the new project")
    project = find_project(Path.cwd())
    ((path, content),) = ci_files(service)
    if (project / path).exists():
        raise AskedWrongly(f"`{path}` is there already; expected none", hint=f"git mv {path} {path}.before")
    try:
        write_atomically(project / path, content)
    except OSError as error:
        raise Unwritable(project, error.strerror or str(error)) from error
    if as_json:
        print_json({"folder": project, "files": [str(path)]})
        return
    click.echo(f"{path}: reads and runs the notebooks at every change")


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _walk(entry, path / entry.name)
        else:
            yield path / entry.name, entry


def _refuse_unless_empty(folder: Path) -> None:
    if folder.is_dir() and (inside := sorted(path.name for path in folder.iterdir())):
        shown = ", ".join(inside[:3]) + (", …" if len(inside) > 3 else "")
        raise AskedWrongly(
            f"`{folder}` holds {shown}; expected an empty folder or none", hint="nbproof init ANOTHER_FOLDER"
        )


# Taking over


def _proposed(source: Path, folder: Path, name: str, without: Sequence[str]) -> Proposal:
    from ..adopt.proposing import propose
    from .checks import known_kernels

    if folder.resolve().is_relative_to(source.resolve()):
        raise AskedWrongly(
            f"`{folder}` lies in `{source}`, whose notebooks are to be copied; expected a folder outside of it",
            hint=f"nbproof init ../{folder.name} --from {shlex.quote(str(source))}",
        )
    return propose(source, name, kernels=known_kernels(), without=without)


def _with_notebooks(name: str, proposal: Proposal) -> Iterator[tuple[PurePosixPath, bytes]]:
    """What every project holds, with the products of the notebooks kept out of git."""
    products = [f"/pipelines/{name}/{place}" for task in proposal.tasks for place in task.writes]
    for path, content in project_files(name):
        if path.name == ".gitignore":
            content += "".join(f"{place}\n" for place in products if "/build/" not in place).encode()
        if path.name in SHARED:
            yield path, content


def _as_document(proposal: Proposal) -> Mapping[str, object]:
    return {
        "tasks": proposal.tasks,
        "rewritten": proposal.rewritten,
        "remarks": proposal.remarks,
        "edits": proposal.edits,
    }


def _say_proposal(folder: Path, proposal: Proposal) -> None:
    click.echo(f"{folder}: a pipeline of {len(proposal.tasks)} notebooks")
    for task in proposal.tasks:
        click.echo(f"  {task.name}  ({task.source})")
        for word, held in (
            ("after", task.upstream), ("reads", task.reads), ("writes", task.writes), ("parameters", task.parameters),
        ):  # fmt: skip
            if held:
                click.echo(wrapped(f"    {word}: {', '.join(held)}", indent=6))
    decided = [str(remark) for remark in proposal.remarks if not remark.edit]
    for title, lines in (("decided", decided), ("to do by hand", proposal.edits)):
        if lines:
            click.echo(f"\n{title}:")
            for line in lines:
                click.echo(wrapped(f"  {line}", indent=4))
    click.echo(f"\nwhat was changed in the code: {folder / 'ADOPTED.md'} ({len(proposal.rewritten)} places)")


# Writing


def _start(
    folder: Path, given: Iterator[tuple[PurePosixPath, bytes]], proposal: Proposal | None = None
) -> tuple[str, ...]:
    """Write a project to `folder`, whole or not at all; returns the paths of its files in it."""
    try:
        with _whole(folder) as unfinished:
            written = [_write(unfinished, path, content) for path, content in given]
            if proposal is not None:
                from ..adopt.proposing import write

                written += write(proposal, unfinished)
    except OSError as error:
        raise Unwritable(folder, error.strerror or str(error)) from error
    return tuple(written)


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` whose content goes there when the block ends well."""
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = unfinished_beside(target)
    unfinished.mkdir()
    try:
        yield unfinished
        if target.is_dir():
            # Somebody may stand in it.
            for entry in unfinished.iterdir():
                entry.rename(target / entry.name)
            unfinished.rmdir()
        else:
            unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write(folder: Path, path: PurePosixPath, content: bytes) -> str:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return str(path)


def _say_files(folder: Path, written: Sequence[str]) -> None:
    click.echo(f"{folder}: a project of {len(written)} files")
    for path in written:
        click.echo(f"  {path}")


def _say_next(folder: Path) -> None:
    click.echo(f"next: cd {shlex.quote(str(folder))} && nbproof run")
