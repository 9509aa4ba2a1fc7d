"""Every command line that the documentation shows is one that nbproof takes: commands, options, number of arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from nbproof.cli.main import commands

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "pipelines").rglob("*.md"))]
# The reference is written by the commands themselves.
SHOWN = [page for page in PAGES if page.name != "cli.md"]


@dataclass(frozen=True, slots=True)
class Line:
    """A command line of a page; one in running text may leave arguments out."""

    page: str
    number: int
    text: str
    is_whole: bool


def lines(page: Path) -> Iterator[Line]:
    """The command lines of a page: in blocks, and between backticks."""
    name, fence, begun = str(page.relative_to(ROOT)), None, ""
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.endswith("\\") and fence is not None:
            # The shell reads on in the next line.
            begun += line.removesuffix("\\")
            continue
        text, begun = begun + line, ""
        opening = re.match(r"\s*```(\w*)", text)
        if opening:
            fence = opening[1] if fence is None else None
            continue
        if fence is None:
            for said in re.findall(r"`(nbproof [^`]+)`", text):
                yield Line(name, number, said, False)
        elif fence in ("", "console", "bash", "sh"):
            for said in re.split(r"&&|;|\|\|", text.strip().removeprefix("$ ")):
                if said.strip().startswith("nbproof "):
                    yield Line(name, number, said.strip(), True)


def problem_of(line: Line) -> str:
    """What the parser of nbproof says against it, or ""."""
    command, words = named(shlex.split(line.text.split(" | ")[0], comments=True)[1:])
    if isinstance(command, click.Group):
        return f"there is no `{words[0]}`" if words and words[0] != "…" else ""
    # A command keeps its help options from whoever asks it first, so that it is asked as the command line asks it.
    names = commands.context_settings["help_option_names"]
    parser = command.make_parser(click.Context(command, info_name=str(command.name), help_option_names=names))
    try:
        given, left, _ = parser.parse_args([word for word in words if word != "…"])
    except click.BadOptionUsage as error:
        # Running text may name an option without its value.
        return error.format_message() if line.is_whole else ""
    except click.UsageError as error:
        return error.format_message()
    missing = [each.name for each in command.params if isinstance(each, click.Argument) and each.required]
    missing = [name for name in missing if not isinstance(given.get(str(name)), str | tuple)]
    # Running text may name a command without what it is about.
    if line.is_whole and missing:
        return f"{missing} is missing"
    return f"{left} is too much" if left else ""


def named(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and the words behind them."""
    command: click.Command = commands
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            break
        command, words = found, words[1:]
    return command, words


ALL = [line for page in SHOWN for line in lines(page)]


def test_there_are_command_lines_in_the_documentation() -> None:
    """They are found: in blocks and in running text, on many pages."""
    assert len({line.page for line in ALL}) > 15
    assert sum(line.is_whole for line in ALL) > 30


@pytest.mark.parametrize("page", sorted({line.page for line in ALL}))
def test_every_command_line_of_a_page_is_taken(page: str) -> None:
    """The command is there, it has these options, and it is about so many things."""
    problems = {f"{line.number}: {line.text}": problem_of(line) for line in ALL if line.page == page}

    assert {text: problem for text, problem in problems.items() if problem} == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nbproof fly", "there is no `fly`"),
        ("nbproof runs fly", "there is no `fly`"),
        ("nbproof run --fly", "No such option"),
        ("nbproof export", "['notebook'] is missing"),
        ("nbproof verify a b", "['b'] is too much"),
        ("nbproof submit a --on", "requires an argument"),
        ("nbproof submit a --on slurm", ""),
    ],
)
def test_what_is_wrong_is_seen(text: str, problem: str) -> None:
    """The test above can fail."""
    found = problem_of(Line("page", 1, text, True))

    assert problem in found
    assert bool(problem) == bool(found)
