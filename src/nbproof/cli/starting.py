"""`nbproof init`: a new project of nbproof's own layout, with a small pipeline that runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import click

from ..errors import AskedWrongly, Unwritable
from .output import as_json, print_json

NAME = "PROJECT_NAME"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@as_json
def init(folder: Path, as_json: bool) -> None:
    """Start a project in DIR that runs at once.

    It holds three notebooks and one pipeline. DIR is made; a folder that already holds something is left alone.

    \b
    Example:
      nbproof init demo && cd demo && nbproof run
    """
    name = project_name(folder.resolve().name)
    _refuse_unless_empty(folder)
    try:
        written = [_write(folder, path, content) for path, content in project_files(name)]
    except OSError as error:
        raise Unwritable(folder, error.strerror or str(error)) from error
    if as_json:
        print_json({"folder": folder.resolve(), "name": name, "files": written})
        return
    click.echo(f"{folder}: a project of {len(written)} files")
    for path in written:
        click.echo(f"  {path}")
    click.echo(f"next: cd {shlex.quote(str(folder))} && nbproof run")


def project_name(folder_name: str) -> str:
    """A name that packaging accepts, made from the folder's.

    >>> project_name("Credit risk (2026)")
    'credit-risk-2026'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder_name.lower()).strip("-") or "project"


def project_files(name: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The files of a new project called `name`: path in the project, and content."""
    for path, template in _walk(files(__package__) / "templates" / "project", PurePosixPath()):
        # A file called .gitignore would hide its neighbours from the builder of the wheel.
        shown = PurePosixPath(str(path).replace(NAME, name).replace("gitignore.txt", ".gitignore"))
        yield shown, template.read_bytes().replace(NAME.encode(), name.encode())


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


def _write(folder: Path, path: PurePosixPath, content: bytes) -> str:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return str(path)
