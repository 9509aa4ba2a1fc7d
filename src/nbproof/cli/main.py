"""The door: commands by name, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from ..errors import NbproofError

INTERRUPTED = 130
# The module of each command: only that of the command that is carried out is imported.
MODULES = {
    "completion": "completing",
    "data": "validating",
    "doctor": "health",
    "explain": "explaining",
    "export": "exporting",
    "init": "starting",
    "jobs": "submitting",
    "lab": "opening",
    "models": "modelling",
    "monitor": "monitoring",
    "pipeline": "pipelines",
    "plot": "drawing",
    "report": "reporting",
    "review": "reviewing",
    "run": "building",
    "runs": "history",
    "sbom": "exporting",
    "serve": "serving",
    "serve-export": "serving",
    "serve-key": "serving",
    "serve-stream": "streaming",
    "schedule": "scheduling",
    "score": "scoring",
    "status": "inspecting",
    "submit": "submitting",
    "verify": "exporting",
}


class Commands(click.Group):
    """The commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        found: click.Command = getattr(import_module(f".{MODULES[cmd_name]}", __package__), cmd_name.replace("-", "_"))
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nbproof", prog_name="nbproof")
def commands() -> None:
    """From notebook to production, with proof.

    \b
    Start:     nbproof init demo && cd demo && nbproof run
    Every day: nbproof status; nbproof run; nbproof runs list
    In doubt:  nbproof doctor

    Exit codes: 0 done, 1 the work failed, 2 asked wrongly, 3 refused.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out one command line, then leave the process with its exit code."""
    exit_code = carry_out(arguments)
    # Nothing is left to be collected but what ends with the process; looking through torch for it takes a second.
    gc.freeze()
    sys.exit(exit_code)


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
        return _say("interrupted; what was running has ended", _way_on(arguments), INTERRUPTED)
    except Exception:
        # Nobody raised this on purpose, so the traceback is what helps to mend it.
        import traceback

        traceback.print_exc()
        return 1
    return 0


def _way_on(arguments: Sequence[str] | None) -> str:
    """What to type after an interrupt: a run goes on from where it was, anything else begins again."""
    given = sys.argv[1:] if arguments is None else arguments
    return "nbproof runs resume" if given and given[0] in ("run", "runs") else "the same command again"


def _help_for(context: click.Context | None) -> str:
    return f"{context.command_path if context else 'nbproof'} --help"


def _say(message: str, hint: str, exit_code: int) -> int:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)
    return exit_code
