"""`nbproof schedule`: work that starts by itself, and what became of every start."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AskedWrongly, ScheduleInvalid, TickFailed, TickRefused
from .output import as_json, duration, near, print_json, print_table
from .submitting import measure, pairs

if TYPE_CHECKING:
    from ..schedule.attending import Claim
    from ..schedule.definition import Schedule, Trigger, Work
    from ..schedule.ledger import Entry, Ledger, Scheduled

ELSEWHERE = ("airflow", "cron", "kubernetes", "systemd")
Command = Callable[..., Any]


def _elsewhere(command: Command) -> Command:
    """The options of a definition for another scheduler."""
    options = (
        click.option(
            "--out", type=click.Path(path_type=Path, file_okay=False), help="Write it to files in this folder."
        ),
        click.option("--at", type=click.Path(path_type=Path), help="Where the project lies there; here when left out."),
        click.option("--image", help="For Kubernetes: an image that has nbproof."),
        click.option("--volume", metavar="CLAIM", help="For Kubernetes: the volume claim that holds the project."),
        click.option("--namespace", help="For Kubernetes: where the CronJob belongs."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def schedule() -> None:
    """Work that starts by itself: at its time, when its data has changed, or when it is asked for.

    \b
    Example:
      nbproof schedule add pipelines/credit --cron "0 6 * * mon-fri" --timezone Europe/Berlin
      nbproof schedule run
    """


@schedule.command()
@click.argument("work", type=click.Path(path_type=Path), metavar="PIPELINE|NOTEBOOK|PACKAGE")
@click.option("--name", help="A name for the schedule; that of the pipeline or package when left out.")
@click.option("--cron", metavar="EXPRESSION", help='When: five fields, as in "0 6 * * mon-fri".')
@click.option("--timezone", default="UTC", show_default=True, help="The zone whose wall clock the expression means.")
@click.option("--every", callback=measure("time_s"), metavar="TIME", help="Every so often: 30s, 15min, 1h.")
@click.option("--on-change", metavar="PATH", help="When this file, or anything in this folder, has changed.")
@click.option("--stable", callback=measure("time_s"), default="10s", show_default=True, metavar="TIME",
              help="How long it must have been still by then.")  # fmt: skip
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE",
              help="A parameter; {logical_date}, {logical_time} and {previous_time} are of the tick.")  # fmt: skip
@click.option("--catch-up", type=click.Choice(["none", "last", "all"]), default="last", show_default=True,
              help="Which ticks are made good that nobody was there for.")  # fmt: skip
@click.option("--grace", callback=measure("time_s"), default="60s", show_default=True, metavar="TIME",
              help="How late a tick may start without being one of those.")  # fmt: skip
@click.option("--overlap", type=click.Choice(["skip", "wait", "cancel"]), default="skip", show_default=True,
              help="What a tick does while the one before it runs: it is left out, waits, or ends it.")  # fmt: skip
@click.option(
    "--retries", type=click.IntRange(min=0), default=0, show_default=True, help="Further tries of what fails."
)
@click.option("--retry-wait", callback=measure("time_s"), default="60s", show_default=True, metavar="TIME",
              help="How long after a failure.")  # fmt: skip
@click.option("--timeout", callback=measure("time_s"), metavar="TIME", help="The most time for one try.")
@click.option(
    "--on-failure", multiple=True, metavar="HOOK", help="Who is told: webhook:URL, mail:ADDRESS, command:WORDS."
)
@click.option("--on-success", multiple=True, metavar="HOOK", help="The same, when it has ended well.")
@click.option("--on", "target", metavar="TARGET", help="Where a package runs; as `nbproof submit` has it.")
@click.option("-o", "options", multiple=True, metavar="NAME=VALUE", help="An option of that target.")
@click.option("--cpus", type=click.IntRange(min=1), help="Processors for a package.")
@click.option("--memory", callback=measure("memory_mb"), metavar="SIZE", help="Memory for a package: 4G.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs for a package.")
@click.option("--replace", "may_replace", is_flag=True, help="Put it in the place of a schedule of the same name.")
@click.option("--to", "elsewhere", type=click.Choice(ELSEWHERE), help="Also write it for this scheduler.")
@_elsewhere
@as_json
def add(
    work: Path, name: str | None, cron: str | None, timezone: str, every: int | None, on_change: str | None,
    stable: int, parameters: tuple[str, ...], catch_up: Any, grace: int, overlap: Any, retries: int, retry_wait: int,
    timeout: int | None, on_failure: tuple[str, ...], on_success: tuple[str, ...], target: str | None,
    options: tuple[str, ...], cpus: int | None, memory: int | None, gpus: int | None, may_replace: bool,
    elsewhere: str | None, out: Path | None, at: Path | None, image: str | None, volume: str | None,
    namespace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Schedule a pipeline, a notebook or an exported package.

    All that it needs is checked now: the times, the parameters, and of a package its files and its approval, which are
    verified again at every tick. Without --cron, --every or --on-change it starts when `nbproof schedule fire` asks.

    \b
    Example:
      nbproof schedule add pipelines/credit --cron "0 6 * * mon-fri" --timezone Europe/Berlin -p as_of={logical_date}
      nbproof schedule add exports/score --on-change data/incoming --stable 30s --on slurm
    """
    from ..schedule import arrival, telling
    from ..schedule.definition import Hook, Schedule, Trigger
    from ..schedule.policy import Policy

    ledger, settings = _open()
    trigger = Trigger(
        cron=cron, timezone=timezone, every_s=every, path=on_change and _from_project(ledger, Path(on_change)),
        stable_s=stable,
    )  # fmt: skip
    policy = Policy(
        catch_up=catch_up, overlap=overlap, grace_s=grace, retries=retries, retry_wait_s=retry_wait, timeout_s=timeout
    )
    told = [(of, hook) for of, hooks in (("failure", on_failure), ("success", on_success)) for hook in hooks]
    counts = {"cpus": cpus, "memory_mb": memory, "gpus": gpus}
    resources = {what: count for what, count in counts.items() if count is not None}
    made = Schedule(
        name=name or _name_of(work),
        work=_work(ledger, settings, work, parameters, target, options, resources),
        trigger=trigger,
        policy=policy,
        hooks=tuple(Hook(of, telling.checked(hook, settings)) for of, hook in told),  # type: ignore[arg-type]
    )
    made = replace(made, work=_proven(ledger, made))
    files = {}
    if elsewhere is not None:
        files = _written(ledger, made, elsewhere, out, at, image, volume, namespace)
    seen = None if trigger.path is None else arrival.seen(ledger.project / trigger.path).signature
    with ledger.writing() as book:
        if not may_replace and any(each.schedule.name == made.name for each in book.schedules()):
            raise ScheduleInvalid(
                "--name", f"`{made.name}`, which is a schedule already", "another name",
                hint="--replace puts this one in its place",
            )  # fmt: skip
        book.add(made, time.time(), seen)
        added = book.find(made.name)
    if as_json:
        print_json({**_as_json(ledger, added), "files": sorted(files)})
        return
    click.echo(f"{made.name}: {made.work.path} starts {_when(made.trigger)}; first: {_next(added)}")
    _show(files, out)
    if elsewhere is None:
        _say_without_daemon(ledger)


@schedule.command("list")
@as_json
def list_schedules(as_json: bool) -> None:
    """List the schedules of this project: when each starts next, and how its last start ended.

    \b
    Example:
      nbproof schedule list --json
    """
    ledger, _ = _open()
    with ledger.reading() as book:
        found = [(each, (*book.entries(each.schedule.name, 1), None)[0]) for each in book.schedules()]
    if as_json:
        print_json([_as_json(ledger, each) for each, _ in found])
        return
    if not found:
        click.echo("no schedules; next: nbproof schedule add PIPELINE --cron EXPRESSION")
        return
    rows = [
        (each.schedule.name, each.schedule.work.path, _when(each.schedule.trigger), _next(each),
         _moment(each.schedule, last.at) if last else "-", last.state if last else "-")
        for each, last in found
    ]  # fmt: skip
    print_table(("schedule", "runs", "starts", "next", "last", "state"), rows)
    _say_without_daemon(ledger)


@schedule.command()
@click.argument("name")
@click.option("--last", "most", type=click.IntRange(min=1), default=20, show_default=True, help="How many ticks.")
@click.option("--to", "elsewhere", type=click.Choice(ELSEWHERE), help="Instead: its definition for this scheduler.")
@_elsewhere
@as_json
def show(
    name: str, most: int, elsewhere: str | None, out: Path | None, at: Path | None, image: str | None,
    volume: str | None, namespace: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show every tick of a schedule, also those that were missed or left out, and why.

    \b
    Example:
      nbproof schedule show credit
      nbproof schedule show credit --to systemd --out units
    """
    ledger, _ = _open()
    with ledger.reading() as book:
        found = book.find(name)
        entries, counts = book.entries(name, most), book.counted(name)
    if elsewhere is not None:
        files = _written(ledger, found.schedule, elsewhere, out, at, image, volume, namespace)
        if as_json:
            print_json(files)
            return
        _show(files, out)
        return
    if as_json:
        ticks = [_tick_as_json(ledger, each) for each in entries]
        print_json({**_as_json(ledger, found), "counted": counts, "ticks": ticks})
        return
    policy = found.schedule.policy
    click.echo(f"{name}: {found.schedule.work.path} starts {_when(found.schedule.trigger)}; next: {_next(found)}")
    click.echo(f"late: {policy.catch_up}; overlap: {policy.overlap}; retries: {policy.retries}")
    if entries:
        rows = [
            (_moment(found.schedule, each.at), each.state, str(each.attempt or "-"), _took(each), each.run or "-",
             _why(each))
            for each in entries
        ]  # fmt: skip
        print_table(("tick", "state", "attempt", "took", "run", "why"), rows)
    _say_without_daemon(ledger)


@schedule.command()
@click.argument("name")
@as_json
def remove(name: str, as_json: bool) -> None:
    """Remove a schedule; what runs goes on to its end, what waits does not start.

    \b
    Example:
      nbproof schedule remove credit
    """
    ledger, _ = _open()
    with ledger.writing() as book:
        book.find(name)
        running = [each.tick for each in book.unfinished(name) if each.state == "running"]
        book.remove(name, time.time())
    if as_json:
        print_json({"removed": name, "running": running})
        return
    click.echo(f"{name} is removed" + (f"; {', '.join(running)} goes on to its end" if running else ""))


@schedule.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is kept with the tick, and stands for {reason}.")
@click.option("--key", help="What it is about: of several with the same key only the first starts anything.")
@click.option("--wait", is_flag=True, help="Wait for the end of it, without a daemon if there is none.")
@as_json
def fire(name: str, reason: str, key: str | None, wait: bool, as_json: bool) -> None:
    """Start a schedule now, by its own policies, as an event asks for it.

    \b
    Example:
      nbproof schedule fire retrain --reason "drift of income: PSI 0.31" --key drift-2026-07
    """
    from ..schedule.attending import ask

    if not reason.strip():
        raise click.UsageError("--reason: found none, expected why it shall start")
    ledger, _ = _open()
    now = time.time()
    tick = f"event-{key}" if key is not None else f"event-{now:.6f}"
    with ledger.writing() as book:
        is_new = ask(book, name, tick, now, reason.strip())
    if wait:
        _attend_to(ledger, name, tick)
    with ledger.reading() as book:
        entry = book.entry(name, tick)
    assert entry is not None
    if as_json:
        print_json({**_tick_as_json(ledger, entry), "is_new": is_new})
    else:
        again = "" if is_new else " (it was asked for before)"
        click.echo(f"{name}: {tick} is {entry.state}{again}{': ' + entry.reason if entry.reason else ''}")
        if not wait:
            _say_without_daemon(ledger)
    if wait:
        _raise_unless_well([entry])


@schedule.command()
@click.argument("name", required=False)
@click.option("--once", is_flag=True, help="Look once, wait until what is due has ended, and leave; needs a NAME.")
@as_json
def run(name: str | None, once: bool, as_json: bool) -> None:
    """Attend to the schedules of this project, or to one of them, until Ctrl-C.

    Several may run: of them one starts a tick, and none twice. What a tick runs outlives the daemon that started it.

    \b
    Example:
      nbproof schedule run
      nbproof schedule run credit --once
    """
    from ..schedule.attending import attend, daemons, registered
    from ..schedule.keeping import Keepers

    ledger, _ = _open()
    if once:
        if name is None:
            raise click.UsageError("found --once without a NAME; expected the schedule to look at")
        _once(ledger, name, as_json=as_json)
        return
    with ledger.reading() as book:
        names = [book.find(name).schedule.name] if name is not None else None
        size = 1 if name is not None else len(book.schedules())
    keepers = Keepers()

    def start(claim: Claim) -> None:
        keepers.start(claim)
        entry = claim.entry
        if as_json:
            print_json(_tick_as_json(ledger, entry))
        else:
            click.echo(f"{datetime.now():%Y-%m-%d %H:%M:%S} {entry.schedule}: {entry.tick} starts")
        sys.stdout.flush()

    others = daemons(ledger)
    with registered(ledger), _until_told() as is_over:
        if not as_json:
            beside = f", beside {len(others)} other{'s' if len(others) > 1 else ''}" if others else ""
            click.echo(
                f"attending to {size} schedule{'' if size == 1 else 's'}{beside}; Ctrl-C leaves what runs to itself"
            )
            sys.stdout.flush()
        attend(ledger, start, names=names, is_over=is_over, trouble=_say_trouble)
    keepers.close()


def _once(ledger: Ledger, name: str, *, as_json: bool) -> None:
    with ledger.reading() as book:
        found = book.find(name)
        if found.schedule.trigger.path is not None:
            raise ScheduleInvalid("--once", "a schedule that waits for a change", "one with a clock",
                                  hint="nbproof schedule run")  # fmt: skip
        before = {each.tick for each in book.unfinished(name)}
    began = time.time()
    _attend_to(ledger, name)
    with ledger.reading() as book:
        entries = [each for each in book.entries(name, 1000) if each.tick in before or each.noted_at >= began]
    entries.reverse()
    if as_json:
        print_json([_tick_as_json(ledger, each) for each in entries])
    elif entries:
        for each in entries:
            click.echo(f"{name}: {_moment(found.schedule, each.at)} is {each.state}{_because(each)}")
    else:
        click.echo(f"{name}: nothing is due; next: {_next(found)}")
    _raise_unless_well(entries)


def _attend_to(ledger: Ledger, name: str, tick: str | None = None) -> None:
    """Attend to one schedule until nothing of it is open, or until one tick of it is over and told of."""
    from ..schedule.attending import attend
    from ..schedule.keeping import Keepers

    keepers, looks = Keepers(), 0

    def is_over() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            return False
        with ledger.reading() as book:
            return not any(tick in (None, each.tick) for each in book.unfinished(name))

    with _until_told() as is_told:
        attend(ledger, keepers.start, names=[name], is_over=lambda: is_told() or is_over(), trouble=_say_trouble)
        was_told = is_told()
    keepers.close()
    if was_told:
        raise KeyboardInterrupt


def _say_trouble(error: Exception) -> None:
    click.echo(f"note: {error}; it is tried again", err=True)


@contextmanager
def _until_told() -> Iterator[Callable[[], bool]]:
    """Whether somebody has told this process to end."""
    told = False

    def listen(_number: int, _frame: object) -> None:
        nonlocal told
        told = True

    before = {number: signal.signal(number, listen) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_unless_well(entries: Sequence[Entry]) -> None:
    for each in entries:
        if each.state == "refused":
            raise TickRefused(each.schedule, each.tick, each.reason)
    for each in entries:
        if each.state in ("failed", "lost", "cancelled"):
            raise TickFailed(each.schedule, each.tick, each.state, each.reason)


def _open() -> tuple[Ledger, Any]:
    from ..schedule.ledger import Ledger
    from ..settings import find_project, load

    project = find_project(Path.cwd())
    return Ledger(project), load(project, os.environ)


def _from_project(ledger: Ledger, path: Path) -> str:
    """A path as it is named from the project, wherever one is."""
    whole = Path.cwd() / path
    normal = Path(os.path.normpath(whole))
    return str(normal.relative_to(ledger.project) if normal.is_relative_to(ledger.project) else normal)


def _name_of(work: Path) -> str:
    path = work.resolve()
    stem = path.parent.name if path.name == "pipeline.yaml" else path.stem if path.is_file() else path.name
    words = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in stem.lower())
    return words.strip("-")[:40].strip("-")


def _work(
    ledger: Ledger, settings: Any, path: Path, parameters: tuple[str, ...], target: str | None,
    options: tuple[str, ...], resources: dict[str, int],
) -> Work:  # fmt: skip
    from ..export.packaging.provenance import FILE
    from ..jobs.standards import standards
    from ..schedule.definition import Work

    pairs(parameters, "-p")
    named = _from_project(ledger, path)
    if (path / FILE).is_file():
        standard = standards(settings, target, pairs(options, "-o"))
        return Work(
            kind="package", path=named, parameters=parameters, target=standard.target, options=dict(standard.options),
            resources={**asdict(standard.resources), **resources},
        )  # fmt: skip
    if target is not None or options or resources:
        raise ScheduleInvalid(
            f"`{path}`", "a target or resources for what is no exported package", "a package",
            hint="nbproof export NOTEBOOK",
        )  # fmt: skip
    return Work(kind="pipeline", path=named, parameters=parameters)


def _proven(ledger: Ledger, made: Schedule) -> Work:
    """The work of a schedule after everything was asked of it that its first tick will need."""
    from ..schedule import approval
    from ..schedule.definition import Tick, filled, following, values

    at = following(made.trigger, time.time()) or time.time()
    held = values(made, Tick("first", at, "the first tick"), at)
    parameters = [filled(text, held) for text in made.work.parameters]
    path = ledger.project / made.work.path
    if made.work.kind == "pipeline":
        from ..assemble import load_pipeline, open_project

        load_pipeline(open_project(path if path.exists() else ledger.project), path, parameters)
        approval.require(ledger.project, made.work)
        return made.work
    from ..jobs import submitting
    from ..jobs.admission import to_json
    from ..jobs.job import Resources

    asked = submitting.Asked(
        parameters=dict(text.split("=", 1) for text in parameters), resources=Resources(**made.work.resources)
    )
    _, admitted = submitting.prepared(path, asked, project=ledger.project)
    return replace(made.work, admission=to_json(admitted))


def _written(
    ledger: Ledger, made: Schedule, target: str, out: Path | None, at: Path | None, image: str | None,
    volume: str | None, namespace: str | None,
) -> dict[str, str]:  # fmt: skip
    from ..files import write_atomically
    from ..schedule.elsewhere.woken import Wanted
    from ..schedule.elsewhere.writing import written

    program = ("nbproof",) if target == "kubernetes" else (sys.executable, "-m", "nbproof")
    wanted = Wanted(program, at or ledger.project, image, volume, namespace)
    files = dict(written(made, target, wanted))
    if out is not None:
        for file, text in files.items():
            try:
                write_atomically(out / file, text.encode())
            except OSError as error:
                raise AskedWrongly(f"`{out / file}`: {error.strerror}; expected a folder to write to") from None
    return files


def _show(files: dict[str, str], out: Path | None) -> None:
    for file, text in files.items():
        click.echo(f"{near(Path.cwd() / out / file)} is written" if out is not None else f"# {file}\n{text}")


def _when(trigger: Trigger) -> str:
    return trigger.in_words()


def _next(found: Scheduled) -> str:
    from ..schedule.definition import following

    at = following(found.schedule.trigger, max(time.time(), found.added_at))
    return _moment(found.schedule, at) if at is not None else "-"


def _moment(made: Schedule, at: float) -> str:
    from ..schedule.cron import zone

    return datetime.fromtimestamp(at, zone(made.trigger.timezone)).strftime("%Y-%m-%d %H:%M:%S %Z")


def _took(entry: Entry) -> str:
    return duration(entry.ended_at - entry.began_at) if entry.ended_at and entry.began_at else "-"


def _why(entry: Entry) -> str:
    words = [entry.cause, "made good late" if entry.is_late else "", entry.reason]
    if entry.told:
        words.append(entry.told)
    return "; ".join(filter(None, words))


def _because(entry: Entry) -> str:
    return f" ({_why(entry)})" if _why(entry) else ""


def _say_without_daemon(ledger: Ledger) -> None:
    from ..schedule.attending import daemons

    if not daemons(ledger):
        click.echo("note: nobody attends to the schedules; next: nbproof schedule run", err=True)


def _as_json(ledger: Ledger, found: Scheduled) -> dict[str, Any]:
    from ..schedule.attending import daemons
    from ..schedule.definition import following, to_json

    with ledger.reading() as book:
        last = (*book.entries(found.schedule.name, 1), None)[0]
    return {
        **to_json(found.schedule),
        "next_at": following(found.schedule.trigger, max(time.time(), found.added_at)),
        "last": None if last is None else _tick_as_json(ledger, last),
        "daemons": list(daemons(ledger)),
    }


def _tick_as_json(ledger: Ledger, entry: Entry) -> dict[str, Any]:
    found = asdict(entry)
    del found["token"]
    return {**found, "log": str(ledger.log(entry))}
