"""`nbproof monitor …`: windows of data and predictions held against their reference, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import WindowAlarms
from .output import as_json, near, number, print_json, print_table

if TYPE_CHECKING:
    from ..monitor.asking import Asked
    from ..monitor.events import Event
    from ..monitor.look import Finding, Look

SHOWN = {
    "drift": "psi", "prediction": "psi", "quality": "window_share", "performance": "auc", "explanations": "ndcg",
    "fairness": "disparate_impact",
}  # fmt: skip


@click.group()
def monitor() -> None:
    """Hold windows of data and predictions against their reference.

    \b
    Example:
      nbproof monitor check --reference train.parquet --window august.parquet --score score
      nbproof monitor watch log --reference train.parquet --score score --pipeline pipelines/credit
      nbproof monitor rules --thresholds build/01_scoping/requirements.yaml -o rules.yml
    """


def questions(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what is asked of every window."""
    options = [
        click.option("--reference", required=True, type=click.Path(path_type=Path),
                     help="Parquet that windows are held against: what the model was trained on."),
        click.option("--columns", default="", metavar="NAME[:KIND],…",
                     help="The columns to compare, each number or category; all that fit when left out."),
        click.option("--score", metavar="NAME", help="The column of predictions."),
        click.option("--label", metavar="NAME", help="The column of outcomes: 0, 1, or missing until it is known."),
        click.option("--labels", type=click.Path(path_type=Path), help="Outcomes in another file, joined by --key."),
        click.option("--key", default="", metavar="NAME,…", help="The columns that name each row."),
        click.option("--time", "time_column", metavar="NAME", help="The column with the time of each row."),
        click.option("--label-delay", type=click.IntRange(min=0), default=0, show_default=True, metavar="DAYS",
                     help="How long after its time an outcome is known."),
        click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]),
                     help="The day of looking: outcomes that were not known then are not used."),
        click.option("--reference-auc", type=click.FloatRange(0, 1),
                     help="The AUC that was accepted; that of the reference when left out."),
        click.option("--slices", default="", metavar="NAME,…", help="Attributes by which fairness is judged."),
        click.option("--cutoff", type=float, help="A score below it is favourable; else that of the scope."),
        click.option("--attributions", metavar="PREFIX", help="Columns that begin so hold SHAP values."),
        click.option("--model-version", "version", metavar="VERSION",
                     help="Of the log of a service: only the answers of this version."),
        click.option("--thresholds", type=click.Path(path_type=Path, dir_okay=False),
                     help="requirements.yaml of the scoping phase, with the limits."),
        click.option("--control", type=click.Choice(["holm", "benjamini-hochberg"]), default="holm", show_default=True,
                     help="How many tests at once are kept from raising false alarms."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@monitor.command()
@click.option("--window", required=True, type=click.Path(path_type=Path),
              help="Parquet, a folder of it, or the log of nbproof serve.")  # fmt: skip
@questions
@click.option("--metrics", type=click.Path(path_type=Path, dir_okay=False),
              help="Also write the numbers for Prometheus' textfile collector.")  # fmt: skip
@click.option("--model", default="model", show_default=True, help="Whose window it is, in the metrics.")
@click.option("--all", "is_all", is_flag=True, help="Show what is green, too.")
@as_json
def check(window: Path, metrics: Path | None, model: str, is_all: bool, as_json: bool, **asked: Any) -> None:
    """Hold one window against its reference; exit 1 when something is amber or red.

    The log of a service needs no further options: its fields and its scores are known by name, and what was answered
    until now is looked at.

    It looks at drift, quality of data, the predictions, their ranking and level once outcomes are known, the order of
    importance, and how groups fare.

    \b
    Example:
      nbproof monitor check --reference train.parquet --window august.parquet --score score --label label
      nbproof monitor check --reference train.parquet --window log/2026-08 --thresholds requirements.yaml --json
      nbproof monitor check --reference train.parquet --window predictions
    """
    from ..files import write_atomically
    from ..monitor.asking import opened
    from ..monitor.rules import textfile
    from ..serve.log_reading import is_log_folder

    found = _look_at_log(window, asked) if is_log_folder(window) else opened(asked_of(**asked)).look_at(window)
    if metrics is not None:
        write_atomically(metrics, textfile(found, model=model, window=window.stem, at=time.time()).encode())
    if as_json:
        print_json(look_as_json(found, window))
    else:
        show(found, window, is_all=is_all)
    if found.alarms:
        raise WindowAlarms(near(window), [f"{each.what} ({each.verdict})" for each in found.alarms])


@monitor.command()
@click.option("--thresholds", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="requirements.yaml of the scoping phase.")  # fmt: skip
@click.option("--stale-after", type=click.IntRange(min=1), default=35, show_default=True, metavar="DAYS",
              help="Alert when no window was looked at for so long.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to; else it is printed.")
@as_json
def rules(thresholds: Path, stale_after: int, output: Path | None, as_json: bool) -> None:
    """Write alert rules for Prometheus with the limits of the scoping phase.

    \b
    Example:
      nbproof monitor rules --thresholds build/01_scoping/requirements.yaml -o rules.yml
      promtool check rules rules.yml
    """
    from ..files import write_atomically
    from ..monitor.limits import read
    from ..monitor.rules import rules as written

    declared = read(thresholds)
    text = written(
        declared.limits, owners=declared.owners, stale_after_s=stale_after * 86400, latency_s=declared.latency_s
    )
    if output is not None:
        write_atomically(output, text.encode())
    if as_json:
        print_json({"rules": text, "written": None if output is None else str(output)})
    elif output is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"{text.count('- alert:')} rules are in {near(output)}; check them: promtool check rules {output}")


@monitor.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@questions
@click.option("--pipeline", type=click.Path(path_type=Path), help="The pipeline that retrains; without it, none does.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE",
              help="A parameter of that pipeline; {window} is the last window that asked for it.")  # fmt: skip
@click.option("--retrain-on", type=click.Choice(["red", "amber"]), default="red", show_default=True,
              help="How bad a window must be.")  # fmt: skip
@click.option("--retrain-for", type=click.Choice(["drift", "prediction", "explanations", "fairness", "performance"]),
              multiple=True, help="Only for an alarm of this area; may be repeated.")  # fmt: skip
@click.option("--cool-down", type=click.IntRange(min=0), default=7, show_default=True, metavar="DAYS",
              help="How long no second retraining starts.")  # fmt: skip
@click.option("--name", default="windows", show_default=True, help="Whose events they are, in .nbproof/monitor.")
@click.option("--once", "is_once", is_flag=True, help="Look at what is there, and end.")
@click.option("--every", type=click.FloatRange(min=0.1), default=60.0, show_default=True, metavar="SECONDS",
              help="How often the folder is looked at.")  # fmt: skip
@as_json
def watch(
    folder: Path, pipeline: Path | None, parameters: tuple[str, ...], retrain_on: str,
    retrain_for: tuple[str, ...], cool_down: int, name: str,
    is_once: bool, every: float, as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Look at each window that comes into a folder, raise events, and start the retraining.

    A window is a Parquet file, or a folder of segments with a file _SUCCESS in it. Each event is one line in
    .nbproof/monitor/NAME/events.jsonl, and is raised once, whatever is killed in between. A retraining ends in a
    candidate for review.

    \b
    Example:
      nbproof monitor watch log --reference train.parquet --score score --pipeline pipelines/credit
      nbproof monitor watch log --reference train.parquet --once --json
    """
    from ..monitor.deciding import AREAS, Policy
    from ..monitor.watching import FOLDER, Watch, once
    from ..settings import find_project

    verdicts = ("red",) if retrain_on == "red" else ("red", "amber")
    state = find_project(Path.cwd()) / FOLDER / _file_name(name)
    policy = Policy(verdicts, timedelta(days=cool_down), retrain_for or AREAS)
    watched = Watch(folder, asked_of(**asked), state, policy, pipeline, parameters)
    while True:
        new = once(watched, tell=lambda event: None if as_json and is_once else _tell(event, as_json=as_json))
        if is_once:
            if as_json:
                print_json(new)
            elif not new:
                click.echo("nothing new")
            return
        time.sleep(every)


@monitor.command()
@click.argument("topic")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--brokers", required=True, metavar="HOST:PORT,…", help="Where the stream is.")
@click.option("--batch", type=click.IntRange(min=1), default=10_000, show_default=True, help="Messages at a time.")
@click.option("--until-end", is_flag=True, help="Read what is there now, and end.")
@as_json
def collect(topic: str, folder: Path, brokers: str, batch: int, until_end: bool, as_json: bool) -> None:
    """Read a Kafka topic of predictions into a folder of windows, one a UTC day.

    Each message is a JSON object of plain values: one row. It is written once, whatever is killed in between: the
    folder says what has been read. What is no row is kept in _unreadable.

    \b
    Example:
      nbproof monitor collect predictions log --brokers 127.0.0.1:9092
    """
    from ..monitor.streaming import Collected, Stream
    from ..monitor.streaming import collect as carry_out

    def tell(found: Collected) -> None:
        if not as_json:
            click.echo(f"{found.rows} rows in {near(folder)}, {found.unreadable} messages without a row")

    found = carry_out(Stream(brokers, topic, batch), folder, until_end=until_end, tell=tell)
    if as_json:
        print_json(found)


@monitor.command()
@click.option("--name", default="windows", show_default=True, help="Whose events, in .nbproof/monitor.")
@as_json
def events(name: str, as_json: bool) -> None:
    """List the events that a watch has raised, the oldest first.

    \b
    Example:
      nbproof monitor events --json
    """
    from ..monitor.events import FILE, Events
    from ..monitor.watching import FOLDER
    from ..settings import find_project

    found = Events(find_project(Path.cwd()) / FOLDER / _file_name(name) / FILE).read()
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no events; next: nbproof monitor watch FOLDER --reference FILE")
        return
    rows = [(each.at, each.kind, each.window or "-", each.verdict or each.facts.get("outcome", "-"), each.reason)
            for each in found]  # fmt: skip
    print_table(("at", "event", "window", "verdict", "why"), rows)


def _look_at_log(window: Path, asked: dict[str, Any]) -> Look:
    """Look at the log of a service, with the segment that it is writing now."""
    from ..monitor import served, tables
    from ..monitor.asking import opened
    from ..serve.log_reading import read_table

    table = read_table(window)
    columns = tables.columns_of(table, where=window, version=asked["version"])
    known = tables.read(asked["reference"], version=asked["version"])
    fields = served.fields(table.column_names)
    if not asked["columns"]:
        asked = {**asked, "columns": ",".join(fields)}
    # A reference without scores is no fault: then their distribution is compared with nothing.
    if asked["score"] is None and served.SCORE in known and served.SCORE not in fields:
        asked = {**asked, "score": served.SCORE}
    return opened(asked_of(**asked)).look_at_columns(columns, where=window)


def asked_of(
    *, reference: Path, columns: str, score: str | None, label: str | None, labels: Path | None, key: str,
    time_column: str | None, label_delay: int, as_of: datetime | None, reference_auc: float | None, slices: str,
    cutoff: float | None, attributions: str | None, thresholds: Path | None, control: Any, version: str | None,
) -> Asked:  # fmt: skip
    """What the options ask; raises `click.UsageError` for options that do not go together."""
    from ..monitor.asking import Asked
    from ..monitor.limits import read
    from ..monitor.look import Limits
    from ..monitor.tables import Outcomes

    if labels is not None and not (label and key):
        raise click.UsageError("found --labels; expected --label and --key beside it")
    if (as_of is not None or label_delay) and not (time_column and label and as_of):
        raise click.UsageError("found a delay of outcomes; expected --label, --time and --as-of together")
    declared = read(thresholds) if thresholds else None
    attributes = _names(slices)
    threshold = cutoff if cutoff is not None else (declared.cutoff if declared else None)
    if attributes and (threshold is None or score is None):
        raise click.UsageError("found --slices; expected --score and a cutoff beside it")
    outcomes = None
    if label is not None:
        outcomes = Outcomes(
            label, labels, _names(key), time_column, timedelta(days=label_delay), as_of.date() if as_of else None
        )
    return Asked(
        reference=reference, limits=declared.limits if declared else Limits(), columns=_names(columns), score=score,
        outcomes=outcomes, reference_auc=reference_auc, attributes=attributes, cutoff=threshold, key=_names(key),
        control=control, attributions=attributions, version=version,
    )  # fmt: skip


def show(look: Look, window: Path, *, is_all: bool) -> None:
    """Print a look on one screen: what is not green, and how much is."""
    shown = [each for each in look.findings if is_all or each.verdict != "green"]
    if shown:
        print_table(("what", "of", "verdict", "number", "why"), [_row(each) for each in shown])
        click.echo()
    green = sum(each.verdict == "green" for each in look.findings)
    click.echo(
        f"{near(window)} is {look.verdict.replace('_', ' ')}: {look.window_rows} rows against {look.reference_rows}; "
        f"{green} of {len(look.findings)} findings are green"
    )
    click.echo(f"false alarms: {look.expected_false_alarms}")


def look_as_json(look: Look, window: Path) -> dict[str, Any]:
    """A look as one JSON document."""
    return {
        "window": str(window),
        "verdict": look.verdict,
        "reference_rows": look.reference_rows,
        "window_rows": look.window_rows,
        "expected_false_alarms": look.expected_false_alarms,
        "findings": [
            {"area": each.area, "of": each.what, "verdict": each.verdict, "reason": each.reason,
             "numbers": dict(each.numbers)}
            for each in look.findings
        ],
    }  # fmt: skip


def _row(finding: Finding) -> tuple[str, str, str, str, str]:
    value = finding.numbers.get(SHOWN[finding.area])
    told = finding.verdict.replace("_", " ")
    return finding.area, finding.what, told, "-" if value is None else number(value), finding.reason


def _tell(event: Event, *, as_json: bool) -> None:
    if as_json:
        click.echo(event.written().decode(), nl=False)
        return
    of = f" {event.window}" if event.window else ""
    verdict = f" {event.verdict.replace('_', ' ')}" if event.verdict else ""
    click.echo(f"{event.kind}{of}{verdict}: {event.reason}")


def _file_name(name: str) -> str:
    import re

    if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise click.UsageError(f"--name: found {name!r}, expected letters, digits, `-`, `_` and `.`")
    return name


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
