"""The door: what reaches the user as lines, and the process as an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from nbproof.cli.main import carry_out
from nbproof.errors import AskedWrongly, Busy, NbproofError, NotebookInvalid, RunFailed, UnknownName


def raising(error: BaseException) -> click.Command:
    """A command that ends in `error`."""

    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "exit_code", "lines"),
    [
        (
            NotebookInvalid(Path("a.ipynb"), "no JSON", "a notebook", hint="open it"),
            2,
            ["error: `a.ipynb`: found no JSON, expected a notebook", "hint: open it"],
        ),
        (UnknownName("run", "x", ["b", "a"]), 2, ["error: no run is called `x`; known: a, b"]),
        (
            RunFailed(["train"], ["report"]),
            1,
            ["error: failed: train; not started: report", "hint: nbproof runs show"],
        ),
        (
            Busy("credit", "process 7"),
            3,
            [
                "error: `credit` is being built by process 7; expected no other build",
                "hint: wait for it, or run again with --wait",
            ],
        ),
        (KeyboardInterrupt(), 130, ["error: interrupted; what was running has ended", "hint: the same command again"]),
    ],
    ids=["asked wrongly", "without a hint", "failed", "refused", "interrupted"],
)
def test_an_error_is_a_line_a_hint_and_a_code(
    error: BaseException, exit_code: int, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever was raised on purpose is told in one line, with what to type next, and decides the exit code."""
    assert carry_out([], command=raising(error)) == exit_code

    told = capsys.readouterr()
    assert told.err.strip().splitlines() == lines
    assert told.out == ""


def test_an_error_nobody_foresaw_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault of our own is not dressed up: its traceback is shown, and the exit code is 1."""
    assert carry_out([], command=raising(ZeroDivisionError("fault"))) == 1

    assert "Traceback" in (told := capsys.readouterr().err)
    assert told.rstrip().endswith("ZeroDivisionError: fault")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["bogus"], ["error: No such command 'bogus'.", "hint: nbproof --help"]),
        (["export"], ["error: Missing argument 'NOTEBOOK'.", "hint: nbproof export --help"]),
        (
            ["run", "--workers", "0"],
            ["error: Invalid value for '--workers': 0 is not in the range x>=1.", "hint: nbproof run --help"],
        ),
    ],
    ids=["command", "argument", "value"],
)
def test_a_slip_of_the_keyboard_is_exit_code_2(
    arguments: list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line that cannot be read is told like every other error, with the help that fits."""
    assert carry_out(arguments) == 2

    assert capsys.readouterr().err.splitlines() == lines


def test_every_error_has_a_code_that_is_documented() -> None:
    """No error leaves with a code that means something else: 1 failed, 2 asked wrongly, 3 refused."""

    def all_below(kind: type[NbproofError]) -> set[type[NbproofError]]:
        return {kind}.union(*(all_below(child) for child in kind.__subclasses__()))

    assert {kind.exit_code for kind in all_below(NbproofError)} == {1, 2, 3}
    assert {kind.exit_code for kind in all_below(AskedWrongly)} == {2}


def test_the_program_leaves_with_its_code(tmp_path: Path) -> None:
    """The installed program tells its errors on stderr and leaves with their code."""
    program = Path(sys.executable).with_name("nbproof")

    ran = subprocess.run([program, "status"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: found no pipeline.yaml in ")
    assert ran.stderr.splitlines()[-1].startswith("hint: ")
