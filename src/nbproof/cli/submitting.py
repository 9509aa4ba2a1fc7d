"""`nbproof submit` and `nbproof jobs`: packages on engines, looked after in the same way on all of them."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from . import completing
from .output import as_json, duration, moment, print_json, print_table

FOLLOW_S, RECENT_S = 0.5, 7 * 86400


def measure(name: str) -> Callable[[click.Context, click.Parameter, str | None], int | None]:
    """Read the value of an option as `memory_mb` or `time_s` do."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
        from ..jobs import job

        if text is None:
            return None
        try:
            found: int = getattr(job, name)(text)
        except ValueError:
            example = "4G or 512M" if name == "memory_mb" else "90s, 30min, 2h or 1d"
            raise click.BadParameter(f"found {text!r}, expected {example}") from None
        return found

    return read


@click.command()
@click.argument("package", type=click.Path(path_type=Path, file_okay=False))
@click.option("--on", "target", metavar="TARGET", help="Where it runs: local, slurm, kubernetes, ray, airflow.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of the target: partition=gpu.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the package.")
@click.option(
    "--array", type=click.Path(path_type=Path, dir_okay=False), help="A .jsonl or .csv file: an element a line."
)
@click.option("--at-once", type=click.IntRange(min=1), help="How many elements may run at the same time.")
@click.option("--cpus", type=click.IntRange(min=1), help="Processors for each element; one when nothing says more.")
@click.option("--memory", callback=measure("memory_mb"), metavar="SIZE", help="Memory for each element: 4G.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs for each element.")
@click.option("--accelerate", multiple=True, metavar="NAME", help="cudf.pandas or cuml.accel, on the GPU: RAPIDS.")
@click.option("--gpu-kind", metavar="KIND", help="Which kind of GPU, as the engine calls it.")
@click.option("--time", "time_s", callback=measure("time_s"), metavar="TIME", help="The most time for each: 2h.")
@click.option("--signal", "signal_s", type=click.IntRange(min=1), metavar="SECONDS",
              help="Send SIGUSR1 so long before the time is over.")  # fmt: skip
@click.option("--retries", type=click.IntRange(min=0), help="Further tries of what fails.")
@click.option("--after", multiple=True, metavar="JOB", help="Start when this job has ended well.")
@click.option("--name", help="A name for the job; that of the package when left out.")
@click.option("--dry-run", is_flag=True, help="Show what the engine would be told, and submit nothing.")
@click.option("--unsafe-draft", metavar="WHY", help="Submit a draft that nobody has approved; the ledger says why.")
@as_json
def submit(
    package: Path, target: str | None, options: Sequence[str], parameters: Sequence[str], array: Path | None,
    at_once: int | None, cpus: int | None, memory: int | None, gpus: int | None, gpu_kind: str | None,
    time_s: int | None, signal_s: int | None, retries: int | None, after: Sequence[str], name: str | None,
    accelerate: Sequence[str],
    dry_run: bool, unsafe_draft: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Run an exported package as a job.

    The package is verified, and its approval with it, now and again where the job starts; what nobody has approved is
    refused. What is left out here is as `[tool.nbproof.jobs]` says.

    \b
    Example:
      nbproof submit exports/06_training --on slurm --gpus 1 --time 2h
      nbproof submit exports/score --array months.jsonl --retries 2
    """
    from ..jobs import submitting
    from ..jobs.job import Resources
    from ..jobs.place import folder_of
    from ..jobs.standards import standards
    from ..review.gate import UnsafeBypass
    from ..settings import find_project, load

    project = find_project(Path.cwd())
    if unsafe_draft is not None and not unsafe_draft.strip():
        raise click.UsageError("--unsafe-draft: found no reason, expected why nobody needs to approve it")
    settings = load(project, os.environ)
    by = settings.review_name or getpass.getuser()
    unsafe = None if unsafe_draft is None else UnsafeBypass(by, unsafe_draft)
    standard = standards(settings, target, pairs(options, "-o"))
    target = standard.target
    needs = standard.resources
    resources = Resources(
        cpus=cpus or needs.cpus,
        memory_mb=memory or needs.memory_mb,
        gpus=needs.gpus if gpus is None else gpus,
        # Whoever says how many GPUs, and that it is none, means no kind of them either.
        gpu_kind=gpu_kind or (None if gpus == 0 else needs.gpu_kind),
        time_s=time_s or needs.time_s,
    )
    asked = submitting.Asked(
        parameters=pairs(parameters, "-p"), array=array, resources=resources, at_once=at_once,
        retries=standard.retries if retries is None else retries, signal_s=signal_s, after=tuple(after), name=name,
        accelerate=tuple(accelerate),
    )  # fmt: skip
    job, admitted = submitting.prepared(package, asked, project=project, unsafe=unsafe)
    if dry_run:
        folder = folder_of(project, job)
        files = submitting.rendered(job, target, folder, project=project, options=standard.options)
        if as_json:
            print_json({"target": target, "job": job, "files": dict(files)})
            return
        for file, text in files.items():
            click.echo(f"# {folder / file}\n{text}")
        return
    made = submitting.submit(job, admitted, target, project=project, unsafe=unsafe, options=standard.options)
    number = made.submitted().number
    if as_json:
        print_json({"id": made.id, "target": target, "number": number, "elements": len(job.elements)})
        return
    words = "a draft that nobody approved" if admitted.is_draft else admitted.approval
    click.echo(f"{made.id} is with {target} as {number}; {words}")
    click.echo(f"next: nbproof jobs logs {made.id} --follow")


@click.group()
def jobs() -> None:
    """Jobs that were submitted: how they stand, what they say, what they left.

    \b
    Example:
      nbproof jobs list
      nbproof jobs fetch training-3fa2b1 --to results
    """


@jobs.command("list")
@click.option("--all", "is_all", is_flag=True, help="Also those that ended more than a week ago.")
@as_json
def list_jobs(is_all: bool, as_json: bool) -> None:
    """List the jobs of this project, the newest first.

    \b
    Example:
      nbproof jobs list --json
    """
    from ..jobs import place, standing

    since = 0.0 if is_all else time.time() - RECENT_S
    found = [standing.of(each) for each in place.all_of(_project()) if each.submitted().at >= since]
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    if not found:
        click.echo("no jobs; next: nbproof submit PACKAGE")
        return
    rows = [(one.id, one.target, one.number or "-", one.state, _counted(one), moment(one.at)) for one in found]
    print_table(("job", "on", "number", "state", "elements", "submitted"), rows)
    for one in found:
        if one.note:
            click.echo(f"note: {one.id}: {one.note}", err=True)


@jobs.command()
@click.argument("job", shell_complete=completing.jobs)
@as_json
def show(job: str, as_json: bool) -> None:
    """Show every element of a job.

    \b
    Example:
      nbproof jobs show training-3fa2b1
    """
    from ..jobs import place, standing

    found = standing.of(place.find(_project(), job))
    if as_json:
        print_json(_as_json(found))
        return
    rows = [
        (str(each.index), each.state, str(each.attempt or "-"), each.host or "-",
         duration(each.ended - each.began) if each.ended and each.began else "-", each.reason)
        for each in found.elements
    ]  # fmt: skip
    print_table(("element", "state", "attempt", "on", "took", "why"), rows)
    if found.note:
        click.echo(f"note: {found.note}", err=True)


@jobs.command()
@click.argument("job", shell_complete=completing.jobs)
@click.option("--element", type=click.IntRange(min=0), help="Of which element; of all when left out.")
@click.option("--follow", is_flag=True, help="Go on until the job has ended.")
@as_json
def logs(job: str, element: int | None, follow: bool, as_json: bool) -> None:
    """Print what the elements of a job have said.

    \b
    Example:
      nbproof jobs logs training-3fa2b1 --follow
    """
    from ..errors import UnknownName
    from ..jobs import place, standing

    found = place.find(_project(), job)
    size = len(found.job().elements)
    if element is not None and element >= size:
        raise UnknownName("element", str(element), [f"0 to {size - 1}"])
    indices = range(size) if element is None else [element]
    if as_json:
        print_json([{"element": index, "text": _whole(found.log(index))} for index in indices])
        return
    read = dict.fromkeys(indices, 0)
    while True:
        has_ended = not follow or standing.of(found).has_ended
        for index in indices:
            read[index] = _say(found.log(index), read[index], f"{index}: " if size > 1 and element is None else "")
        if has_ended:
            return
        time.sleep(FOLLOW_S)


@jobs.command()
@click.argument("job", shell_complete=completing.jobs)
@as_json
def cancel(job: str, as_json: bool) -> None:
    """End a job; what has ended well stays.

    \b
    Example:
      nbproof jobs cancel training-3fa2b1
    """
    from ..jobs import place, standing

    found = place.find(_project(), job)
    before = standing.of(found)
    if not before.has_ended:
        standing.cancel(found)
    if as_json:
        print_json({"id": found.id, "state": before.state if before.has_ended else "cancelled"})
        return
    click.echo(f"{found.id} has ended already: {before.state}" if before.has_ended else f"{found.id} is cancelled")


@jobs.command()
@click.argument("job", shell_complete=completing.jobs)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), help="Where to; a folder with the job's name when left out."
)
@click.option("--partial", is_flag=True, help="Fetch what has ended well, though the rest has not.")
@as_json
def fetch(job: str, folder: Path | None, partial: bool, as_json: bool) -> None:
    """Copy the results of a job.

    \b
    Example:
      nbproof jobs fetch training-3fa2b1 --to results
    """
    from ..jobs import place
    from ..jobs.fetching import fetch as copied

    found = place.find(_project(), job)
    files = copied(found, folder or Path(found.id), allow_partial=partial)
    if as_json:
        print_json([str(file) for file in files])
        return
    click.echo(f"{len(files)} files are in {folder or found.id}")


def pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """What was typed as NAME=VALUE behind an option. Raises `click.UsageError`."""
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise click.UsageError(f"{option} {text}: found no `=`, expected NAME=VALUE")
        found[name] = value
    return found


def _project() -> Path:
    from ..settings import find_project

    return find_project(Path.cwd())


def _say(path: Path, start: int, before: str) -> int:
    """Print what a log has got since; the place where it ended comes back."""
    if not path.is_file():
        return start
    with path.open("rb") as file:
        file.seek(start)
        said = file.read()
    # A line that is being written waits for its end.
    whole = said[: said.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", "replace").splitlines():
        click.echo(f"{before}{line}")
    return start + len(whole)


def _whole(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _counted(standing: Any) -> str:
    size = len(standing.elements)
    done = standing.counted().get("done", 0)
    return f"{done} of {size} done" if size > 1 else "1"


def _as_json(standing: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(standing), "state": standing.state, "counted": standing.counted()}
