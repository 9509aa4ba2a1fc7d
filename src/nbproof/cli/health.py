"""`nbproof doctor`: every check in turn, with the command that mends what is broken."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import WorkFailed
from . import checks
from .building import tracker_of
from .checks import Finding
from .output import as_json, print_json, print_table

if TYPE_CHECKING:
    from ..assemble import Project


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Say what is broken here, and what mends it.

    Exit code 1 when something is broken; what is only noted does not count.

    \b
    Example:
      nbproof doctor
    """
    from ..assemble import open_project

    findings = tuple(examine(open_project(Path.cwd())))
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


def examine(project: Project) -> Iterator[Finding]:
    """The findings of every check, looked up one after the other."""
    held_by = _held_by(project.root)
    building = any(pid is not None and checks.is_alive(pid) for pid in held_by.values())
    yield checks.python_version()
    yield checks.extras()
    yield checks.ploomber_version(checks.installed_version("ploomber"))
    yield checks.kernel("python3", checks.known_kernels())
    yield checks.warm_kernels(project.settings.warm)
    yield checks.server_extensions(checks.enabled_server_extensions())
    yield checks.panels()
    yield checks.writable(project.root)
    yield checks.tracker(tracker_of(project))
    yield checks.locks(held_by)
    yield checks.orphans(leases_in(project.root), building)


def _held_by(project: Path) -> dict[str, int | None]:
    """The process noted as the builder of each pipeline."""
    found: dict[str, int | None] = {}
    for note in sorted((project / ".nbproof" / "locks").glob("*.holder.json")):
        name = note.name.removesuffix(".holder.json")
        found[name] = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found[name] = int(json.loads(note.read_bytes())["pid"])
    return found


def leases_in(project: Path) -> dict[int, str]:
    """The processes of builds that work inside `project`, with their leases."""
    import psutil

    from ..run.processes import LEASE_VARIABLE, holders

    found: dict[int, str] = {}
    for process in holders(lambda lease: True):
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(project.resolve()):
                found[process.pid] = process.environ()[LEASE_VARIABLE]
    return found
