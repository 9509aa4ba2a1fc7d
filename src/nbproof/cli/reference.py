"""The reference of the command line, written from the commands themselves: `python -m nbproof.cli.reference`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from .main import commands

WIDTH = 100


def reference() -> str:
    """Every command as Markdown, under the help that it prints itself."""
    sections = [
        "# Command line",
        "This page is generated from the commands (`make docs`); a test holds it true.",
        "Results go to stdout, progress and errors to stderr.\n"
        "With `--json` stdout holds exactly one JSON document.\n"
        "Times in it are seconds, points in time are seconds since 1970.",
        "| exit code | meaning |\n|---|---|\n| 0 | done |\n| 1 | the work was started and failed |\n"
        "| 2 | asked wrongly; no kernel was started |\n| 3 | refused |\n"
        "| 130 | interrupted; what was running has ended |",
        "An error is one line that says what was found and what was expected, then `hint:` with what to type next.",
    ]
    for path, command in walk(commands, ()):
        sections.append(f"## `{' '.join(('nbproof', *path))}`\n\n```text\n{_help(path, command)}\n```")
    return "\n\n".join(sections) + "\n"


def walk(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below `group` with its path, a group before what it holds."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


def _help(path: tuple[str, ...], command: click.Command) -> str:
    # A width of our own, so that the page does not depend on the terminal that made it; and the help options of the
    # whole command line, which a command keeps from whoever asks it first.
    context = click.Context(
        command,
        info_name=" ".join(("nbproof", *path)),
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=commands.context_settings["help_option_names"],
    )
    return inspect.cleandoc(command.get_help(context))


if __name__ == "__main__":
    click.echo(reference(), nl=False)
