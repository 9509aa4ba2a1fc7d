"""Which pipeline is meant when none is named."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import AskedWrongly
from .completing import pipelines

PIPELINE_FILE = "pipeline.yaml"

pipeline_argument = click.argument(
    "pipeline", required=False, type=click.Path(path_type=Path), metavar="[PIPELINE|NOTEBOOK]", shell_complete=pipelines
)


def chosen(named: Path | None, *, here: Path, project: Path) -> Path:
    """The target named, else the pipeline in the folder `here`, else the project's only one.

    Raises `AskedWrongly` when there is none, or more than one.
    """
    if named is not None:
        return named
    if (here / PIPELINE_FILE).is_file():
        return here / PIPELINE_FILE
    found = sorted((project / "pipelines").glob(f"*/{PIPELINE_FILE}"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise AskedWrongly(
            f"found no {PIPELINE_FILE} in `{here}` nor in `{project / 'pipelines'}`, expected one pipeline",
            hint="name one: nbproof run FOLDER; or start a project: nbproof init DIR",
        )
    names = ", ".join(file.parent.relative_to(project).as_posix() for file in found)
    raise AskedWrongly(
        f"found {len(found)} pipelines ({names}), expected one",
        hint=f"name one: nbproof run {found[0].parent.relative_to(project).as_posix()}",
    )
