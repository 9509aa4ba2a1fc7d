"""`nbproof completion`: what a shell needs to complete commands, options, pipelines, runs and jobs.

Completing looks at the names of files and reads none, since somebody waits for it at every key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from .output import as_json, print_json

SHELLS = ("bash", "fish", "zsh")
VARIABLE = "_NBPROOF_COMPLETE"
RUNS_AT_MOST = 50


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@as_json
def completion(shell: str, as_json: bool) -> None:
    """Print what makes a shell complete the names of commands, options, pipelines, runs and jobs.

    For bash put `eval "$(nbproof completion bash)"` into ~/.bashrc, for zsh the same with zsh into ~/.zshrc; for fish
    write it to ~/.config/fish/completions/nbproof.fish.

    \b
    Example:
      nbproof completion bash
      nbproof completion zsh
    """
    script = script_for(shell)
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)


def script_for(shell: str) -> str:
    """Click's own script for `shell`, which asks nbproof for what fits."""
    from click.shell_completion import get_completion_class

    from .main import commands

    found = get_completion_class(shell)
    assert found is not None
    made = found(commands, {}, "nbproof", VARIABLE)
    # Its `source` would start a bash to look at its version.
    return made.source_template % made.source_vars()


def pipelines(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The pipelines of the project, as one would type them here; and files, since notebooks are taken as well."""
    project = _project()
    files = sorted((project / "pipelines").glob("*/pipeline.yaml"))
    named = [os.path.relpath(file.parent, Path.cwd()) for file in files]
    return [*_fitting(named, incomplete), CompletionItem(incomplete, type="file")]


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the last runs of the project, newest first."""
    from ..track import journal

    try:
        found = [path.name.removesuffix(journal.SUFFIX) for path in journal.journals(_project())]
    except OSError:
        return []
    return _fitting(found[: -RUNS_AT_MOST - 1 : -1], incomplete)


def jobs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the jobs of the project."""
    return _fitting(sorted(_folders(_project() / ".nbproof" / "jobs")), incomplete)


def _folders(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from (entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _fitting(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _project() -> Path:
    from ..settings import find_project

    return find_project(Path.cwd())
