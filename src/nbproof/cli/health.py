"""`nbproof doctor`: every check in turn, with the command that mends what is broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import WorkFailed
from . import checks
from .building import tracker_of
from .checks import Finding
from .leftovers import held_by, leases_in
from .output import as_json, print_json, print_table

if TYPE_CHECKING:
    from ..assemble import Project


@click.command()
@click.option("--fix", "is_fixing", is_flag=True, help="Mend what can be mended safely; asks before each.")
@click.option("--yes", "is_agreed", is_flag=True, help="With --fix: do not ask.")
@as_json
def doctor(is_fixing: bool, is_agreed: bool, as_json: bool) -> None:
    """Say what is broken here, and what mends it.

    Exit code 1 when something is broken; what is only noted does not count.
    With --fix what is surely nbproof's own, or can be undone, is mended: what killed builds left behind, a tracker's
    database that is broken, a kernel that is not registered, extensions that are switched the wrong way. Nothing is
    installed. Where nobody can be asked, it says what it would do, and does it only with --yes.

    \b
    Example:
      nbproof doctor
      nbproof doctor --fix
    """
    from ..assemble import open_project

    if is_agreed and not is_fixing:
        raise click.UsageError("--yes: found no --fix, expected what is agreed to")
    project = open_project(Path.cwd())
    findings = tuple(examine(project))
    if is_fixing and _fix(findings, project.root, is_agreed=is_agreed, is_quiet=as_json):
        findings = tuple(examine(project))
    if as_json:
        print_json(findings)
    else:
        print_table(("check", "state", "found"), [(found.check, found.state, found.found) for found in findings])
        for found in findings:
            if found.mend:
                click.echo(f"to mend {found.check}: {found.mend}")
    broken = [found.check for found in findings if found.state == "broken"]
    if broken:
        raise WorkFailed(f"{len(broken)} of {len(findings)} checks found something broken: {', '.join(broken)}")


def _fix(findings: Sequence[Finding], project: Path, *, is_agreed: bool, is_quiet: bool) -> bool:
    """Mend what can be mended and is agreed to; whether anything was."""
    from .mending import mends

    is_asking = not is_agreed and sys.stdin.isatty() and sys.stdout.isatty()
    done = 0
    found = tuple(mends(findings, project))
    for mend in found:
        if is_asking and not click.confirm(f"{mend.check}: {mend.words}?", default=False, err=True):
            continue
        if not is_asking and not is_agreed:
            click.echo(f"would mend {mend.check}: {mend.words}", err=True)
            continue
        mend.carry_out()
        done += 1
        if not is_quiet:
            click.echo(f"mended {mend.check}: {mend.words}")
    if not found:
        click.echo("nothing here can be mended without you", err=True)
    elif not done and not is_asking:
        click.echo("nothing was done; to do it: nbproof doctor --fix --yes", err=True)
    return done > 0


def examine(project: Project) -> Iterator[Finding]:
    """The findings of every check, looked up one after the other."""
    holders = held_by(project.root)
    building = any(pid is not None and checks.is_alive(pid) for pid in holders.values())
    yield checks.python_version()
    yield checks.extras()
    yield checks.ploomber_version(checks.installed_version("ploomber"))
    yield checks.kernel("python3", checks.known_kernels())
    yield checks.warm_kernels(project.settings.warm)
    yield checks.server_extensions(checks.enabled_server_extensions())
    yield checks.panels()
    yield checks.writable(project.root)
    yield checks.tracker(tracker_of(project))
    yield checks.locks(holders)
    yield checks.orphans(leases_in(project.root), building)
