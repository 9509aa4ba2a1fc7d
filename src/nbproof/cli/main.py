"""The door: commands by name, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from ..errors import NbproofError
from .building import run
from .drawing import plot
from .health import doctor
from .history import runs
from .inspecting import status
from .starting import init

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nbproof", prog_name="nbproof")
def commands() -> None:
    """From notebook to production, with proof.

    \b
    Start:     nbproof init demo && cd demo && nbproof run
    Every day: nbproof status; nbproof run; nbproof runs list
    In doubt:  nbproof doctor

    Exit codes: 0 done, 1 the work failed, 2 asked wrongly, 3 refused.
    """


for offered in (init, run, status, plot, runs, doctor):
    commands.add_command(offered)


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command line, then leave the process with its exit code."""
    sys.exit(carry_out(arguments))


def carry_out(arguments: Sequence[str] | None = None, *, command: click.Command = commands) -> int:
    """Carry out one command line; print what went wrong, if anything, and return the exit code."""
    try:
        command.main(args=arguments, prog_name="nbproof", standalone_mode=False)
    except NbproofError as error:
        return _say(str(error), error.hint, error.exit_code)
    except click.UsageError as error:
        return _say(error.format_message(), _help_for(error.ctx), error.exit_code)
    except click.ClickException as error:
        return _say(error.format_message(), "", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted; what was running has ended", "nbproof runs resume", INTERRUPTED)
    except Exception:
        # Nobody raised this on purpose, so the traceback is what helps to mend it.
        traceback.print_exc()
        return 1
    return 0


def _help_for(context: click.Context | None) -> str:
    return f"{context.command_path if context else 'nbproof'} --help"


def _say(message: str, hint: str, exit_code: int) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return exit_code
